"""The page of an explanation: the verdict first, then the steps, the objects and the answer.

It shows the tree of `server.explaining.page`, which is bounded; docs/explain.md describes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clusterdns.plugins.dashboard.views import figures
from clusterdns.plugins.dashboard.views.layout import section
from clusterdns.plugins.dashboard.views.links import service_link
from clusterdns.plugins.dashboard.views.markup import Content, Markup, element, foreign, foreign_name, join
from clusterdns.plugins.dashboard.views.tables import NUMBER, OPTIONAL, WIDE, WORD, Column, table, terms

MAX_STEPS = 60
_OUTCOMES = {"resolves": "good", "does not resolve": "bad"}

Tree = Mapping[str, Any]


def verdict(tree: Tree) -> Markup:
    """Write the verdict with its next step."""
    found = tree["verdict"]
    class_ = _OUTCOMES.get(found["outcome"], "warn")
    next_step = element("span", foreign(found["next_step"]), class_="next") if found["next_step"] else None
    return element("p", element("strong", foreign(found["text"])), next_step, class_=f"verdict {class_}")


def explanation(tree: Tree) -> Markup:
    """Write what led to the verdict."""
    return join(
        section("question", "Question", terms((
            ("Name", join(foreign_name(tree["name"]), f" {tree['type']}")),
            ("Client", tree["client"]),
            ("Server block", foreign(tree["block"] or "none serves the name")),
            ("Zone", foreign(tree["zone"])),
        ))),
        section("search", "Search list", _walks(tree["walks"])) if tree["walks"] else None,
        section("steps", "Steps", _steps(tree["steps"])),
        section("attempts", "Upstreams asked", _attempts(tree["attempts"])) if tree["attempts"] else None,
        [section(f"object-{number}", _label(one), service(one)) for number, one in enumerate(tree["services"])],
        section("answer", "Answer", _answer(tree["answer"])),
        section("changes", "What would change it", _listed(tree["changes"])) if tree["changes"] else None,
        section("cached", "Caches", element("p", foreign(tree["cached"]))) if tree["cached"] else None,
        section("notes", "Notes", _listed(tree["notes"])) if tree["notes"] else None,
    )  # fmt: skip


def _listed(texts: Sequence[str]) -> Markup:
    return element("ul", [element("li", foreign(one)) for one in texts])


def _walks(walks: Sequence[Tree]) -> Markup:
    """Write what each stub resolver tries; those that do the same have one table."""
    alike: dict[Markup, list[str]] = {}
    for walk in walks:
        alike.setdefault(_tried(walk, ""), []).append(walk["resolver"])
    by_name = {walk["resolver"]: walk for walk in walks}
    return join(*(_tried(by_name[several[0]], " and ".join(several)) for several in alike.values()))


def _tried(walk: Tree, resolvers: str) -> Markup:
    columns = (Column("name tried", WIDE), Column("answers"), Column("what it does", OPTIONAL))
    cells = (
        (
            foreign_name(step["name"]),
            ", ".join(f"{qtype} {code}" for qtype, code in step["results"].items()),
            foreign(step["effect"]),
        )
        for step in walk["steps"]
    )
    caption = f"With the resolver of {resolvers}; it ends with {walk['found'] or walk['failure']}"
    return table(caption, columns, cells, "No name is tried.", shows_caption=True)


def _steps(steps: Sequence[Tree]) -> Markup:
    """Write the plugins in the order in which they got the question; look-ups are one level deeper."""
    shown = list(_in_order(steps))
    items = [
        element(
            "li", element("strong", one["plugin"]), " ", foreign(_action(one)),
            element("span", join(foreign(one["place"]), f", {figures.seconds(one['seconds'])}"), class_="why"),
            class_=f"depth-{min(one['depth'], 3)}",
        )
        for one in shown[:MAX_STEPS]
    ]  # fmt: skip
    if len(shown) > MAX_STEPS:
        items.append(element("li", f"… and {len(shown) - MAX_STEPS} more"))
    return element("ol", items, class_="steps") if items else element("p", "No plugin got the question.")


def _in_order(steps: Sequence[Tree]) -> Iterator[Tree]:
    for step in steps:
        yield step
        yield from _in_order(step["steps"])


def _action(step: Tree) -> str:
    action = "passed the reply on" if step["action"] == "passed on" else f"{step['action']} {step['code']}".rstrip()
    question = f" for {step['name']} {step['type']}" if step["depth"] else ""
    return action + question + (f": {step['detail']}" if step["detail"] else "")


def _attempts(attempts: Sequence[Tree]) -> Markup:
    columns = (Column("upstream"), Column("over"), Column("outcome", WIDE), Column("time", NUMBER))
    cells = (
        (foreign(one["upstream"]), one["transport"], foreign(one["outcome"]), figures.seconds(one["seconds"]))
        for one in attempts
    )
    return table("Exchanges with upstreams", columns, cells, "None.")


def _label(one: Tree) -> str:
    return f"{one['kind']} {one['namespace']}/{one['name']}"


def service(one: Tree, *, has_endpoints: bool = True) -> Markup:
    """Write a Service, its endpoints where there is no other list of them, or what is missing in its place."""
    if not one["exists"]:
        missing = (
            "It does not exist." if one["namespace_exists"] else f"The namespace “{one['namespace']}” does not exist."
        )
        return element("p", foreign(missing))
    has_page = has_endpoints and one["kind"] == "Service"
    facts = terms(
        (
            ("Type", "headless" if one["is_headless"] else one["type"]),
            ("Target", foreign(one["external_name"]) if one["external_name"] else None),
            ("Addresses", ", ".join(one["cluster_ips"])),
            (
                "Selector",
                foreign(",".join(f"{key}={value}" for key, value in one["selector"].items()))
                if one["selector"]
                else None,
            ),
            ("Not ready", "published as well" if one["publishes_not_ready"] else None),
            ("From", foreign(one["place"]) if one["place"] else None),
            ("Page", service_link(f"{one['namespace']}/{one['name']}") if has_page else None),
        )
    )
    ports = table(
        "Ports", (Column("port", WORD), Column("protocol", WORD), Column("name"), Column("SRV name", WIDE)),
        [(str(port["port"]), port["protocol"], port["name"], foreign_name(port["srv_name"])) for port in one["ports"]],
        "It has no ports.", shows_caption=True,
    )  # fmt: skip
    return join(facts, ports, _endpoints(one) if has_endpoints else None, _problems(one))


def _endpoints(one: Tree) -> Markup:
    columns = (Column("address"), Column("ready", WORD), Column("pod"), Column("in DNS"), Column("node", OPTIONAL))
    cells: list[tuple[Content, ...]] = [
        (
            foreign(" ".join(row["addresses"]) or "none"), row["ready"] or figures.UNKNOWN, foreign(row["pod"]),
            "yes" if row["is_listed"] else foreign(f"no: {row['reason']}" if row["reason"] else "no"),
            foreign(row["node"]),
        )
        for row in one["endpoints"]
    ]  # fmt: skip
    counted = f"Endpoints: {one['listed_count']:,} of {one['endpoint_count']:,} in DNS"
    if one["endpoint_count"] > len(cells):
        counted += f"; the first {len(cells)} are shown"
    return table(counted, columns, cells, "It has no endpoints.", shows_caption=True)


def _problems(one: Tree) -> Markup | None:
    texts = [f"Ignored: {text}" for text in one["problems"]] + [f"Not seen: {text}" for text in one["unseen"]]
    return _listed(texts) if texts else None


def _answer(answer: Tree) -> Markup:
    flags = ", authoritative" if answer["is_authoritative"] else ""
    size = f"{answer['rcode']}{flags}, {answer['message_bytes']:,} bytes"
    lines = [*answer["answer"], *(f";; authority: {line}" for line in answer["authority"])]
    if answer["answer_count"] > len(answer["answer"]):
        lines.append(f";; and {answer['answer_count'] - len(answer['answer']):,} more records")
    lines += [f";; EDE: {one}" for one in answer["extended_errors"]]
    records = element("ul", [element("li", element("code", foreign(one))) for one in lines], class_="records")
    return join(element("p", size, _truncation(answer)), records if lines else None)


def _truncation(answer: Tree) -> str:
    if answer["is_truncated"]:
        return "; truncated by the upstream"
    if not answer["fits_udp_1232"]:
        return "; truncated over UDP, so clients ask again over TCP"
    return "" if answer["fits_udp_512"] else "; truncated over UDP for clients without EDNS"
