"""The page `/`: what the server does at this moment, in sections that are renewed one by one.

`SECTIONS` writes what is in each of them, for the page and for the events that renew it; `page` frames them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clusterdns.admin.page import Page
from clusterdns.plugins.dashboard.views import figures
from clusterdns.plugins.dashboard.views.layout import REFRESH_SECONDS, framed, section
from clusterdns.plugins.dashboard.views.links import link_to_name, service_link
from clusterdns.plugins.dashboard.views.markup import Content, Markup, element, foreign, join
from clusterdns.plugins.dashboard.views.question import question_form
from clusterdns.plugins.dashboard.views.server import cluster, process, server_state, upstreams
from clusterdns.plugins.dashboard.views.tables import NUMBER, OPTIONAL, WIDE, WORD, Column, table

_RATE = Column("per second", NUMBER)


def page(shown: Mapping[str, Markup], *, refreshes: bool) -> Page:
    """Make the page of sections that are written; without JavaScript it loads itself anew, unless that is off."""

    def live(name: str, heading: str, class_: str = "") -> Markup:
        return section(name, heading, element("div", shown[name], id=name, data_live=True), class_=class_)

    content = join(
        element("h1", "Cluster DNS, live"),
        element("div", shown["state"], id="state", data_live=True),
        element("p", "", id="connection", role="status", class_="connection"),
        _without_javascript(refreshes=refreshes),
        question_form({}),
        live("figures", "Figures", "figures"),
        element(
            "div",
            element(
                "div",
                live("names", "Top names"), live("nxdomain", "Top NXDOMAIN"), live("servfail", "Top SERVFAIL"),
                live("clients", "Top clients"),
            ),
            element(
                "div",
                live("changes", "Changes in the cluster"), live("answers", "Answers by code"),
                live("upstreams", "Upstreams"), live("cluster", "Cluster"), live("process", "Process"),
                live("shed", "Shed sources"),
            ),
            class_="columns",
        ),
    )  # fmt: skip
    return framed("Live", "/", content, is_live=refreshes)


def _without_javascript(*, refreshes: bool) -> Markup:
    if refreshes:
        text = f"This page loads itself anew every {REFRESH_SECONDS} s. "
        other = element("a", "Stop", href="/?refresh=off")
    else:
        text, other = "This page stays as it is. ", element("a", "Load it anew every few seconds", href="/")
    said = element("p", text, other, class_="note")
    return element("noscript", said) if refreshes else said


def _figures(document: Mapping[str, Any]) -> Markup:
    rates, history = document["rates"], document["history"]
    questions, p99 = history["questions"], history["p99_seconds"]
    known = [one for one in p99 if one is not None]
    span = f"over the last {len(questions)} s"
    return element(
        "dl",
        _figure(
            "Questions per second", figures.rate(rates["questions"]),
            figures.sparkline(questions, f"{span}: at most {figures.rate(max(questions, default=0))}"),
        ),
        _figure(
            "p99 latency", figures.seconds(rates["p99_seconds"]),
            figures.sparkline(p99, f"{span}: at most {figures.seconds(max(known, default=None))}"),
        ),
        _figure("p50 latency", figures.seconds(rates["p50_seconds"])),
        _figure("Answer table hits", figures.share(rates["hit_ratio"])),
        _figure("Cache hits", figures.share(rates["cache_hit_ratio"])),
    )  # fmt: skip


def _figure(name: str, value: str, picture: Markup | None = None) -> Markup:
    return element("div", element("dt", name), element("dd", value, picture))


def _names(document: Mapping[str, Any]) -> Markup:
    columns = (Column("name", WIDE), Column("type", WORD), _RATE, Column("share", OPTIONAL))
    total = document["rates"]["questions"]
    cells = (
        (link_to_name(row["name"], row["type"]), row["type"], *_rate_with_bar(row["per_second"], total))
        for row in document["names"]
    )
    return table("Names that are asked for most", columns, cells, "No questions in the last seconds.")


def _clients(document: Mapping[str, Any]) -> Markup:
    columns = (Column("address, and pod", WIDE), _RATE, Column("share", OPTIONAL))
    total = document["rates"]["questions"]
    cells = (
        (join(foreign(row["address"]), _below(row["name"])), *_rate_with_bar(row["per_second"], total))
        for row in document["clients"]
    )
    return table("Clients that ask most", columns, cells, "No questions in the last seconds.")


def _failing(caption: str, rows: Iterable[Mapping[str, Any]]) -> Markup:
    cells = (
        (
            join(link_to_name(row["name"], row["type"], is_failing=True), _below(row["why"])),
            row["type"],
            figures.rate(row["per_second"]),
        )
        for row in rows
    )
    return table(
        caption, (Column("name, and why", WIDE), Column("type", WORD), _RATE), cells, "None in the last seconds."
    )


def _below(text: str) -> Markup | None:
    return element("span", foreign(text), class_="why") if text else None


def _rate_with_bar(per_second: float, total: float) -> tuple[Content, Content]:
    return figures.rate(per_second), figures.bar(per_second, total)


def _changes(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = (Column("object, and change", WIDE), Column("answered after", NUMBER), Column("at", NUMBER))
    cells = (
        (
            join(service_link(row["object"]), _below(row["text"])), figures.seconds(row["seconds"]),
            element("time", row["at"][11:19], datetime=row["at"]),
        )
        for row in rows
    )  # fmt: skip
    return table("Changes of Services, endpoints and namespaces, the newest first", columns, cells, "No change yet.")


def _answers(answers: Mapping[str, float], unanswered: Mapping[str, float]) -> Markup:
    rows = sorted(answers.items(), key=lambda row: -row[1])
    rows += [(f"no answer: {reason}", one) for reason, one in unanswered.items() if one]
    total = sum(one for _, one in rows)
    columns = (Column("code"), _RATE, Column("share", "picture"))
    cells = ((name, figures.rate(value), figures.bar(value, total)) for name, value in rows)
    return table("Answers by response code, and messages without an answer", columns, cells, "None yet.")


def _shed(rows: Iterable[Mapping[str, Any]]) -> Markup:
    cells = ((foreign(row["source"]), foreign(row["why"]), figures.rate(row["per_second"])) for row in rows)
    columns = (Column("source"), Column("why", WIDE), _RATE)
    return table("Sources whose questions are not answered at present", columns, cells, "All sources are answered.")


# in the order in which they are written and sent
SECTIONS: Mapping[str, Callable[[Mapping[str, Any]], Markup]] = {
    "state": server_state,
    "figures": _figures,
    "names": _names,
    "nxdomain": lambda document: _failing("Names that do not exist and are asked for most", document["nxdomain"]),
    "servfail": lambda document: _failing("Names that fail most", document["servfail"]),
    "clients": _clients,
    "changes": lambda document: _changes(document["changes"]),
    "answers": lambda document: _answers(document["rates"]["answers"], document["rates"]["unanswered"]),
    "upstreams": lambda document: upstreams(document["sections"].get("upstreams", ())),
    "cluster": lambda document: cluster(document["sections"].get("kubernetes", ())),
    "process": process,
    "shed": lambda document: _shed(document["shed"]),
}
