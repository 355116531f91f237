"""The page of a Service: its verdict, names and records, endpoints, and what of it is asked for."""

from collections.abc import Mapping
from typing import Any

from clusterdns.admin.page import Page
from clusterdns.plugins.dashboard.views import explain, figures
from clusterdns.plugins.dashboard.views.layout import framed, section
from clusterdns.plugins.dashboard.views.links import explain_path
from clusterdns.plugins.dashboard.views.markup import Markup, element, foreign, foreign_name, join, preformatted
from clusterdns.plugins.dashboard.views.server import badge
from clusterdns.plugins.dashboard.views.tables import NUMBER, OPTIONAL, WIDE, WORD, Column, table


def page(found: Mapping[str, Any]) -> Page:
    """Make the page of a Service that exists."""
    label = f"{found['namespace']}/{found['name']}"
    tree = found["explanation"]
    has_verdict = bool(tree) and "verdict" in tree
    return framed(
        f"Service {label}", "",
        element("h1", "Service ", foreign(label)),
        element("p", f"Type: {found['type']}"),
        explain.verdict(tree) if has_verdict else element("p", foreign(found["verdict"]), class_="verdict"),
        section("rates", "Questions per second", _rates(found["per_second"])),
        section("names", "Names", _names(found["names"])),
        section("endpoints", "Endpoints", _endpoints(found)),
        section("objects", "Objects", *map(_object, tree["services"])) if has_verdict else None,
    )  # fmt: skip


def _rates(per_second: Mapping[str, float]) -> Markup:
    rows = sorted(per_second.items(), key=lambda row: -row[1])
    total = sum(per_second.values())
    cells = ((foreign_name(name), figures.rate(one), figures.bar(one, total)) for name, one in rows)
    columns = (Column("name and type", WIDE), Column("per second", NUMBER), Column("share", OPTIONAL))
    return table("Names of this Service among those that are asked for most", columns, cells, "None at present.")


def _names(names: list[Mapping[str, Any]]) -> Markup:
    cells = (
        (
            join(element("a", foreign_name(one["name"]), href=explain_path(one["name"], one["type"])), _records(one)),
            one["type"],
        )
        for one in names
    )
    return table(
        "Names and records", (Column("name, and records", WIDE), Column("type", WORD)), cells, "It has no names."
    )


def _records(one: Mapping[str, Any]) -> Markup:
    """Write the records of a name and type, one on each line."""
    left_out = one["count"] - len(one["records"])
    lines = [*one["records"], *([f"and {left_out:,} more"] if left_out > 0 else [])]
    return element("span", preformatted("\n".join(lines)), class_="lines")


def _endpoints(found: Mapping[str, Any]) -> Markup:
    rows = found["endpoints"]
    caption = f"{found['endpoint_count']:,} endpoints"
    if found["endpoint_count"] > len(rows):
        caption += f", of which {len(rows)} are shown"
    columns = (
        Column("address"),
        Column("state"),
        Column("pod"),
        Column("node", OPTIONAL),
        Column("zone", OPTIONAL),
    )
    cells = (
        (
            foreign(one["address"]), _state(one["state"]), foreign(one["pod"]),
            foreign(one["node"]), foreign(one["zone"]),
        )
        for one in rows
    )  # fmt: skip
    return table(caption, columns, cells, "It has no endpoints.")


def _state(text: str) -> Markup:
    """Write the state of an endpoint; where it is not ready, the text says why."""
    return badge(text) if text == "ready" else foreign(text)


def _object(one: Mapping[str, Any]) -> Markup:
    return explain.service(one, has_endpoints=False)
