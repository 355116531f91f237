"""Thousands of questions to clusterdns and CoreDNS, both on the same API server: every difference has a name.

docs/differences.md explains the names; its table and the predicates must have the same ones, and each must occur, so
that none stays after its reason is gone.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from differential import manifests
from differential.blocks import BLOCKS, Block, BlocksServer, knows_all_objects
from differential.case import Facts
from differential.compare import Comparison, compare
from differential.differences import NAMES
from differential.manifests import Object
from differential.questions import Question, Shape, generate
from differential.resolving_differences import NAMES as RESOLVING_NAMES
from peers import need

from testing.controlplane import ControlPlane
from testing.peers import clusterdns
from testing.process import ServerProcess

LIST = Path(__file__).parents[2] / "docs" / "differences.md"
LEAST_QUESTIONS = 5000  # of each block
SETTLE_SECONDS = 90.0
KINDS = ("Service", "EndpointSlice", "Pod")


@dataclass
class Servers:
    """Both servers on one API server, and its objects."""

    theirs: BlocksServer
    ours: BlocksServer
    objects: list[Object]
    facts: Facts


@pytest.fixture(scope="module")
def servers(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Create the objects, and run both servers until they have them."""
    coredns = need("coredns")
    folder = tmp_path_factory.mktemp("differential")
    _create(control_plane)
    with contextlib.ExitStack() as stopping:
        servers = []
        for name, program in (("coredns", coredns), ("clusterdns", clusterdns())):
            server = BlocksServer(name, program, control_plane.kubeconfig, folder)
            stopping.callback(_stop, server.server)
            servers.append(server)
        for server in servers:
            _wait(server)
        everything = [one | {"kind": kind} for kind in KINDS for one in control_plane.list(kind)]
        own = [one for one in everything if one["metadata"]["namespace"] in manifests.NAMESPACES]
        yield Servers(servers[0], servers[1], own, Facts(everything))


def _create(control_plane: ControlPlane) -> None:
    for namespace in manifests.namespaces():
        control_plane.apply(namespace)
    for one in manifests.objects():
        control_plane.apply(one)
    for pod, addresses in manifests.pods():
        control_plane.apply(pod)
        control_plane.set_pod_status(pod["metadata"]["namespace"], pod["metadata"]["name"], *addresses)


def _wait(server: BlocksServer) -> None:
    server.wait()
    for block in BLOCKS:
        server.server.wait_until(partial(knows_all_objects, server, block), "all objects", SETTLE_SECONDS)


def _stop(server: ServerProcess) -> None:
    assert server.stop() == 0, f"{server.name} ended with an error{server.tail()}"


@pytest.fixture(scope="module")
def comparisons(servers: Servers) -> dict[str, Comparison]:
    """Compare the servers for every block."""
    found = {}
    for block in BLOCKS:
        questions = generate(servers.objects, block.forward_zones, block.share)
        found[block.name] = compare(block, questions, servers.theirs.ask, servers.ours.ask, servers.facts)
    return found


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_no_difference_without_a_name(comparisons: dict[str, Comparison], block: Block) -> None:
    comparison = comparisons[block.name]
    assert comparison.question_count >= LEAST_QUESTIONS
    shown = "\n".join(comparison.unnamed[:20])
    assert not comparison.unnamed, (
        f"{len(comparison.unnamed)} of {comparison.question_count} differ without a name:\n{shown}"
    )


@pytest.mark.peer("coredns")
def test_every_named_difference_is_seen(comparisons: dict[str, Comparison]) -> None:
    seen: Counter[str] = sum((comparison.named for comparison in comparisons.values()), Counter())
    assert set(NAMES) - set(seen) == set()


@pytest.mark.peer("coredns")
def test_a_wrong_answer_is_reported(servers: Servers) -> None:
    wanted = [
        Question(f"web.diff-prod.svc.{manifests.ZONE}.", qtype, Shape(edns=None)) for qtype in ("A", "AAAA", "TXT")
    ]

    def wrong(block: Block, questions: list[Question]) -> dict[Question, bytes | None]:
        replies = servers.ours.ask(block, questions)
        return {one: reply[:-1] + bytes((reply[-1] ^ 1,)) if reply else None for one, reply in replies.items()}

    assert len(compare(BLOCKS[0], wanted, servers.theirs.ask, wrong, servers.facts).unnamed) == len(wanted)


def named_rows() -> list[str]:
    """Return the rows whose first cell is a name; rows of the later sections have none."""
    tables = LIST.read_text().partition("\n## By directive")[0]
    return [line for line in tables.splitlines() if line.startswith("| `")]


def test_the_list_and_the_predicates_have_the_same_names() -> None:
    rows = [line.split("|")[1].strip() for line in named_rows()]
    assert sorted(row.strip("`") for row in rows) == sorted({*NAMES, *RESOLVING_NAMES})


def test_each_row_names_a_test_that_is_there() -> None:
    tests = LIST.parents[1]
    compared = LIST.read_text().partition("\n## Not compared")[0].splitlines()
    rows = [line for line in compared if line.startswith("| ") and not line.endswith("| pinned by |")]
    assert len(rows) > 80
    for line in rows:
        path, _, name = line.split("|")[-2].strip().strip("`").partition("::")
        assert (tests / path).is_file(), line
        assert f"def {name}(" in (tests / path).read_text(), line
