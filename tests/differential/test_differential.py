"""Thousands of questions to us and to CoreDNS, both on the same API server: no difference without a name.

The names are explained in docs/differences.md, whose table and this list must be the same, and each of them must be
seen, so that none outlives its reason.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from differential import manifests
from differential.blocks import BLOCKS, Answerer, Block, settled
from differential.case import Facts
from differential.compare import Comparison, compare
from differential.differences import NAMES
from differential.manifests import Object
from differential.questions import Asked, Shape, generate
from differential.resolving_differences import NAMES as RESOLVING_NAMES
from peers import need

from testing.controlplane import ControlPlane
from testing.peers import clusterdns
from testing.process import ServerProcess

LIST = Path(__file__).parents[2] / "docs" / "differences.md"
LEAST_QUESTIONS = 5000  # of each block
SETTLE_SECONDS = 30.0
KINDS = ("Service", "EndpointSlice", "Pod")


@dataclass
class Field:
    """Both servers on one API server that holds the objects."""

    theirs: Answerer
    ours: Answerer
    objects: list[Object]
    facts: Facts


@pytest.fixture(scope="module")
def differential_field(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The objects, and both servers in the knowledge of them."""
    coredns = need("coredns")
    folder = tmp_path_factory.mktemp("differential")
    _create(control_plane)
    with contextlib.ExitStack() as stopping:
        answerers = []
        for name, program in (("coredns", coredns), ("clusterdns", clusterdns())):
            answerer = Answerer(name, program, control_plane.kubeconfig, folder)
            stopping.callback(_stop, answerer.server)
            answerers.append(answerer)
        for answerer in answerers:
            _wait(answerer)
        everything = [one | {"kind": kind} for kind in KINDS for one in control_plane.list(kind)]
        own = [one for one in everything if one["metadata"]["namespace"] in manifests.NAMESPACES]
        yield Field(answerers[0], answerers[1], own, Facts(everything))


def _create(control_plane: ControlPlane) -> None:
    for namespace in manifests.namespaces():
        control_plane.apply(namespace)
    for one in manifests.objects():
        control_plane.apply(one)
    for pod, addresses in manifests.pods():
        control_plane.apply(pod)
        control_plane.set_pod_status(pod["metadata"]["namespace"], pod["metadata"]["name"], *addresses)


def _wait(answerer: Answerer) -> None:
    answerer.wait()
    ends_at = time.monotonic() + SETTLE_SECONDS
    for block in BLOCKS:
        while not settled(answerer, block):
            assert time.monotonic() < ends_at, f"{answerer.server.name} did not learn of the objects"
            time.sleep(0.1)


def _stop(server: ServerProcess) -> None:
    assert server.stop() == 0, f"{server.name} did not end well{server.tail()}"


@pytest.fixture(scope="module")
def comparisons(differential_field: Field) -> dict[str, Comparison]:
    """Every block's comparison, made once."""
    found = {}
    for block in BLOCKS:
        questions = generate(differential_field.objects, block.forward_zones, block.share)
        field = differential_field
        found[block.name] = compare(block, questions, field.theirs.ask, field.ours.ask, field.facts)
    return found


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_no_difference_without_a_name(comparisons: dict[str, Comparison], block: Block) -> None:
    comparison = comparisons[block.name]
    assert comparison.asked >= LEAST_QUESTIONS
    shown = "\n".join(comparison.unnamed[:20])
    assert not comparison.unnamed, f"{len(comparison.unnamed)} of {comparison.asked} differ without a name:\n{shown}"


@pytest.mark.peer("coredns")
def test_every_named_difference_is_seen(comparisons: dict[str, Comparison]) -> None:
    seen: Counter[str] = sum((comparison.named for comparison in comparisons.values()), Counter())
    assert set(NAMES) - set(seen) == set()


@pytest.mark.peer("coredns")
def test_a_wrong_answer_has_no_name(differential_field: Field) -> None:
    field = differential_field
    wanted = [Asked(f"web.diff-prod.svc.{manifests.ZONE}.", qtype, Shape(edns=None)) for qtype in ("A", "AAAA", "TXT")]

    def wrong(block: Block, questions: list[Asked]) -> dict[Asked, bytes | None]:
        replies = field.ours.ask(block, questions)
        return {one: reply[:-1] + bytes((reply[-1] ^ 1,)) if reply else None for one, reply in replies.items()}

    assert len(compare(BLOCKS[0], wanted, field.theirs.ask, wrong, field.facts).unnamed) == len(wanted)


def named_rows() -> list[str]:
    """The rows whose first cell is a name; those of the later sections have none."""
    tables = LIST.read_text().partition("\n## By directive")[0]
    return [line for line in tables.splitlines() if line.startswith("| `")]


def test_the_list_and_the_predicates_have_the_same_names() -> None:
    rows = [line.split("|")[1].strip() for line in named_rows()]
    assert sorted(row.strip("`") for row in rows) == sorted((*NAMES, *RESOLVING_NAMES))


def test_each_row_names_a_test_that_is_there() -> None:
    tests = LIST.parents[1]
    compared = LIST.read_text().partition("\n## Not compared")[0].splitlines()
    rows = [line for line in compared if line.startswith("| ") and not line.endswith("| pinned by |")]
    assert len(rows) > 80
    for line in rows:
        path, _, name = line.split("|")[-2].strip().strip("`").partition("::")
        assert (tests / path).is_file(), line
        assert f"def {name}(" in (tests / path).read_text(), line
