"""`clusterdns check COREFILE`: the errors and warnings of a configuration, and its differences from CoreDNS.

It runs the code of a real start up to the binding of the first socket. A ConfigMap as kubectl prints it is accepted as
well as the Corefile in it.
"""

import asyncio
import os
import sys
from collections.abc import Iterable

import click

from clusterdns.chain import Part
from clusterdns.cli import configmap
from clusterdns.cli.differences import differences_of
from clusterdns.cli.flags import DEFAULT_PORT, MAX_PORT
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.load import STDIN, Corefile, load, parse
from clusterdns.server.assembly import assemble
from clusterdns.server.listen_points import ListenPoint
from clusterdns.telemetry import logs
from clusterdns.telemetry.metrics import Registry


@click.command()
@click.argument("corefile_path", metavar="COREFILE")
@click.option("-p", "--dns-port", type=click.IntRange(0, MAX_PORT), default=DEFAULT_PORT, show_default=True,
              help="Port of plain DNS keys without one.")  # fmt: skip
def check(corefile_path: str, dns_port: int) -> None:
    """Report every error of COREFILE ('-' for standard input) on standard error, one per line.

    COREFILE may also be a ConfigMap, or a list of them, as 'kubectl get configmap coredns -o yaml' prints it; its other
    keys are the files beside the Corefile. Exit code 0 means that the server would start as far as binding its ports;
    standard output then lists how its answers will differ from CoreDNS's.
    """
    logs.set_up(sys.stderr)
    errors = ErrorList()
    path = STDIN if corefile_path == "-" else corefile_path
    try:
        files = configmap.files_of(text, path) if (text := _text(path)) is not None else None
    except CorefileError as error:
        click.echo(error, err=True)
        sys.exit(1)
    if files is not None:
        with configmap.mounted(files, os.environ, errors) as (corefile, folder):
            points = _assembled(corefile, dns_port, errors, folder)
    elif text is not None:
        corefile = parse(text, path, os.environ, errors=errors)
        points = _assembled(corefile, dns_port, errors)
    else:
        corefile = load(path, environ=os.environ, errors=errors)  # adds to the errors why it cannot be read
        points = _assembled(corefile, dns_port, errors)
    zone_count = len({zone for block in corefile.blocks for zone in block.zones_text})
    counts = (_counted(len(corefile.blocks), "server block"), _counted(zone_count, "zone"))
    listeners = ", ".join(point.server_text for point in points)
    click.echo(f"{corefile_path}: OK: {', '.join(counts)}, {_counted(len(points), 'listener')} ({listeners})")
    click.echo("Differences from CoreDNS (docs/differences.md explains each name):")
    for line in differences_of(corefile):
        click.echo(f"  {line}")


def _text(path: str) -> str | None:
    """Read the text to check; None where a file cannot be read as text. Raises CorefileError for standard input."""
    if path == STDIN:
        try:
            return sys.stdin.read()
        except UnicodeDecodeError as error:
            raise CorefileError(STDIN, 1, "standard input is not UTF-8", "send it as UTF-8") from error
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _assembled(corefile: Corefile, dns_port: int, errors: ErrorList, folder: str = "") -> tuple[ListenPoint, ...]:
    """Assemble the configuration and return its listen points; exit with all errors where it is wrong.

    `folder` stands for /etc/coredns and is replaced by it in the errors.
    """
    for warning in corefile.warnings:
        click.echo(f"warning: {warning}", err=True)
    try:
        configuration = assemble(corefile, Registry(), dns_port=dns_port, errors=errors)
        asyncio.run(_rehearse(configuration.parts))
        return configuration.listen_points
    except CorefileErrors as several:
        click.echo(str(several).replace(folder, configmap.MOUNT) if folder else several, err=True)
        sys.exit(1)


async def _rehearse(parts: Iterable[Part]) -> None:
    """Have each part read the files that a start reads before a socket is bound. Raises CorefileErrors."""
    errors = ErrorList()
    for part in parts:
        if part.life.dry_run is not None:
            with errors.collect():
                await part.life.dry_run()
    errors.raise_if_any()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
