"""The results of the benchmarks: parsing of dnsperf's output, ratios of rounds, targets, and plots."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import load, objects, plots, report
from bench.results import LIMITS, TARGETS, Figures, Ratio, Results
from bench.servers import COREDNS, OURS

OUTPUT = """\
DNS Performance Testing Tool
[Status] Sending queries (to 127.0.0.1:15353)
> NOERROR a.test A 0.000331
> T b.test A
> NXDOMAIN c.test AAAA 0.000068

Statistics:

  Queries sent:         3
  Queries completed:    2 (66.67%)
  Queries lost:         1 (33.33%)

  Response codes:       NOERROR 1 (50.00%), NXDOMAIN 1 (50.00%)
  Average packet size:  request 35, response 87
  Run time (s):         0.500000
  Queries per second:   4.000000

  Average Latency (s):  0.000117 (min 0.000063, max 0.000331)
"""


def figures() -> Figures:
    found = Figures()
    for ours, theirs in ((300.0, 100.0), (310.0, 90.0), (290.0, 100.0)):
        found.add("names_per_cpu_second", OURS, ours)
        found.add("names_per_cpu_second", COREDNS, theirs)
    for milliseconds in range(100):
        found.add("stale_ms", OURS, milliseconds / 10)
    return found


def results() -> Results:
    return Results(figures(), "2 cores", {"python": "3.11"}, "python -m bench.run", "2026-01-01T00:00:00+00:00")


def test_a_lost_query_has_the_latency_of_the_timeout() -> None:
    found = load.read_output(OUTPUT)
    assert (found.completed, found.lost, found.answers_per_second) == (2, 1, 4.0)
    assert found.codes == {"NOERROR": 1, "NXDOMAIN": 1}
    assert found.latencies_seconds == (0.000068, 0.000331, load.TIMEOUT_SECONDS)
    assert found.percentile_seconds(50) == 0.000331
    assert found.percentile_seconds(99.9) == load.TIMEOUT_SECONDS


def test_ratios_are_computed_per_round() -> None:
    ratio = figures().ratio(("names_per_cpu_second", OURS), ("names_per_cpu_second", COREDNS))
    assert ratio is not None
    assert tuple(ratio) == pytest.approx((2.9, 3.0, 3.444), abs=0.001)
    assert figures().ratio(("names_per_second", OURS), ("names_per_second", COREDNS)) is None
    assert TARGETS[0].is_met(Ratio(2.9, 3.0, 3.4))
    assert not TARGETS[0].is_met(Ratio(2.8, 2.9, 3.4))


def test_targets_that_were_not_measured_are_marked() -> None:
    rows = {title: (measured, verdict) for title, measured, _, verdict in report.target_rows(results())}
    assert rows["answers per CPU-second, against CoreDNS"] == ("2.90 / 3.00 / 3.44", "met")
    assert rows["answers per second, against CoreDNS"] == ("not measured", "")
    assert rows["correct after a change, p50, ms"] == ("5.00", "NOT met")


def test_limits_apply_to_the_worst_round() -> None:
    kept = results()
    for lost in (0, 0, 2):
        kept.figures.add("reload_lost", OURS, lost)
    kept.figures.add("stampede_upstream_queries", OURS, 1)
    rows = {title: (measured, verdict) for title, measured, _, verdict in report.target_rows(kept)}
    assert rows["lost during 20 reloads, at most"] == ("2", "NOT met")
    assert rows["upstream queries of a stampede, at most"] == ("1", "met")
    assert "unanswered over TCP, at most" not in rows


def test_a_ratio_without_a_target_has_no_verdict() -> None:
    kept = results()
    for server, value in ((OURS, 100.0), (COREDNS, 50.0)):
        kept.figures.add("forwarded_us", server, value)
    rows = {title: rest for title, *rest in report.target_rows(kept)}
    assert rows["CPU per forwarded query, against CoreDNS"] == ["2.00 / 2.00 / 2.00", "", ""]


@pytest.mark.parametrize("name", [*(target.over[0] for target in TARGETS), *(limit.figure for limit in LIMITS)])
def test_the_figure_of_every_target_is_in_the_table(name: str) -> None:
    assert name in report.ROWS


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "met" / "results.json"
    results().write(path)
    assert Results.read(path).figures.values == results().figures.values


def test_plots_are_xml_with_a_bar_for_each_server(tmp_path: Path) -> None:
    files = plots.write(results(), tmp_path)
    assert [path.name for path in files] == ["cost.svg", "freshness.svg"]
    bars = ET.parse(files[0]).getroot().findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["ours", "coredns"]


def test_there_are_2600_names() -> None:
    names = [name for name, _ in objects.names()]
    assert len(names) == len(set(names)) == 2600
    assert len(objects.questions()) == 7800
