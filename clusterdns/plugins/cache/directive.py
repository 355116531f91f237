"""The `cache` directive in the Corefile: its options, its documentation, and the part built from them."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Query
from clusterdns.chain.exports import Deciding, Decision
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.cache.cache import Cache
from clusterdns.plugins.cache.handler import CacheHandler
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.phases import CancellableTimer, Phases
from clusterdns.plugins.cache.settings import (
    MAX_TTL_SECONDS,
    CacheSettings,
    PrefetchSettings,
    StaleSettings,
    StoreSettings,
)
from clusterdns.plugins.cache.store import CacheBudget
from clusterdns.upstream.question import answer_key
from clusterdns.wire.name import ROOT, from_text

MAX_FAILURE_SECONDS = 300
MAX_RECHECK_SECONDS = 300
STALE_SECONDS = 3600.0
PREFER_POSITIVE = "prefer_positive"

log = logging.getLogger("clusterdns.plugin.cache")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DURATION = re.compile(r"([0-9]+(ms|s|m|h))+")
_PERCENT = re.compile(r"[0-9]{1,3}%")


def parse(directives: Sequence[Directive], context: BlockContext) -> CacheSettings:
    """Read `cache [TTL] [ZONES…] { options }`; without ZONES, the block's zones apply. Raises CorefileError.

    As in CoreDNS, a first argument that is not an integer is a zone.
    """
    directive = directives[0]
    args = directive.args
    success, denial = StoreSettings(), StoreSettings(max_ttl_seconds=1800)
    if args and _INTEGER.fullmatch(args[0].text):
        ttl_seconds = _ttl(args[0])
        success, denial = StoreSettings(max_ttl_seconds=ttl_seconds), StoreSettings(max_ttl_seconds=ttl_seconds)
        args = args[1:]
    elif args and _DURATION.fullmatch(args[0].text):
        log.warning("%s: %s is read as a zone; a TTL is a number without a unit", directive.place, args[0])
    zones_text = lenient.zones_text(args, context.zones_text)
    settings = CacheSettings(zones_text, tuple(map(from_text, zones_text)), success, denial)
    settings = read_block(settings, directives, OPTIONS)
    if settings.stale.prefers_answers and not any(line.name == "serve_stale" for line in directive.block):
        line = next(line for line in directive.block if line.name == "serve_stale_policy")
        raise line.error("serve_stale_policy requires serve_stale", "add 'serve_stale', or remove this line")
    return settings


def _ttl(token: Token) -> int:
    return values.integer(token, 1)


def _success(settings: CacheSettings, line: Line) -> CacheSettings:
    return replace(settings, success=_limits(settings.success, line))


def _denial(settings: CacheSettings, line: Line) -> CacheSettings:
    return replace(settings, denial=_limits(settings.denial, line))


def _limits(limits: StoreSettings, line: Line) -> StoreSettings:
    """Read the limits of a store; as in CoreDNS, words after the third are ignored."""
    capacity, *ttls = line.arguments_between(1, None, "CAPACITY [TTL] [MINTTL]")
    limits = replace(limits, capacity=values.integer(capacity))
    if ttls:
        limits = replace(limits, max_ttl_seconds=_ttl(ttls[0]))
    if len(ttls) > 1:
        limits = replace(limits, min_ttl_seconds=values.integer(ttls[1], 0))
    return limits


def _prefetch(settings: CacheSettings, line: Line) -> CacheSettings:
    amount, *more = line.arguments_between(1, 3, "AMOUNT [DURATION [PERCENTAGE%]]")
    prefetch = PrefetchSettings(values.integer(amount, 0))
    if more:
        prefetch = replace(prefetch, pause_seconds=values.duration_seconds(more[0], -math.inf))
    if len(more) > 1:
        percent = more[1]
        number = int(percent.text[:-1]) if _PERCENT.fullmatch(percent.text) else 0
        if not 10 <= number <= 90:
            raise percent.error(f"{percent} is not a percentage from 10% to 90%", "write for example 10%")
        prefetch = replace(prefetch, percent=number)
    return replace(settings, prefetch=prefetch)


def _serve_stale(settings: CacheSettings, line: Line) -> CacheSettings:
    usage = "[DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]"
    words = list(line.arguments_between(0, 5, usage))
    stale = StaleSettings(STALE_SECONDS, prefers_answers=settings.stale.prefers_answers)
    if words:
        stale = replace(stale, seconds=values.duration_seconds(words.pop(0)))
    if words:
        mode = words.pop(0)
        is_verified = values.choice(mode._replace(text=mode.text.lower()), ("immediate", "verify")) == "verify"
        stale = replace(stale, is_verified=is_verified)
        if words and is_verified:
            stale = replace(stale, patience_seconds=values.duration_seconds(words.pop(0)))
    if words:
        stale = replace(stale, ttl_seconds=_whole_seconds(words.pop(0)))
    if words:
        stale = replace(stale, recheck_seconds=values.duration_seconds(words.pop(0), 0, MAX_RECHECK_SECONDS))
    if words:
        line.arguments_between(0, len(line.args) - len(words), usage)
    return replace(settings, stale=stale)


def _whole_seconds(token: Token) -> int:
    seconds = values.duration_seconds(token)
    if seconds > 0xFFFFFFFF:
        raise token.error(f"{token} is larger than the largest TTL", "write for example 30s")
    if seconds != int(seconds):
        raise token.error(f"{token} is not a whole number of seconds", "write for example 30s")
    return min(int(seconds), MAX_TTL_SECONDS)


def _serve_stale_policy(settings: CacheSettings, line: Line) -> CacheSettings:
    word = line.one_argument(PREFER_POSITIVE)
    values.choice(word._replace(text=word.text.lower()), (PREFER_POSITIVE,))
    if settings.stale.prefers_answers:
        raise line.error("serve_stale_policy is repeated", "remove this line")
    return replace(settings, stale=replace(settings.stale, prefers_answers=True))


def _servfail(settings: CacheSettings, line: Line) -> CacheSettings:
    seconds = values.duration_seconds(line.one_argument("DURATION"), 0, MAX_FAILURE_SECONDS)
    return replace(settings, failure_seconds=seconds)


def _disable(settings: CacheSettings, line: Line) -> CacheSettings:
    kind, *names = line.arguments_between(1, None, "success|denial [ZONES…]")
    zones = lenient.zones(names, (ROOT,))
    if values.choice(kind, ("success", "denial")) == "success":
        return replace(settings, success=replace(settings.success, disabled=zones))
    return replace(settings, denial=replace(settings.denial, disabled=zones))


def _keepttl(settings: CacheSettings, line: Line) -> CacheSettings:
    line.no_arguments()
    return replace(settings, keeps_ttl=True)


OPTIONS: tuple[Option[CacheSettings], ...] = (
    Option(
        "success CAPACITY [TTL] [MINTTL]",
        "9984, 3600, 5",
        "For positive answers: how many are cached (at least 1024), and the maximum and minimum TTL.",
        _success,
    ),
    Option(
        "denial CAPACITY [TTL] [MINTTL]",
        "9984, 1800, 5",
        "The same for negative answers (NXDOMAIN, NODATA) and failures (SERVFAIL, NOTIMP).",
        _denial,
    ),
    Option(
        "prefetch AMOUNT [DURATION [PERCENTAGE%]]",
        "0 (off), 1m, 10%",
        "A reply that was asked for AMOUNT times, without a pause longer than DURATION, is refreshed when no more than "
        "PERCENTAGE of its TTL remains.",
        _prefetch,
    ),
    Option(
        "serve_stale [DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]",
        "off; 1h, immediate, TTL 0",
        "Replies that expired less than DURATION ago are served with this TTL (RFC 8767). `immediate`: at once, while "
        "the upstream is asked in the background; `verify`: after the upstream gave no answer within TIMEOUT. After a "
        "failed refresh, the next one waits for RECHECK.",
        _serve_stale,
    ),
    Option(
        "serve_stale_policy prefer_positive",
        "off",
        "A stale positive answer is served before a negative one, and only a positive answer replaces it.",
        _serve_stale_policy,
    ),
    Option("servfail DURATION", "5s", "For how long SERVFAIL and NOTIMP are cached; 0: not at all.", _servfail),
    Option(
        "disable success|denial [ZONES…]",
        "both are cached",
        "Positive answers (`success`) or negative answers and failures (`denial`) for names in ZONES, by default all "
        "names, are not cached.",
        _disable,
    ),
    Option("keepttl", "off", "TTLs do not count down.", _keepttl),
)


def build(settings: CacheSettings, context: BlockContext) -> Part:
    """Make the part: an empty cache, because a reload may have changed the upstreams, and its handler."""
    phases = Phases(context.shared.forget, time.monotonic, _call_later)
    metrics = CacheMetrics(context.registry, context.server_text, settings.zones_text)
    cache = Cache(settings, context.shared.keep(CacheBudget, CacheBudget), metrics, phases)
    return Part(
        "cache",
        handling=Handling(wrap=lambda following: CacheHandler(cache, following, time.monotonic, time.time)),
        life=LifeCycle(start=cache.start, stop=cache.stop),
        exports=(Deciding(lambda query: _state(cache, query)),),
    )


def _state(cache: Cache, query: Query) -> Decision:
    """Describe what the cache holds for a query."""
    entry = cache.peek(answer_key(query))
    if entry is None:
        return Decision("holds no reply to this question")
    now = time.monotonic()
    age, left = int(now - entry.stored_at), entry.remaining_ttl(now)
    until = f"for {left} s more" if left > 0 else "expired"
    return Decision(f"holds a {entry.kind.value} reply, {age} s old, {until}")


def _call_later(seconds: float, call: Callable[[], None]) -> CancellableTimer:
    return asyncio.get_running_loop().call_later(seconds, call)


DOC = Doc(
    usage=("cache [TTL] [ZONES…]",),
    about="Caches the replies of upstreams (`forward`) for at most TTL seconds. Names outside ZONES (default: the "
    "block's zones) are not cached.",
    options=OPTIONS,
    example="cache 30 {\n    success 9984 60 5\n    denial 9984 30\n    prefetch 10 1m 10%\n    serve_stale 1h verify\n"
    "    servfail 5s\n    disable denial example.org\n}\nforward . 192.0.2.53",
    better="Never caches the server's own data, so a change in the cluster is seen at once. Hits are compiled answers. "
    "The TTL of negative answers follows RFC 2308. A reply for one network (ECS) is not given to clients in others. "
    "The cache is also bounded in bytes.",
)
PLUGIN = Plugin("cache", parse, build, once=True, doc=DOC)
