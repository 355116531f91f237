"""The sections of the live page about the server itself: its state, watches, upstreams and process."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusterdns.plugins.dashboard.views import figures
from clusterdns.plugins.dashboard.views.markup import Content, Markup, element, foreign, join
from clusterdns.plugins.dashboard.views.tables import NUMBER, OPTIONAL, WIDE, Column, table, terms

_KINDS = "For how long each kind of objects has not been known to be current"
_GOOD = ("current", "ready", "up", "yes")
_HASH_CHARACTERS = 12


def server_state(document: Mapping[str, Any]) -> Markup:
    """Write the state in a word, since when it is observed, and what is wrong."""
    time = element("time", f"{document['at'][11:19]} UTC", datetime=document["at"])
    observed = figures.seconds(document["observed_seconds"])
    looked_at = document["looked_at"]
    sampled = "" if looked_at >= 1 else f"; the tables are of {figures.share(looked_at)} of the answers"
    problems = [
        element("li", element("strong", f"{plugin}: "), foreign(text), class_=class_)
        for key, class_ in (("not_ready", "bad"), ("warnings", "warn"))
        for plugin, text in document.get(key, {}).items()
    ]
    return join(
        element(
            "p", badge(document["state"]), f" version {document['version']}, as of ", time,
            f", observed for {observed}{sampled}", class_="state",
        ),
        element("ul", problems, class_="problems") if problems else None,
    )  # fmt: skip


def badge(word: str) -> Markup:
    """Write a state: its word, in a colour."""
    return element("span", word, class_=f"badge {'good' if word in _GOOD else 'bad'}")


def cluster(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Write what each set of objects is read from, and how stale its kinds can be."""
    if not rows:
        return element("p", "No “kubernetes” block.", class_="empty")
    return join(*map(_objects, rows))


def _objects(row: Mapping[str, Any]) -> Markup:
    where = row.get("server") or ", ".join(row.get("manifests", ()))
    limit = row.get("stale_after_seconds")
    facts = terms(
        (
            ("State", join(badge(row["state"]), " ", foreign(row.get("reason", "")))),
            ("Source", foreign(where) if where else None),
            ("Stale after", figures.seconds(limit) if limit is not None else None),
        )
    )
    if "kinds" not in row:
        return facts
    columns = (
        Column("kind", WIDE), Column("objects", NUMBER), Column("staleness", NUMBER), Column("connected"),
        Column("last event", f"{NUMBER} {OPTIONAL}"),
    )  # fmt: skip
    cells = (
        (
            kind["kind"], f"{kind['objects']:,}", figures.seconds(kind["staleness_seconds"]),
            badge("yes" if kind["connected"] else "no"), kind.get("last_event", figures.UNKNOWN)[11:19],
        )
        for kind in row["kinds"]
    )  # fmt: skip
    return join(facts, table(_KINDS, columns, cells, "No kinds yet.", shows_caption=True))


def upstreams(rows: Iterable[Mapping[str, Any]]) -> Markup:
    """Write each upstream with its health and latency."""
    columns = (
        Column("upstream", WIDE), Column("health"), Column("per second", NUMBER), Column("latency", NUMBER),
        Column("failed checks", f"{NUMBER} {OPTIONAL}"),
    )  # fmt: skip
    cells = (
        (
            join(foreign(row["to"]), element("span", f"{row['zone']} over {row['transport']}", class_="why")),
            badge(row["health"]), _rate(row.get("per_second")), figures.seconds(row.get("mean_seconds")),
            row.get("failed_checks", 0),
        )
        for row in rows
    )  # fmt: skip
    return table("Upstreams", columns, cells, "Nothing is forwarded.")


def _rate(per_second: float | None) -> str:
    return figures.UNKNOWN if per_second is None else figures.rate(per_second)


def process(document: Mapping[str, Any]) -> Markup:
    """Write what the process uses, and which Corefile it runs."""
    used = document["process"]
    short = document["corefile_sha512"][:_HASH_CHARACTERS]
    return terms(
        (
            ("Memory", _memory(used["resident_bytes"], used["limit_bytes"])),
            ("Answer table", _memory(used["answers_bytes"], used["answers_limit_bytes"])),
            ("CPU", f"{figures.share(used['cpu_share'])} of one core"),
            ("Workers", used["workers"]),
            ("Started", element("time", used["started"].replace("T", " ")[:19], datetime=used["started"])),
            ("Corefile", element("a", element("code", short), "…", href="/corefile") if short else None),
        )
    )


def _memory(used: int, limit: int | None) -> Content:
    if limit is None:
        return figures.size(used)
    return join(f"{figures.size(used)} of {figures.size(limit)}", figures.bar(used, limit))
