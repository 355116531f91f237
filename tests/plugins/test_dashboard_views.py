"""HTML of the dashboard: hostile texts stay texts, and numbers are written for people."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from fakes.pictures import document, service
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.admin.page import Page
from clusterdns.plugins.dashboard.views import corefile, explain, figures, overview
from clusterdns.plugins.dashboard.views import service as service_view
from clusterdns.plugins.dashboard.views.markup import MAX_TEXT, Markup, element, foreign, foreign_name, join
from clusterdns.plugins.dashboard.views.question import question_form
from clusterdns.server.explaining.explanation import (
    ChainStep,
    ExplainedAnswer,
    ExplainedEndpoint,
    ExplainedPort,
    ExplainedService,
    ExplainedSlice,
    ExplainedVerdict,
    Explanation,
    SearchStep,
    SearchWalk,
    UpstreamAttempt,
    as_tree,
)

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "closing": "</td></table></section></main></body>",
    "entity": "&lt;b&gt;&#60;",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "bidi": "\u202egnp.exe\u2066\u200f\u061c",
    "lines": "one\r\ntwo\n\ndata: x\n\nevent: state\u2028",
    "255 bytes": ".".join(["a" * 63] * 3 + ["b" * 61]) + ".",
    "escaped": ".".join([r"\000" * 63] * 3) + ".",
    "long": "x" * 5000,
    "surrogate": "\ud800",
    "null": "\0",
    "link": "javascript:alert(1)//",
    "path": "../../etc/passwd",
}
INNER = ChainStep("x", "x", "x", "x", "x", "x", "x", 0.1, 5)
EXPLANATION = Explanation(
    "a.", "A", "10.0.0.1", "b", "c.", ExplainedVerdict("resolves", "x", "x", "x", "x"),
    ExplainedAnswer("NOERROR", ["x"], ["x"], 30, ["x"]),
    [ChainStep("x", "x", "x", "x", "passed on", "x", "x", 0.1, 0, [INNER])],
    [UpstreamAttempt("x", "x", 0.1, "x")],
    [
        ExplainedService(
            "x", "x", True, True, type="x", cluster_ips=["x"], external_name="x", selector={"x": "x"},
            near_selector="x", publishes_not_ready=True, ip_families=["x"], place="x",
            ports=[ExplainedPort("x", 1, "x", "x", 2, "x")], slices=[ExplainedSlice("x", "x", 1, ["x"])], slice_count=1,
            endpoints=[ExplainedEndpoint(["x"], "x", False, "x", "x", "x", "x", "x", "x", "x")],
            endpoint_count=10_000, listed_count=9_999, problems=["x"], unseen=["x"],
        ),
        ExplainedService("x", "x", False, False),
        ExplainedService("x", "x", False, True),
    ],
    ["x"], "x", "x", ["x"],
    [SearchWalk("x", [SearchStep("x", {"x": "x"}, "x")], "x", ""), SearchWalk("x", [], "", "x")], ["x"],
)  # fmt: skip


class Reader(HTMLParser):
    """Collects the elements, attributes and texts of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, set[str]] = {}
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def hostile_document(text: str) -> dict[str, Any]:
    """Make a document in which every text from outside is this one."""
    row = {"name": text, "type": text, "per_second": 1.0, "why": text}
    return document(
        state=text, warnings={text: text}, not_ready={text: text},
        names=[row, {**row, "name": f"{text}.{text}.svc.cluster.local."}], nxdomain=[row], servfail=[row],
        clients=[{"address": text, "name": text, "per_second": 1.0}],
        changes=[{"at": text, "object": text, "kind": text, "text": text, "seconds": 0.1},
                 {"at": text, "object": f"{text}/{text}", "kind": text, "text": text, "seconds": 0.1}],
        shed=[{"source": text, "per_second": 1.0, "why": text}],
        sections={
            "kubernetes": [
                {"state": text, "reason": text, "server": text, "kinds": [
                    {"kind": text, "objects": 1, "connected": False, "staleness_seconds": 1.0, "last_event": text}]},
                {"state": text, "manifests": [text]},
            ],
            "upstreams": [{"zone": text, "to": text, "transport": text, "health": text, "failed_checks": 1}],
        },
    )  # fmt: skip


def sections(content: Mapping[str, Any]) -> dict[str, Markup]:
    return {name: write(content) for name, write in overview.SECTIONS.items()}


def whole(content: Mapping[str, Any]) -> Page:
    return overview.page(sections(content), refreshes=True)


def skeleton(text: str) -> list[str]:
    return Reader(text).tags


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_shown_and_never_interpreted(text: str) -> None:
    harmless = whole(hostile_document("x")).body.decode()
    page = whole(hostile_document(text)).body.decode()
    found = Reader(page)
    assert set(found.tags) <= set(skeleton(harmless))
    assert found.tags.count("script") == 1
    assert not any(name.startswith("on") for name in found.attributes)
    assert found.attributes["href"] >= {"/style.css", "#main"}
    links = found.attributes["href"] - {"/", "/style.css", "/explain", "/corefile", "#main"}
    assert all(one.startswith(("/service/", "/explain?", "/?", "data:image/svg+xml,")) for one in links), links
    assert all(".." not in one.split("/") for one in links)
    assert not any(ord(one) < 32 and one != "\n" for one in page)
    assert not set(page) & set("\x1b\x9b\u202e\u2066\u200f\u061c\u2028\ud800\0")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_fragment_is_one_line_because_an_event_ends_at_a_line_break(text: str) -> None:
    for html in sections(hostile_document(text)).values():
        assert len(html.splitlines()) <= 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_in_other_pages(text: str) -> None:
    names = [{"name": text, "type": text, "records": [text], "count": 30}]
    ends = [{"address": text, "state": text, "pod": text, "node": text, "zone": text}]
    made = service({}, namespace=text, name=text, type=text, verdict=text, names=names, endpoints=ends,
                   endpoint_count=10_000, per_second={text: 1.0})  # fmt: skip
    pages = [
        service_view.page(made).body.decode(),
        corefile.page({"sha512": text, "files": {text: f"a {text}\n\tb"}}, is_hidden=False).body.decode(),
        str(question_form({"name": text, "type": text, "from": text})),
    ]
    for page in pages:
        found = Reader(page)
        assert not {"script", "img"} & set(found.tags)
        assert not any(name.startswith("on") for name in found.attributes)
        assert not set(page) & set("\x1b\x9b\u202e\u2066\u200f\u061c\u2028\ud800\0")


