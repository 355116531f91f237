"""The table of docs/conformance.md: runs `clusterdns conform` against clusterdns, CoreDNS and Knot, and writes it.

    python -m bench.conformance          # first: make control-plane peers

clusterdns and CoreDNS serve one control plane, where the suite makes its objects; Knot serves the suite's zone file.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testing import conformance, controlplane
from testing.conformance import COREDNS, KNOT, KNOWN, OURS
from testing.multicluster import CRD

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
MARK = "<!-- from here on made by `python -m bench.conformance` -->\n"
PARTS = {"spec": "Kubernetes DNS-based service discovery 1.1.0", "mcs": "Multicluster DNS (KEP-1645)", "rfc": "RFCs"}
NAMES = {OURS: "clusterdns", COREDNS: "CoreDNS 1.15", KNOT: "Knot 3.2"}

Reports = dict[str, dict[str, Any]]


def reports() -> Reports:
    """Run the suite against the three servers."""
    found: Reports = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        with controlplane.shared(folder / "control-plane") as cluster:
            cluster.apply(CRD)
            for name in (OURS, COREDNS):
                with conformance.live(name, cluster, folder) as address:
                    found[name] = conformance.run(address, ["--kubeconfig", str(cluster.kubeconfig)])
        with conformance.knot(folder) as address:
            found[KNOT] = conformance.run(address, ["--part", "rfc"])
    return found


def page(by_hand: str, found: Reports) -> str:
    """Return the whole page, given what is written by hand. Raises ValueError at a failure without a known reason."""
    return by_hand + MARK + "\n" + "\n".join([*_totals(found), *_failures(found)])


def by_hand() -> str:
    """Return what stands above the mark now."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0]


def _totals(found: Reports) -> Iterator[str]:
    yield "## Results\n"
    yield "Cases that pass, of those asked.\n"
    yield f"| part | level | {' | '.join(NAMES.values())} |\n|---|---|{'---:|' * len(NAMES)}"
    for part, title in PARTS.items():
        for level in ("must", "should", "may"):
            cells = [_cell(found[name]["cases"], part, level) for name in NAMES]
            if any(cells):
                yield f"| {title} | {level} | {' | '.join(cells)} |"
    yield ""


def _cell(cases: list[dict[str, Any]], part: str, level: str) -> str:
    verdicts = Counter(one["verdict"] for one in cases if (one["part"], one["level"]) == (part, level))
    return f"{verdicts['pass']} of {verdicts.total()}" if verdicts else ""


def _failures(found: Reports) -> Iterator[str]:
    for name, title in NAMES.items():
        failed = conformance.failures(found[name])
        yield f"## What {title} fails\n"
        yield "| cases | number | level | why |\n|---|---:|---|---|" if failed else "Nothing."
        levels = {one["id"]: one["level"] for one in found[name]["cases"]}
        for one in KNOWN[name]:
            ids = [case for case in failed if conformance.known(name, case) is one]
            of_levels = ", ".join(sorted({levels[case] for case in ids}))
            yield f"| `{one.pattern}` | {len(ids)} | {of_levels} | {one.reason} |"
        unknown = [case for case in failed if conformance.known(name, case) is None]
        if unknown:
            raise ValueError(f"{title} fails cases without a known reason: {', '.join(unknown)}")
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page(by_hand(), reports()), encoding="utf-8")
