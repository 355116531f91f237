"""Questions about names outside the cluster to clusterdns and CoreDNS: every difference has a name.

The tables are in `cases/`; the named differences are in `resolving_differences`.
"""

from dataclasses import replace

import pytest
from differential.resolving import CASES as FOLDER
from differential.resolving import Case, Run, Side, make_certificates, read_cases, run_both
from differential.resolving_differences import NAMES, UNCOUNTED, compare, compare_upstream, seen_names
from peers import need

from testing.peers import clusterdns

CASES = [case for path in sorted(FOLDER.glob("*.cases")) for case in read_cases(path)]
Runs = tuple[dict[str, Run], dict[str, Run]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run all cases on both servers."""
    coredns = need("coredns")
    folder = tmp_path_factory.mktemp("resolving")
    need("openssl")
    make_certificates(folder)
    theirs = Side("coredns", coredns, folder / "theirs", CASES, folder)
    ours = Side("clusterdns", clusterdns(), folder / "ours", CASES, folder)
    run_both(theirs, ours)
    return theirs.runs, ours.runs


def test_names_of_cases_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_difference_without_a_name(runs: Runs, case: Case) -> None:
    theirs, ours = runs[0][case.name], runs[1][case.name]
    assert (theirs.refused, ours.refused) == ("", "")
    found = [
        text
        for step, one, other in zip(case.steps(), theirs.replies, ours.replies, strict=True)
        for text in compare(case.block, step, one, other)
    ]
    if case.counted:
        found += compare_upstream(theirs.upstream, ours.upstream)
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
