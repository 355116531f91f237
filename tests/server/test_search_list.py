"""The walks of glibc and musl through a search list, as tables of what each name gives."""

from collections.abc import Callable, Generator

import pytest

from clusterdns.server.explaining.explanation import SearchWalk
from clusterdns.server.explaining.searching.search_list import Results, SearchList, glibc_walk, musl_walk

Walk = Callable[[str, SearchList], Generator[str, Results, SearchWalk]]

CLUSTER = SearchList(("prod.svc.cluster.local", "svc.cluster.local", "cluster.local"))
NS, SVC, ZONE = "prod.svc.cluster.local.", "svc.cluster.local.", "cluster.local."
BOTH = {"A": "NOERROR", "AAAA": "NODATA"}
NODATA = {"A": "NODATA", "AAAA": "NODATA"}
NXDOMAIN = {"A": "NXDOMAIN", "AAAA": "NXDOMAIN"}
SERVFAIL = {"A": "SERVFAIL", "AAAA": "SERVFAIL"}
HALF = {"A": "NOERROR", "AAAA": "SERVFAIL"}
REFUSED = {"A": "REFUSED", "AAAA": "REFUSED"}


def walked(walk: Walk, name: str, search: SearchList, known: dict[str, Results]) -> tuple[list[str], str]:
    """The names that were tried, and the name found or the error."""
    walking = walk(name, search)
    tried = [next(walking)]
    while True:
        try:
            tried.append(walking.send(known.get(tried[-1], NXDOMAIN)))
        except StopIteration as ended:
            found: SearchWalk = ended.value
            assert [step.name for step in found.steps] == tried
            assert [step.effect for step in found.steps[:-1]] == ["tries the next name"] * (len(tried) - 1)
            return tried, found.found or found.failure


@pytest.mark.parametrize(
    ("name", "known", "tried", "glibc", "musl"),
    [
        ("web", {f"web.{NS}": BOTH}, [f"web.{NS}"], f"web.{NS}", f"web.{NS}"),
        ("web.dev", {f"web.dev.{SVC}": BOTH}, [f"web.dev.{NS}", f"web.dev.{SVC}"], f"web.dev.{SVC}", f"web.dev.{SVC}"),
        ("web.prod.svc", {f"web.prod.svc.{ZONE}": BOTH}, [f"web.prod.svc.{one}" for one in (NS, SVC, ZONE)],
         f"web.prod.svc.{ZONE}", f"web.prod.svc.{ZONE}"),
        ("www.example.com", {"www.example.com.": BOTH}, [f"www.example.com.{one}" for one in (NS, SVC, ZONE, "")],
         "www.example.com.", "www.example.com."),
        ("www.example.com.", {"www.example.com.": BOTH}, ["www.example.com."], "www.example.com.", "www.example.com."),
        ("nope", {}, [f"nope.{one}" for one in (NS, SVC, ZONE, "")], "EAI_NONAME", "EAI_NONAME"),
        ("nope.", {}, ["nope."], "EAI_NONAME", "EAI_NONAME"),
        ("web", {f"web.{NS}": NODATA, "web.": NODATA}, None, "EAI_NODATA", "EAI_NODATA"),
    ],
)  # fmt: skip
def test_both_try_the_same_names(
    name: str, known: dict[str, Results], tried: list[str] | None, glibc: str, musl: str
) -> None:
    for walk, expected in ((glibc_walk, glibc), (musl_walk, musl)):
        names, outcome = walked(walk, name, CLUSTER, known)
        assert outcome == expected
        assert tried is None or names == tried


@pytest.mark.parametrize(
    ("name", "search", "known", "glibc", "musl"),
    [
        pytest.param("db.dev", CLUSTER, {f"db.dev.{NS}": NODATA, f"db.dev.{SVC}": BOTH},
                     ([f"db.dev.{NS}", f"db.dev.{SVC}"], f"db.dev.{SVC}"), ([f"db.dev.{NS}"], "EAI_NODATA"),
                     id="musl stops at NODATA"),
        pytest.param("db.dev", CLUSTER, {f"db.dev.{NS}": SERVFAIL, f"db.dev.{SVC}": BOTH},
                     ([f"db.dev.{NS}", f"db.dev.{SVC}"], f"db.dev.{SVC}"), ([f"db.dev.{NS}"], "EAI_AGAIN"),
                     id="musl stops at SERVFAIL"),
        pytest.param("db", CLUSTER, {f"db.{NS}": HALF}, ([f"db.{NS}"], f"db.{NS}"), ([f"db.{NS}"], "EAI_AGAIN"),
                     id="musl fails where AAAA does"),
        pytest.param("db", CLUSTER, {f"db.{NS}": REFUSED, "db.": BOTH}, ([f"db.{NS}", "db."], "db."),
                     ([f"db.{NS}"], "EAI_FAIL"), id="glibc leaves the list at REFUSED"),
        pytest.param("db", CLUSTER, {f"db.{NS}": SERVFAIL}, ([f"db.{one}" for one in (NS, SVC, ZONE, "")], "EAI_AGAIN"),
                     ([f"db.{NS}"], "EAI_AGAIN"), id="SERVFAIL is remembered"),
        pytest.param("a.b", SearchList(("x.test",), 1), {"a.b.x.test.": BOTH},
                     (["a.b.", "a.b.x.test."], "a.b.x.test."), (["a.b."], "EAI_NONAME"),
                     id="musl does not search from ndots dots on"),
        pytest.param("a.b", SearchList(("x.test",), 1), {"a.b.": SERVFAIL, "a.b.x.test.": NODATA},
                     (["a.b.", "a.b.x.test."], "EAI_AGAIN"), (["a.b."], "EAI_AGAIN"), id="the first failure counts"),
        pytest.param("a", SearchList(("", "x.test"), 1), {"a.x.test.": BOTH}, (["a.", "a.x.test."], "a.x.test."),
                     (["a.x.test."], "a.x.test."), id="the root in the list"),
        pytest.param("a", SearchList((), 1), {"a.": BOTH}, (["a."], "a."), (["a."], "a."), id="no list"),
    ],
)  # fmt: skip
def test_where_they_differ(
    name: str, search: SearchList, known: dict[str, Results], glibc: tuple[list[str], str], musl: tuple[list[str], str]
) -> None:
    assert walked(glibc_walk, name, search, known) == glibc
    assert walked(musl_walk, name, search, known) == musl
