"""The document of /status as text."""

from typing import Any

import pytest

from clusterdns.telemetry.status_text import as_text, timestamp

DOCUMENT: dict[str, Any] = {
    "state": "stale",
    "corefile_sha512": "ab12",
    "warnings": {"kubernetes": "not known to be current: Service 12s"},
    "kubernetes": [
        {
            "state": "stale",
            "stale_after_seconds": 10.0,
            "kinds": [
                {"kind": "Namespace", "objects": 3, "connected": True, "staleness_seconds": 0.25},
                {"kind": "Service", "objects": 90, "connected": False, "relists": {"expired": 1, "garbled": 2}},
            ],
        }
    ],
    "upstreams": [{"zone": ".", "to": "9.9.9.9:53", "failed_checks": 0}],
}
TEXT = """\
state: stale
corefile sha512: ab12

warnings
  kubernetes: not known to be current: Service 12s

kubernetes
  state stale, stale after 10s
  KIND        OBJECTS   CONNECTED   STALENESS   RELISTS
  Namespace   3         yes         0.25s       -
  Service     90        no          -           expired 1, garbled 2

upstreams
  ZONE   TO           FAILED CHECKS
  .      9.9.9.9:53   0
"""


def test_a_document() -> None:
    assert as_text(DOCUMENT) == TEXT


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"state": "current"}, "state: current\n"),
        ({"state": "current", "kubernetes": []}, "state: current\nkubernetes: \n"),
        ({"kubernetes": [{"manifests": ["a", "b"]}]}, "\nkubernetes\n  MANIFESTS\n  a, b\n"),
        (
            {"kubernetes": [{"snapshot": {"file": "/a", "age_seconds": 2.5}, "state": "current"}]},
            "\nkubernetes\n  state current\n  snapshot: file /a, age 2.5s\n",
        ),
        (
            {"\x1b[2J": {"a\nb": "\x1b[31m"}, "rows": [{"\u202e": "\x07", "list": ["\x9b"], "map": {"\r": "\t"}}]},
            "\n\\x1b[2J\n  a\\nb: \\x1b[31m\n\nrows\n  \\u202e \\x07, list \\x9b\n  map: \\r \\t\n",
        ),
        ({"state": "x" * 2000}, f"state: {'x' * 1000}…\n"),
        ({"kubernetes": [{"kinds": []}]}, "\nkubernetes\n  KINDS\n\n"),
    ],
)
def test_sections_that_are_empty_or_simple(document: dict[str, Any], text: str) -> None:
    assert as_text(document) == text


def test_times_are_rfc_3339() -> None:
    assert timestamp(1_700_000_000.9) == "2023-11-14T22:13:20Z"
