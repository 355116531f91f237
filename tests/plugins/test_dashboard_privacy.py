"""What `private` hides in texts, objects and the live document."""

import json
from typing import Any

import pytest
from fakes.pictures import document
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.plugins.dashboard.privacy import HIDDEN, Privacy

CLUSTER = ("cluster.local.", "10.in-addr.arpa.")


@pytest.mark.parametrize(
    ("zones", "name", "is_hidden"),
    [
        (None, "a.example.", False),
        ((), "a.example.", True),
        (("example.",), "a.example.", True),
        (("example.",), "A.EXAMPLE", True),
        (("example.",), "example.", True),
        (("example.",), "myexample.", False),
        (("example.",), "example.com.", False),
        ((".",), "a.example.", True),
        (("b.example.", "c.example."), "x.c.example.", True),
    ],
)
def test_names(zones: tuple[str, ...] | None, name: str, is_hidden: bool) -> None:
    assert Privacy(zones, CLUSTER).hides_name(name) == is_hidden


@pytest.mark.parametrize(
    ("zone", "clusters", "is_hidden"),
    [
        ("prod.svc.cluster.local.", CLUSTER, True),
        ("PROD.svc.other.local.", CLUSTER, True),  # another cluster's, perhaps this one's second zone
        ("db.prod.svc.cluster.local.", CLUSTER, True),
        ("web.prod.svc.cluster.local.", CLUSTER, False),
        ("test.svc.cluster.local.", CLUSTER, False),
        ("svc.cluster.local.", CLUSTER, True),
        ("cluster.local.", CLUSTER, True),
        ("local.", CLUSTER, True),
        ("corp.example.", CLUSTER, False),
        ("corp.example.", (), True),  # the cluster's zones are not known
    ],
)
def test_objects(zone: str, clusters: tuple[str, ...], is_hidden: bool) -> None:
    privacy = Privacy((zone,), clusters)
    assert privacy.hides_object("prod", "db") == is_hidden
    assert (privacy.text("pod prod/db is ready") == f"pod {HIDDEN} is ready") == is_hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("db.prod.svc.cluster.local. 5 IN A 10.96.0.20", f"{HIDDEN} 5 IN A 10.96.0.20"),
        ('namespace of "db.prod.svc.cluster.local."; did you mean x?', f'namespace of "{HIDDEN}"; did you mean x?'),
        ("CNAME to db.prod.svc.cluster.local: no answer", f"CNAME to {HIDDEN}: no answer"),
        ("Service prod/db and its EndpointSlices", f"Service {HIDDEN} and its EndpointSlices"),
        ("Service test/db exists", "Service test/db exists"),
        ("prod/db: endpoint 10.1.2.3 ready", f"{HIDDEN}: endpoint 10.1.2.3 ready"),
        ("see https://db.prod.svc.cluster.local:8080/path?a=b", f"see {HIDDEN}=b"),
        ("at db.prod.svc.cluster.local./A, db.prod.svc.cluster.local#53", f"at {HIDDEN}, {HIDDEN}"),
        ("to 192.0.2.53:853, fd00::1, 10.0.0.0/8", "to 192.0.2.53:853, fd00::1, 10.0.0.0/8"),
        ("  indented\n\tdb.prod.svc.cluster.local {", f"  indented\n\t{HIDDEN} {{"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert Privacy(("prod.svc.cluster.local.",), CLUSTER).text(text) == shown


def texts(value: Any) -> list[str]:
    """List every text of a tree, but for keys."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("zones", [(), (".",), ("corp.example.", ".")])
def test_without_zones_no_name_and_no_client_is_left(zones: tuple[str, ...]) -> None:
    shown = Privacy(zones, CLUSTER).document(document(warnings={"loop": "a loop at corp.example"}))
    left = json.dumps(shown)
    for word in ("prod", "batch", "googleapis", "10.244", "fd00", "corp.example", "importer"):
        assert word not in left
    assert [row["per_second"] for row in shown["names"]] == [402.0, 398.0, 12.0, 0.4]
    assert [row["type"] for row in shown["names"]] == ["A", "AAAA", "SRV", "A"]
    assert shown["rates"] == document()["rates"]


def test_with_a_zone_its_names_and_objects_are_hidden_and_others_are_shown() -> None:
    shown = Privacy(("prod.svc.cluster.local.",), CLUSTER).document(document())
    assert "prod/" not in json.dumps(shown)
    assert [row["name"] for row in shown["names"]][::3] == [HIDDEN, "storage.googleapis.com."]
    assert [(row["object"], row["text"]) for row in shown["changes"]] == [
        (HIDDEN, HIDDEN), ("batch/importer", "changed: port 8080"),
    ]  # fmt: skip
    assert shown["nxdomain"][0] == {"name": HIDDEN, "type": "A", "per_second": 99.0, "why": ""}
    assert shown["clients"][0] == {"address": "10.244.3.17", "name": f"pod {HIDDEN}", "per_second": 312.0}


def test_nothing_is_hidden_without_the_option() -> None:
    made = document()
    assert Privacy(None, CLUSTER).document(made) is made


@given(st.lists(st.from_regex(r"[a-z0-9-]{1,10}", fullmatch=True), min_size=1, max_size=4), st.text(max_size=20))
def test_a_private_name_is_hidden_wherever_it_stands_in_a_text(labels: list[str], around: str) -> None:
    name = ".".join([*labels, "corp", "example"])
    privacy = Privacy(("corp.example.",), CLUSTER)
    assert name not in privacy.text(f"{around} {name} {around}")
    for before, after in (("", ":"), ("(", ")"), ("“", "”"), ("https://", "/a"), ("a=", "&b"), ("x@", "#53")):
        assert name not in privacy.text(f"a {before}{name}{after} b")
