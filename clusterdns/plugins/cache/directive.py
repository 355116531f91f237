"""The `cache` directive: its settings, read from the Corefile, and the handler built from them (`cache_handler`)."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.cache.handler import Cache
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.settings import MAX_TTL_SECONDS, Prefetch, Settings, Share, Stale
from clusterdns.plugins.cache.store import CacheBudget, Phases, Timer
from clusterdns.wire.name import ROOT, from_text

MAX_FAILURE_SECONDS = 300
MAX_RECHECK_SECONDS = 300
STALE_SECONDS = 3600.0
PREFER_POSITIVE = "prefer_positive"

log = logging.getLogger("clusterdns.plugin.cache")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DURATION = re.compile(r"([0-9]+(ms|s|m|h))+")
_PERCENT = re.compile(r"[0-9]{1,3}%")


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`cache [TTL] [ZONES…] { options }`; without zones those of the block. Raises CorefileError.

    As in CoreDNS a first argument that is no whole number is a zone.
    """
    directive = directives[0]
    args = directive.args
    success, denial = Share(), Share(max_ttl_seconds=1800)
    if args and _INTEGER.fullmatch(args[0].text):
        ttl_seconds = _ttl(args[0])
        success, denial = Share(max_ttl_seconds=ttl_seconds), Share(max_ttl_seconds=ttl_seconds)
        args = args[1:]
    elif args and _DURATION.fullmatch(args[0].text):
        log.warning("%s: %s is a zone to 'cache'; a TTL has no unit", directive.place, args[0])
    zones_text = lenient.zones_text(args, context.zones_text)
    settings = Settings(zones_text, tuple(map(from_text, zones_text)), success, denial)
    settings = read_block(settings, directives, OPTIONS)
    if settings.stale.prefers_answers and not any(line.name == "serve_stale" for line in directive.block):
        line = next(line for line in directive.block if line.name == "serve_stale_policy")
        raise line.error("serve_stale_policy requires serve_stale", "add 'serve_stale', or remove the policy")
    return settings


def _ttl(token: Token) -> int:
    return values.integer(token, 1)


def _success(settings: Settings, line: Line) -> Settings:
    return replace(settings, success=_share(settings.success, line))


def _denial(settings: Settings, line: Line) -> Settings:
    return replace(settings, denial=_share(settings.denial, line))


def _share(share: Share, line: Line) -> Share:
    """CoreDNS ignores words after the third; so do we."""
    capacity, *ttls = line.arguments_between(1, None, "CAPACITY [TTL] [MINTTL]")
    share = replace(share, capacity=values.integer(capacity))
    if ttls:
        share = replace(share, max_ttl_seconds=_ttl(ttls[0]))
    if len(ttls) > 1:
        share = replace(share, min_ttl_seconds=values.integer(ttls[1], 0))
    return share


def _prefetch(settings: Settings, line: Line) -> Settings:
    amount, *more = line.arguments_between(1, 3, "AMOUNT [DURATION [PERCENTAGE%]]")
    prefetch = Prefetch(values.integer(amount, 0))
    if more:
        prefetch = replace(prefetch, pause_seconds=values.duration_seconds(more[0], -math.inf))
    if len(more) > 1:
        percent = more[1]
        number = int(percent.text[:-1]) if _PERCENT.fullmatch(percent.text) else 0
        if not 10 <= number <= 90:
            raise percent.error(f"{percent} is no percentage from 10% to 90%", "write one such as 10%")
        prefetch = replace(prefetch, percent=number)
    return replace(settings, prefetch=prefetch)


def _serve_stale(settings: Settings, line: Line) -> Settings:
    usage = "[DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]"
    words = list(line.arguments_between(0, 5, usage))
    stale = Stale(STALE_SECONDS, prefers_answers=settings.stale.prefers_answers)
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
        raise token.error(f"{token} is more than a TTL can say", "write one such as 30s")
    if seconds != int(seconds):
        raise token.error(f"{token} is no whole number of seconds", "a TTL has no fractions: write one such as 30s")
    return min(int(seconds), MAX_TTL_SECONDS)


