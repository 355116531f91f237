"""The walks of both stub resolvers through the running server, and what they add to a verdict."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from clusterdns.server.explaining.asking import AskedQuestion
from clusterdns.server.explaining.explanation import DOES_NOT_RESOLVE, Explanation, SearchWalk
from clusterdns.server.explaining.searching.search_list import (
    FOUND,
    NODATA,
    NXDOMAIN,
    SERVFAIL,
    WALKS,
    Results,
    SearchList,
)
from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, from_text

LookUp = Callable[[str, int], Awaitable[AskedQuestion]]


async def walk_all(name: str, search: SearchList, types: Sequence[int], look_up: LookUp) -> list[SearchWalk]:
    """Walk as each stub resolver does; a name that both try is looked up once."""
    known: dict[str, Results] = {}
    walks = []
    for walk in WALKS.values():
        walking = walk(name, search)
        candidate = next(walking)
        while True:
            if candidate not in known:
                known[candidate] = await _results(candidate, types, look_up)
            try:
                candidate = walking.send(known[candidate])
            except StopIteration as ended:
                walks.append(ended.value)
                break
    return walks


async def _results(name: str, types: Sequence[int], look_up: LookUp) -> Results:
    """Ask for each type; a name that gets too long is not asked for, as by the stub resolvers."""
    if not _fits(name):
        return {codes.type_text(one): NXDOMAIN for one in types}
    asked = await asyncio.gather(*(look_up(name, one) for one in types))  # at once, as getaddrinfo does
    return {codes.type_text(one): _code(found, one) for one, found in zip(types, asked, strict=True)}


def _fits(name: str) -> bool:
    """Return whether a message can have the name."""
    try:
        return len(from_text(name)) <= MAX_NAME_BYTES
    except ValueError:
        return False


def _code(asked: AskedQuestion, qtype: int) -> str:
    reply = asked.reply
    if reply.is_dropped or asked.problem:
        return SERVFAIL
    if reply.rcode != codes.NOERROR:
        return codes.rcode_text(reply.rcode)
    return FOUND if any(one.rtype == qtype for one in reply.answer) else NODATA


def best_name(name: str, search: SearchList, walks: Sequence[SearchWalk], exists: Callable[[str], bool]) -> str:
    """Choose the name to explain: the one found, or one that exists in part, or the one that its dots suggest.

    `exists` returns whether a name is of, or below, a Service that exists.
    """
    for walk in walks:
        if walk.found:
            return walk.found
    tried = {step.name: step for walk in walks for step in walk.steps if _fits(step.name)}
    for step in tried.values():
        if NODATA in step.results.values():
            return step.name
    own = name.rstrip(".") + "."
    dots = own.count(".") - 1
    if own in tried or not name.endswith("."):
        known = next((step.name for step in tried.values() if exists(step.name)), "")
        if known:
            return known
    is_short = not name.endswith(".") and dots < min(2, len(search.domains))
    wanted = f"{own}{search.domains[dots]}." if is_short else own
    if not is_short and dots < search.ndots and own.split(".")[-2] == "svc":
        wanted = f"{own}{search.domains[-1]}." if search.domains else own
    return wanted if wanted in tried else own


def best_type(name: str, walks: Sequence[SearchWalk]) -> str:
    """Return the first type that a name has; empty where it has none."""
    steps = (step for walk in walks for step in walk.steps if step.name == name)
    return next((rtype for step in steps for rtype, code in step.results.items() if code == FOUND), "")


def add_walks(found: Explanation, name: str, search: SearchList, walks: Sequence[SearchWalk]) -> None:
    """Add the walks to an explanation, and to its verdict what the search list has done."""
    found.asked_as, found.search_list, found.walks = name, [f"ndots:{search.ndots}", *search.domains], list(walks)
    glibc, musl = walks
    verdict = found.verdict
    if glibc.found != musl.found:
        verdict.cause = "resolvers-differ"
        verdict.next_step = f"{_end_of(glibc)}, but {_end_of(musl)}: write the full name with a final dot"
        if not glibc.found:
            verdict.outcome = DOES_NOT_RESOLVE
        return
    wasted = len(glibc.steps) - 1
    own = name.rstrip(".") + "."
    if glibc.found == own and wasted:
        verdict.cause = "ndots"
        hint = (
            f"{wasted} names of the search list are tried first (ndots:{search.ndots}): write {own} with the final dot"
        )
        verdict.next_step = "; ".join(filter(None, (verdict.next_step, hint)))
    elif glibc.found and own.count(".") > 2 and glibc.found != own:
        verdict.next_step = f"it is found as {glibc.found} through the search list, not as {own}"
    elif not glibc.found:
        verdict.next_step = "; ".join(filter(None, (verdict.next_step, f"getaddrinfo says {glibc.failure}")))


def _end_of(walk: SearchWalk) -> str:
    if walk.found:
        return f"{walk.resolver} finds {walk.found}"
    last = walk.steps[-1]
    results = ", ".join(f"{code} for {rtype}" for rtype, code in last.results.items())
    return f"{walk.resolver} fails with {walk.failure} at {last.name} ({results})"
