"""Questions about names outside the cluster to clusterdns and CoreDNS: every difference has a name.

The tables are in `cases/`; the named differences are in `resolving_differences`.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from differential.replies import ComparedReply, Line
from differential.resolving import CASES as FOLDER
from differential.resolving import TRIES, Case, Run, Side, alike, is_late, make_certificates, read_cases, run_both
from differential.resolving_differences import NAMES, UNCOUNTED, compare, compare_upstream, seen_names
from peers import need

from testing.peers import clusterdns

CASES = [case for path in sorted(FOLDER.glob("*.cases")) for case in read_cases(path)]
Runs = tuple[dict[str, Run], dict[str, Run]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run all cases on both servers, and once more on new ones those that differ and were asked late."""
    programs: dict[str, Path | str] = {"coredns": need("coredns"), "clusterdns": clusterdns()}
    folder = tmp_path_factory.mktemp("resolving")
    need("openssl")
    make_certificates(folder)
    found: Runs = {}, {}
    cases = CASES
    for number in range(TRIES):
        sides = [Side(name, one, folder / f"{name}-{number}", cases, folder) for name, one in programs.items()]
        run_both(*sides)
        for runs, side in zip(found, sides, strict=True):
            runs.update(side.runs)
        theirs, ours = found
        cases = [
            case
            for case in cases
            if is_late(theirs[case.name].replies, ours[case.name].replies) and differences(case, found)
        ]
        if not cases:
            break
    return found


def differences(case: Case, runs: Runs) -> list[str]:
    """List the differences between the runs of a case that have no name."""
    theirs, ours = runs[0][case.name], runs[1][case.name]
    found = [
        text
        for step, one, other in zip(case.steps(), theirs.replies, ours.replies, strict=True)
        for text in compare(case.block, step, one, other)
    ]
    return found + (compare_upstream(theirs.upstream, ours.upstream) if case.counted else [])


def test_names_of_cases_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_difference_without_a_name(runs: Runs, case: Case) -> None:
    theirs, ours = runs[0][case.name], runs[1][case.name]
    assert (theirs.refused, ours.refused) == ("", "")
    found = differences(case, runs)
    shown = "\n".join(found)
    assert not found, f"{len(found)} differences:\n{shown}"


@pytest.mark.peer("coredns")
def test_every_named_difference_is_seen(runs: Runs) -> None:
    seen_names.clear()
    for case in CASES:
        for step, one, other in zip(case.steps(), runs[0][case.name].replies, runs[1][case.name].replies, strict=True):
            compare(case.block, step, one, other)
    assert set(NAMES) - set(seen_names) == set()


@pytest.mark.peer("coredns")
def test_a_wrong_answer_is_reported(runs: Runs) -> None:
    tried = 0
    for case in CASES:
        for step, one, other in zip(case.steps(), runs[0][case.name].replies, runs[1][case.name].replies, strict=True):
            if other.answer and not set(step.question.name.split(".")) & UNCOUNTED:
                wrong = (other.answer[0]._replace(rdata="192.0.2.254"), *other.answer[1:])
                assert compare(case.block, step, one, replace(other, answer=wrong)), str(step)
                assert compare(case.block, step, one, replace(other, answer=())), str(step)
                assert compare(case.block, step, one, replace(other, rcode=9)), str(step)
                tried += 1
    assert tried > 500


@pytest.mark.parametrize(
    ("late_seconds", "ttl", "expected"), [(0.1, 29, True), (0.1, 28, False), (2.5, 27, True), (2.5, 26, False)]
)
def test_a_ttl_may_differ_by_a_second_more_than_a_reply_is_late(late_seconds: float, ttl: int, expected: bool) -> None:
    at_once, late = (
        ComparedReply(answer=(Line("@", "A", seconds, "192.0.2.1"),), late_seconds=after)
        for seconds, after in ((30, 0.0), (ttl, late_seconds))
    )
    assert alike(at_once, late) == alike(late, at_once) == expected
