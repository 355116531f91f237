"""Tables of search lists: a name, what each candidate gives, and what glibc and musl make of it."""

from typing import NamedTuple

from clusterdns.server.explaining.searching.search_list import Results, SearchList

CLUSTER = SearchList(("prod.svc.cluster.local", "svc.cluster.local", "cluster.local"))
NS, SVC, ZONE = "prod.svc.cluster.local.", "svc.cluster.local.", "cluster.local."
BOTH: Results = {"A": "NOERROR", "AAAA": "NODATA"}
NODATA: Results = {"A": "NODATA", "AAAA": "NODATA"}
NXDOMAIN: Results = {"A": "NXDOMAIN", "AAAA": "NXDOMAIN"}
SERVFAIL: Results = {"A": "SERVFAIL", "AAAA": "SERVFAIL"}
HALF: Results = {"A": "NOERROR", "AAAA": "SERVFAIL"}
REFUSED: Results = {"A": "REFUSED", "AAAA": "REFUSED"}

Ending = tuple[list[str], str]  # the names tried, and the name found or the error


class SearchRow(NamedTuple):
    """One walk of each stub resolver."""

    id: str
    name: str
    search: SearchList
    known: dict[str, Results]
    glibc: Ending
    musl: Ending
    otherwise: Results = NXDOMAIN  # what names give that are not known


def _same(id: str, name: str, known: dict[str, Results], tried: list[str], end: str) -> SearchRow:
    return SearchRow(id, name, CLUSTER, known, (tried, end), (tried, end))


def _below(name: str, *ends: str) -> list[str]:
    return [f"{name}.{end}" for end in ends]


ROWS = (
    _same("no dot", "web", {f"web.{NS}": BOTH}, [f"web.{NS}"], f"web.{NS}"),
    _same("one dot", "web.dev", {f"web.dev.{SVC}": BOTH}, _below("web.dev", NS, SVC), f"web.dev.{SVC}"),
    _same("two dots", "web.prod.svc", {f"web.prod.svc.{ZONE}": BOTH}, _below("web.prod.svc", NS, SVC, ZONE),
          f"web.prod.svc.{ZONE}"),
    _same("outside", "www.example.com", {"www.example.com.": BOTH}, _below("www.example.com", NS, SVC, ZONE, ""),
          "www.example.com."),
    _same("final dot", "www.example.com.", {"www.example.com.": BOTH}, ["www.example.com."], "www.example.com."),
    _same("five dots", "a.b.c.d.e.f", {"a.b.c.d.e.f.": BOTH}, ["a.b.c.d.e.f."], "a.b.c.d.e.f."),
    _same("nowhere", "nope", {}, _below("nope", NS, SVC, ZONE, ""), "EAI_NONAME"),
    _same("nowhere, final dot", "nope.", {}, ["nope."], "EAI_NONAME"),
    SearchRow("NODATA in the list", "db.dev", CLUSTER, {f"db.dev.{NS}": NODATA, f"db.dev.{SVC}": BOTH},
              (_below("db.dev", NS, SVC), f"db.dev.{SVC}"), ([f"db.dev.{NS}"], "EAI_NODATA")),
    SearchRow("NODATA remembered", "db.dev", CLUSTER, {f"db.dev.{NS}": NODATA},
              (_below("db.dev", NS, SVC, ZONE, ""), "EAI_NODATA"), ([f"db.dev.{NS}"], "EAI_NODATA")),
    SearchRow("SERVFAIL in the list", "db.dev", CLUSTER, {f"db.dev.{NS}": SERVFAIL, f"db.dev.{SVC}": BOTH},
              (_below("db.dev", NS, SVC), f"db.dev.{SVC}"), ([f"db.dev.{NS}"], "EAI_AGAIN")),
    SearchRow("SERVFAIL remembered", "db", CLUSTER, {f"db.{NS}": SERVFAIL},
              (_below("db", NS, SVC, ZONE, ""), "EAI_AGAIN"), ([f"db.{NS}"], "EAI_AGAIN")),
    SearchRow("SERVFAIL for AAAA alone", "db", CLUSTER, {f"db.{NS}": HALF}, ([f"db.{NS}"], f"db.{NS}"),
              ([f"db.{NS}"], "EAI_AGAIN")),
    SearchRow("REFUSED in the list", "db", CLUSTER, {f"db.{NS}": REFUSED, "db.": BOTH},
              ([f"db.{NS}", "db."], "db."), ([f"db.{NS}"], "EAI_AGAIN")),
    SearchRow("ndots dots", "a.b", SearchList(("x.test",), 1), {"a.b.x.test.": BOTH},
              (["a.b.", "a.b.x.test."], "a.b.x.test."), (["a.b."], "EAI_NONAME")),
    SearchRow("the first failure", "a.b", SearchList(("x.test",), 1), {"a.b.": SERVFAIL, "a.b.x.test.": NODATA},
              (["a.b.", "a.b.x.test."], "EAI_AGAIN"), (["a.b."], "EAI_AGAIN")),
    SearchRow("the root in the list", "a", SearchList(("", "x.test"), 1), {"a.x.test.": BOTH},
              (["a.", "a.x.test."], "a.x.test."), (["a.x.test."], "a.x.test.")),
    SearchRow("no list", "a", SearchList((), 1), {"a.": BOTH}, (["a."], "a."), (["a."], "a.")),
)  # fmt: skip
