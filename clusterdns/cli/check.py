"""`clusterdns check COREFILE`: everything that is wrong with a configuration, told without starting it.

It goes as far as a real start does before the first socket is bound, through the same code.
"""

import os
import sys

import click

from clusterdns.cli.flags import DEFAULT_PORT, MAX_PORT
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import STDIN, load
from clusterdns.server.assembly import assemble
from clusterdns.telemetry import logs
from clusterdns.telemetry.metrics import Registry


@click.command()
@click.argument("corefile_path", metavar="COREFILE")
@click.option("-p", "--dns-port", type=click.IntRange(0, MAX_PORT), default=DEFAULT_PORT, show_default=True,
              help="Port of plain DNS keys that name none.")  # fmt: skip
def check(corefile_path: str, dns_port: int) -> None:
    """Tell everything that is wrong with COREFILE ('-' for standard input): one line each on standard error.

    Exit code 0 means that the server would get as far as binding its ports.
    """
    logs.set_up(sys.stderr)
    errors = ErrorList()
    path = STDIN if corefile_path == "-" else corefile_path
    corefile = load(path, stdin=sys.stdin if path == STDIN else None, environ=os.environ, errors=errors)
    for warning in corefile.warnings:
        click.echo(f"warning: {warning}", err=True)
    try:
        configuration = assemble(corefile, Registry(), dns_port=dns_port, errors=errors)
    except CorefileErrors as several:
        click.echo(several, err=True)
        sys.exit(1)
    points = configuration.points
    zone_count = len({zone for block in corefile.blocks for zone in block.zones_text})
    counts = (_counted(len(corefile.blocks), "server block"), _counted(zone_count, "zone"))
    where = ", ".join(point.server_text for point in points)
    click.echo(f"{corefile_path}: OK: {', '.join(counts)}, {_counted(len(points), 'listener')} ({where})")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
