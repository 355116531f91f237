"""The report of problems: one line when a problem appears, one when it is resolved, and a gauge in between."""

import logging

import pytest

from clusterdns.cluster.manifests.problems import MAX_LOGGED, Category, Problem, ProblemReport
from clusterdns.telemetry.metrics import Registry

WEB = Problem.of_object(Category.ENDPOINTS, "a.yaml:3", "Service", ("prod", "web"), "no pods")
BROKEN = Problem(Category.FILE, "b.yaml", "b.yaml:7", "not YAML")


def gauge(registry: Registry) -> dict[str, float]:
    family = registry.gauge("clusterdns_manifest_problems", "Problems with manifests at present.", "problem")
    return {labels[0]: series.value for labels, series in family.series.items()}


def taken(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return what was logged since the last call, as (level, text)."""
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def info_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_problem_is_logged_when_it_appears_and_when_it_is_resolved(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    report = ProblemReport(registry)
    for _ in range(3):
        report.update([BROKEN, WEB])
    assert taken(caplog) == [
        ("ERROR", "b.yaml:7: not YAML; serving its last good content, if any"),
        ("WARNING", "a.yaml:3: Service prod/web: no pods"),
    ]
    assert gauge(registry) == {"file": 1, "endpoints": 1}
    assert report.summary == "b.yaml:7: not YAML; a.yaml:3: Service prod/web: no pods"
    for _ in range(3):
        report.update([WEB])
    assert taken(caplog) == [("INFO", "resolved: b.yaml:7: not YAML")]
    report.update([])
    assert taken(caplog) == [("INFO", "resolved: a.yaml:3: Service prod/web: no pods")]
    assert (gauge(registry), report.summary) == ({"file": 0, "endpoints": 0}, "")
    report.update([WEB])
    assert len(taken(caplog)) == 1, "a problem that comes back is logged again"


@pytest.mark.parametrize(
    ("then", "logged"),
    [
        (WEB._replace(location="a.yaml:9"), []),  # lines were inserted above it
        (WEB._replace(text="Service prod/web: no ports"), ["a.yaml:3: Service prod/web: no ports"]),
        (WEB._replace(category=Category.PART),
         ["a.yaml:3: Service prod/web: no pods", "resolved: a.yaml:3: Service prod/web: no pods"]),
    ],
)  # fmt: skip
def test_a_problem_that_changes(
    registry: Registry, caplog: pytest.LogCaptureFixture, then: Problem, logged: list[str]
) -> None:
    report = ProblemReport(registry)
    report.update([WEB])
    taken(caplog)
    report.update([then])
    assert [text for _, text in taken(caplog)] == logged
    assert report.summary == then.line, "the current line is shown"


def test_two_unnamed_objects_are_two_problems(registry: Registry) -> None:
    report = ProblemReport(registry)
    report.update([Problem.of_object(Category.SKIPPED, f"a.yaml:{line}", "Pod", ("", ""), "x") for line in (1, 9)])
    assert gauge(registry) == {"skipped": 2}


def test_many_problems_are_few_lines(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    many = [WEB._replace(subject=str(number), location=f"{number}.yaml") for number in range(MAX_LOGGED + 7)]
    report = ProblemReport(registry)
    report.update(many)
    assert taken(caplog)[-1] == ("WARNING", "manifests: 7 more warnings, not logged")
    assert report.summary.endswith(f"; {MAX_LOGGED + 4} more problems with manifests, which are in the log")
    report.update([])
    assert taken(caplog)[-1] == ("INFO", "manifests: 7 more resolved, not logged")


def test_sources_share_the_gauge_and_leave_it_when_they_stop(registry: Registry) -> None:
    first, second = ProblemReport(registry), ProblemReport(registry)
    first.update([WEB, BROKEN])
    second.update([WEB])
    assert gauge(registry) == {"endpoints": 2, "file": 1}
    first.close()
    first.close()
    assert gauge(registry) == {"endpoints": 1, "file": 0}
