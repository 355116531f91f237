"""`clusterdns names`: every name that would be answered, from a cluster or from manifests, as a table or as JSON.

It fills an index from the same sources as the server's; `index.listing` lists what the zones made of it contain.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from itertools import groupby

import click

from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.listing import ListedRecord, records
from clusterdns.cluster.index.namespaces import Namespaces
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import MAX_ZONE_BYTES, ClusterZone
from clusterdns.cluster.manifests.source import ManifestError, ManifestSource
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.values import zones as zones_of
from clusterdns.plugins.kubernetes.settings import MAX_TTL_SECONDS
from clusterdns.telemetry import logs
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.codes import type_text
from clusterdns.wire.name import from_text, is_reverse, to_text
from clusterdns.wire.presentation.text import rdata_text

_LIST_TIMEOUT_SECONDS = 15.0
_MAX_PLAIN_COLUMNS = 4096  # names and data have 255 bytes at most, escaped fourfold


@click.command()
@click.option(
    "--kubeconfig",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Read the cluster that this kubeconfig names.",
)
@click.option("--context", metavar="NAME", default="", help="The context of the kubeconfig; else its current one.")
@click.option("--manifests", metavar="PATH", multiple=True, help="Read a file or folder of manifests; may be repeated.")
@click.option(
    "--zone",
    "zone_texts",
    metavar="ZONE",
    multiple=True,
    default=["cluster.local"],
    show_default=True,
    help="A zone, or a network for its reverse zone; may be repeated.",
)
@click.option("--namespace", "namespaces", metavar="NAME", multiple=True, help="Only this namespace; may be repeated.")
@click.option(
    "--pods",
    type=click.Choice([mode.value for mode in PodMode]),
    default=PodMode.DISABLED.value,
    show_default=True,
    help="How pod names (1-2-3-4.NAMESPACE.pod) are answered.",
)
@click.option(
    "--ttl",
    "ttl_seconds",
    metavar="SECONDS",
    type=click.IntRange(0, MAX_TTL_SECONDS),
    default=5,
    show_default=True,
    help="The TTL of records.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
@click.argument("more_manifests", metavar="[PATH]...", nargs=-1)
def names(
    kubeconfig: str | None, context: str, manifests: tuple[str, ...], zone_texts: tuple[str, ...],
    namespaces: tuple[str, ...], pods: str, ttl_seconds: int, as_json: bool, more_manifests: tuple[str, ...],
) -> None:  # fmt: skip
    """List the names that would be answered, from a cluster (--kubeconfig) or from manifests (--manifests PATH...)."""
    if more_manifests and not manifests:
        raise click.UsageError(f"unexpected {more_manifests[0]!r}; manifests are named with --manifests")
    if (kubeconfig is not None) == bool(manifests):
        raise click.UsageError("name either --kubeconfig FILE or --manifests PATH")
    logs.set_up(sys.stderr)
    logging.getLogger("clusterdns").setLevel(logging.WARNING)
    mode = PodMode(pods)
    index = Index(namespaces=Namespaces(namespaces))
    if kubeconfig is None:
        _read_manifests((*manifests, *more_manifests), index, namespaces, mode)
    else:
        settings = ApiSettings(
            kubeconfig=kubeconfig, context=context, namespaces=namespaces, pods=mode is PodMode.VERIFIED,
            startup_timeout_seconds=_LIST_TIMEOUT_SECONDS,
        )  # fmt: skip
        asyncio.run(_read_cluster(settings, index))
    zones = _zones(zone_texts, index, ttl_seconds, mode)
    listed = [one for zone in zones for one in records(zone, index)]
    if as_json:
        _print_json(listed)
    else:
        _print_table(listed)


def _read_manifests(paths: Sequence[str], index: Index, namespaces: Sequence[str], mode: PodMode) -> None:
    """Fill the index from files. Raises ClickException where they cannot be used."""
    try:
        ManifestSource(
            paths, index.apply, lambda: None, Registry(),
            pods=mode is PodMode.VERIFIED, namespaces=frozenset(namespaces) or None,
        ).load()  # fmt: skip
    except ManifestError as error:
        raise click.ClickException(str(error)) from error


async def _read_cluster(settings: ApiSettings, index: Index) -> None:
    """Fill the index from the API server, once. Raises ClickException where that is not possible in time."""
    source = ApiSource(settings, index.apply, lambda: None, Registry())
    source.start()
    try:
        if not await source.wait_synced():
            raise click.ClickException(f"the cluster could not be read: {source.reason}")
    finally:
        await source.stop()


def _zones(texts: Sequence[str], index: Index, ttl_seconds: int, mode: PodMode) -> list[ClusterZone]:
    try:
        found = [from_text(text) for text in zones_of(Token(text, "--zone", 0) for text in texts)]
    except CorefileError as error:
        raise click.BadParameter(f"{error.text}; {error.hint}", param_hint="--zone") from error
    if max(map(len, found)) > MAX_ZONE_BYTES:
        raise click.BadParameter(f"more than {MAX_ZONE_BYTES} bytes leave no room for names", param_hint="--zone")
    primary = next((zone for zone in found if not is_reverse(zone)), None)
    if primary is None:
        text = "reverse zones point to names of a cluster's zone: name that zone as well"
        raise click.BadParameter(text, param_hint="--zone")
    return [ClusterZone(zone, index, primary=primary, ttl_seconds=ttl_seconds, pods=mode) for zone in found]


def _print_json(listed: Sequence[ListedRecord]) -> None:
    rows = [
        {"name": to_text(r.name), "type": type_text(r.rtype), "ttl": r.ttl, "data": rdata_text(r)} for _, _, r in listed
    ]
    click.echo(json.dumps(rows, indent=2))


def _print_table(listed: Sequence[ListedRecord]) -> None:
    """Print a table as wide as the terminal, or as wide as its content, so that it can be searched line by line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(
        markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _MAX_PLAIN_COLUMNS
    )
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("NAME", overflow="fold")
    table.add_column("TYPE", no_wrap=True)
    table.add_column("DATA", overflow="fold")
    for _, group in groupby(listed, key=lambda one: one[:2]):
        table.add_section()
        for _, _, one in group:
            table.add_row(to_text(one.name), type_text(one.rtype), rdata_text(one))
    console.print(table)