def _serve_stale_policy(settings: Settings, line: Line) -> Settings:
    word = line.one_argument(PREFER_POSITIVE)
    values.choice(word._replace(text=word.text.lower()), (PREFER_POSITIVE,))
    if settings.stale.prefers_answers:
        raise line.error("serve_stale_policy can be given once only", "remove this line")
    return replace(settings, stale=replace(settings.stale, prefers_answers=True))


def _servfail(settings: Settings, line: Line) -> Settings:
    seconds = values.duration_seconds(line.one_argument("DURATION"), 0, MAX_FAILURE_SECONDS)
    return replace(settings, failure_seconds=seconds)


def _disable(settings: Settings, line: Line) -> Settings:
    what, *names = line.arguments_between(1, None, "success|denial [ZONES…]")
    zones = lenient.zones(names, (ROOT,))
    if values.choice(what, ("success", "denial")) == "success":
        return replace(settings, success=replace(settings.success, disabled=zones))
    return replace(settings, denial=replace(settings.denial, disabled=zones))


def _keepttl(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, keeps_ttl=True)


OPTIONS: tuple[Option[Settings], ...] = (
    Option(
        "success CAPACITY [TTL] [MINTTL]",
        "9984, 3600, 5",
        "Answers: how many are kept (at least 1024), and the most and least seconds for which they are.",
        _success,
    ),
    Option(
        "denial CAPACITY [TTL] [MINTTL]",
        "9984, 1800, 5",
        "The same for NXDOMAIN, NODATA, SERVFAIL and NOTIMP.",
        _denial,
    ),
    Option(
        "prefetch AMOUNT [DURATION [PERCENTAGE%]]",
        "0 (off), 1m, 10%",
        "What was asked AMOUNT times without a pause longer than DURATION is refreshed when no more than PERCENTAGE of "
        "its TTL is left.",
        _prefetch,
    ),
    Option(
        "serve_stale [DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]",
        "off; 1h, immediate, TTL 0",
        "What expired less than DURATION ago is given, with this TTL: at once, while upstream is asked in the "
        "background, or once upstream was asked in vain. After a failure upstream is not asked for RECHECK.",
        _serve_stale,
    ),
    Option(
        "serve_stale_policy prefer_positive",
        "off",
        "A stale answer goes before a denial, and only an answer takes its place.",
        _serve_stale_policy,
    ),
    Option("servfail DURATION", "5s", "For how long SERVFAIL and NOTIMP are kept; 0: not at all.", _servfail),
    Option("disable success|denial [ZONES…]", "every zone", "Names in these zones are not kept.", _disable),
    Option("keepttl", "off", "TTLs do not count down.", _keepttl),
)


def build(settings: Settings, context: BlockContext) -> Part:
    """The handler, empty at first: a reload may have changed whom `forward` asks."""
    phases = Phases(context.shared.forget, time.monotonic, _later)
    metrics = CacheMetrics(context.registry, context.server_text, settings.zones_text)
    cache = Cache(settings, context.shared.keep(CacheBudget, CacheBudget), metrics, phases)
    return Part("cache", handling=Handling(wrap=cache.wrap), life=LifeCycle(start=cache.start, stop=cache.stop))


def _later(seconds: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)


DOC = Doc(
    usage=("cache [TTL] [ZONES…]",),
    about="Keeps what `forward` brings, for TTL seconds at most. Names outside the zones, without zones those of the "
    "block, pass by.",
    options=OPTIONS,
    example="cache 30 {\n    success 9984 60 5\n    denial 9984 30\n    prefetch 10 1m 10%\n    serve_stale 1h verify\n"
    "    servfail 5s\n    disable denial example.org\n}\nforward . 192.0.2.53",
    better="Never stands before data that the server holds itself: a change in the cluster is seen at once. Hits come "
    "from the compiled table. Denials hold as long as RFC 2308 says. Answers for one network (ECS) are not given to "
    "others. Bounded in bytes as well.",
)
PLUGIN = Plugin("cache", parse, build, once=True, doc=DOC)
