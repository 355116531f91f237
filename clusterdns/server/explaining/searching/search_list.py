"""What a stub resolver makes of a name as a pod writes it: the names that it tries, and where it stops.

glibc (resolv/res_query.c, `__res_context_search`) and musl (network/lookup_name.c, `name_from_dns_search`) differ:
glibc tries the name itself first where it has enough dots, and goes on after NODATA and SERVFAIL; musl then tries no
domain at all, and goes on after NXDOMAIN alone. Both ask for A and AAAA at once, as getaddrinfo does. A walk is a
generator, which yields a name and gets the response codes, so that it knows nothing of queries.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from clusterdns.server.explaining.explanation import SearchStep, SearchWalk

DEFAULT_NDOTS, CLUSTER_NDOTS = 1, 5
MAX_NDOTS = 15  # as both cap it
FOUND, NODATA, NXDOMAIN, SERVFAIL = "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL"
# what getaddrinfo returns at the end; glibc EAI_FAIL for other codes
_GLIBC_ERRORS = {FOUND: "", NXDOMAIN: "EAI_NONAME", NODATA: "EAI_NODATA", SERVFAIL: "EAI_AGAIN"}
# musl ignores replies with other codes (SERVFAIL after a second try) until its time is over: EAI_AGAIN; before version
# 1.2.4 NODATA is EAI_NONAME
_MUSL_ERRORS = {FOUND: "", NXDOMAIN: "EAI_NONAME", NODATA: "EAI_NODATA"}
_STOPS = "stops here"
_GOES_ON = "tries the next name"

Results = Mapping[str, str]  # by type: a response code, or NODATA
Walking = Generator[str, Results, SearchWalk]


@dataclass(frozen=True)
class SearchList:
    """A pod's search list: domains without a final dot, and the number of dots from which a name is tried first."""

    domains: tuple[str, ...]
    ndots: int = CLUSTER_NDOTS


def glibc_walk(name: str, search: SearchList) -> Walking:
    """Walk as glibc does."""
    steps: list[SearchStep] = []
    own = name.rstrip(".") + "."
    is_absolute = name.endswith(".")
    dots = own.count(".") - 1
    first_failure, seen, last = "", set[str](), ""
    is_own_tried = is_absolute or dots >= search.ndots
    if is_own_tried:
        code = yield from _try(steps, own)
        if code == FOUND or is_absolute:
            return _ended("glibc", steps, own, _GLIBC_ERRORS.get(code, "EAI_FAIL"))
        first_failure = code
    for domain in () if is_absolute else search.domains:
        candidate = f"{own}{domain}." if domain else own
        is_own_tried = is_own_tried or not domain
        last = yield from _try(steps, candidate)
        if last == FOUND:
            return _ended("glibc", steps, candidate, _GLIBC_ERRORS.get(last, "EAI_FAIL"))
        seen.add(last)
        if last not in (NXDOMAIN, NODATA, SERVFAIL):
            break
    if not is_own_tried:
        last = yield from _try(steps, own)
        if last == FOUND:
            return _ended("glibc", steps, own, _GLIBC_ERRORS.get(last, "EAI_FAIL"))
    final = first_failure or next((one for one in (NODATA, SERVFAIL) if one in seen), last)
    return _ended("glibc", steps, "", _GLIBC_ERRORS.get(final, "EAI_FAIL"))


def musl_walk(name: str, search: SearchList) -> Walking:
    """Walk as musl does."""
    steps: list[SearchStep] = []
    own = name.rstrip(".") + "."
    is_searched = not name.endswith(".") and own.count(".") - 1 < search.ndots
    code = NXDOMAIN
    for candidate in [*(f"{own}{domain}." for domain in search.domains if domain and is_searched), own]:
        results = yield candidate
        code = _musl_code(results)
        steps.append(SearchStep(candidate, dict(results), _GOES_ON))
        if code != NXDOMAIN:
            break
    return _ended("musl", steps, steps[-1].name, _MUSL_ERRORS.get(code, "EAI_AGAIN"))


WALKS: dict[str, Callable[[str, SearchList], Walking]] = {"glibc": glibc_walk, "musl": musl_walk}


def _try(steps: list[SearchStep], name: str) -> Generator[str, Results, str]:
    results = yield name
    steps.append(SearchStep(name, dict(results), _GOES_ON))
    return _glibc_code(results)


def _glibc_code(results: Results) -> str:
    """Return what glibc makes of both replies: an answer of either, else the A's error, else the AAAA's."""
    several = list(results.values())
    if FOUND in several:
        return FOUND
    return next((one for one in several if one != NODATA), NODATA)


def _musl_code(results: Results) -> str:
    """Return what musl makes of both replies: any error before any answer, in the order of the types."""
    error = next((one for one in results.values() if one not in (FOUND, NODATA)), None)
    return error or (FOUND if FOUND in results.values() else NODATA)


def _ended(resolver: str, steps: list[SearchStep], name: str, error: str) -> SearchWalk:
    steps[-1].effect = "found" if not error else _STOPS
    return SearchWalk(resolver, steps, "" if error else name, error)