def everywhere(value: Any, text: str) -> Any:
    """Replace every text of an explanation, but for the words that decide how it is written."""
    match value:
        case str():
            return value if value in ("resolves", "passed on", "") else text
        case dict():
            return {key: everywhere(one, text) for key, one in value.items()}
        case list():
            return [everywhere(one, text) for one in value] * 2
    return value


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_in_an_explanation(text: str) -> None:
    found = everywhere(as_tree(EXPLANATION), text)
    page = join(explain.verdict(found), explain.explanation(found))
    read = Reader(page)
    harmless = explain.explanation(everywhere(as_tree(EXPLANATION), "x"))
    assert set(read.tags) <= {"strong", "span", "wbr", *skeleton(harmless)}
    assert not {"script", "img"} & set(read.tags)
    assert not any(name.startswith("on") for name in read.attributes)
    assert not set(page) & set("\x1b\x9b\u202e\u2066\u200f\u061c\u2028\ud800\0")


def test_an_explanation_of_many_steps_is_cut() -> None:
    found = as_tree(EXPLANATION)
    found["steps"] = found["steps"] * 1000
    assert explain.explanation(found).count("<li") < 200
    assert "more</li>" in explain.explanation(found)


@given(st.text(max_size=300))
def test_any_text_is_what_the_browser_shows_but_for_escapes(text: str) -> None:
    found = Reader(element("p", foreign(text), title=text))
    assert set(found.tags) <= {"p", "bdi"}
    if text.isascii() and text.isprintable():
        assert "".join(found.texts) == text
        assert found.attributes["title"] == {text}


@given(st.text(max_size=300))
def test_a_name_may_break_after_its_dots(text: str) -> None:
    found = Reader(foreign_name(text))
    assert set(found.tags) <= {"bdi", "wbr"}
    assert "".join(found.texts) == "".join(Reader(foreign(text)).texts)


def test_a_text_of_any_length_is_cut() -> None:
    assert len(join("x" * 100_000)) == MAX_TEXT + 1


def test_elements_and_attributes() -> None:
    assert element("a", "x", href="/", class_="b", aria_label="c") == '<a href="/" class="b" aria-label="c">x</a>'
    assert element("input", required=True, disabled=False, value=None, min=0) == '<input required min="0"/>'
    assert join("a<", None, 1, [element("b"), ["c"]]) == "a&lt;1<b></b>c"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.004, "0.00"), (0.04, "0.04"), (1.25, "1.2"), (45.61, "45.6"), (12_345.6, "12,346")],
)
def test_rates(value: float, shown: str) -> None:
    assert figures.rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.00004, "40 µs"), (0.0004, "0.4 ms"), (0.014, "14 ms"), (0.5, "500 ms"), (3.21, "3.2 s"),
     (62.0, "62 s"), (600.0, "10 min"), (9000.0, "2.5 h")],
)  # fmt: skip
def test_durations(value: float | None, shown: str) -> None:
    assert figures.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.9999, "99.9 %"), (0.64, "64 %"), (0.981, "98.1 %")],
)
def test_shares(value: float | None, shown: str) -> None:
    assert figures.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0.0 MiB"), (3 << 19, "1.5 MiB"), (170 << 20, "170 MiB"), (5 << 30, "5,120 MiB")],
)
def test_sizes(value: int | None, shown: str) -> None:
    assert figures.size(value) == shown


@pytest.mark.parametrize(
    ("values", "lines"),
    [([], 0), ([1.0], 0), ([1.0, 2.0], 1), ([None, None], 0), ([1.0, 2.0, None, 3.0, 4.0], 2), ([0.0, 0.0], 1)],
)
def test_a_sparkline_has_gaps_where_nothing_is_known(values: list[float | None], lines: int) -> None:
    drawn = figures.sparkline(values, "rates")
    assert drawn.count("<polyline") == lines
    assert 'role="img" aria-label="rates"' in drawn
    assert "nan" not in drawn


@pytest.mark.parametrize(("part", "whole", "width"), [(1, 4, "25.0"), (5, 4, "100.0"), (1, 0, "0.0"), (0, 4, "0.0")])
def test_bars(part: float, whole: float, width: str) -> None:
    assert f'width="{width}"' in figures.bar(part, whole)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"looked_at": 0.25}, "the tables are of 25 % of the answers"),
        ({"shed": [{"source": "10.0.0.9", "per_second": 5.0, "why": "too many"}]}, "too many"),
        ({"sections": {}}, "No “kubernetes” block."),
    ],
)
def test_what_a_document_says(changes: Mapping[str, Any], shown: str) -> None:
    assert shown in whole(document(**changes)).body.decode()
