"""The `cache` directive in a Corefile: its options and its errors."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.cache import directive as cache
from clusterdns.plugins.cache.settings import CacheSettings, PrefetchSettings, StaleSettings, StoreSettings
from clusterdns.wire.name import ROOT, from_text

ReadDirectives = Callable[[str], Sequence[Directive]]
ORG = from_text("example.org")


def made(success: StoreSettings | None = None, denial: StoreSettings | None = None, **values: object) -> CacheSettings:
    settings = CacheSettings(
        ("cluster.local.", "in-addr.arpa."),
        (from_text("cluster.local"), from_text("in-addr.arpa")),
        success or StoreSettings(),
        denial or StoreSettings(max_ttl_seconds=1800),
    )
    for field, value in values.items():
        settings = replace(settings, **{field: value})
    return settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cache", made()),
        ("cache {\n}", made()),
        ("cache 30", made(StoreSettings(max_ttl_seconds=30), StoreSettings(max_ttl_seconds=30))),
        ("cache +5", made(StoreSettings(max_ttl_seconds=5), StoreSettings(max_ttl_seconds=5))),
        ("cache 86400", made(StoreSettings(max_ttl_seconds=86400), StoreSettings(max_ttl_seconds=86400))),
        ("cache {\nsuccess 100\n}", made(StoreSettings(100))),
        ("cache {\nsuccess 0\n}", made(StoreSettings(0))),
        ("cache {\nsuccess -1\n}", made(StoreSettings(-1))),
        ("cache {\nsuccess 10 20 30\ndenial 40 50\n}", made(StoreSettings(10, 20, 30), StoreSettings(40, 50))),
        ("cache {\nsuccess 10 20 0 and more\n}", made(StoreSettings(10, 20, 0))),
        ("cache 30 {\nsuccess 10 20\n}", made(StoreSettings(10, 20), StoreSettings(max_ttl_seconds=30))),
        ("cache {\nsuccess 10 20\nsuccess 30\n}", made(StoreSettings(30, 20))),
        ("cache {\nprefetch 5\n}", made(prefetch=PrefetchSettings(5))),
        ("cache {\nprefetch 0 0\n}", made(prefetch=PrefetchSettings(0, 0))),
        ("cache {\nprefetch 5 -1s 90%\n}", made(prefetch=PrefetchSettings(5, -1, 90))),
        ("cache {\nserve_stale\n}", made(stale=StaleSettings(3600))),
        ("cache {\nserve_stale 0\n}", made(stale=StaleSettings())),
        ("cache {\nserve_stale 10ms\n}", made(stale=StaleSettings(0.01))),
        ("cache {\nserve_stale 1h\nserve_stale 2h\n}", made(stale=StaleSettings(7200))),
        ("cache {\nserve_stale 2h IMMEDIATE\n}", made(stale=StaleSettings(7200))),
        ("cache {\nserve_stale 2h immediate 5s 5m\n}",
         made(stale=StaleSettings(7200, ttl_seconds=5, recheck_seconds=300))),
        ("cache {\nserve_stale 2h verify\n}", made(stale=StaleSettings(7200, True))),
        ("cache {\nserve_stale 2h verify 500ms 1s 1500ms\n}", made(stale=StaleSettings(7200, True, 0.5, 1, 1.5))),
        ("cache {\nserve_stale_policy prefer_positive\nserve_stale\n}",
         made(stale=StaleSettings(3600, prefers_answers=True))),
        ("cache {\nserve_stale 1h verify\nserve_stale_policy Prefer_Positive\n}",
         made(stale=StaleSettings(3600, True, prefers_answers=True))),
        ("cache {\nservfail 0\n}", made(failure_seconds=0)),
        ("cache {\nservfail 5m\n}", made(failure_seconds=300)),
        ("cache {\ndisable success\n}", made(StoreSettings(disabled=(ROOT,)))),
        ("cache {\ndisable denial a.org\ndisable denial example.org\n}",
         made(denial=StoreSettings(max_ttl_seconds=1800, disabled=(ORG,)))),
        ("cache {\nkeepttl\nkeepttl\n}", made(keeps_ttl=True)),
    ],
)  # fmt: skip
def test_options_are_read(
    read_directives: ReadDirectives, context: BlockContext, text: str, expected: CacheSettings
) -> None:
    assert cache.parse(read_directives(text), context) == expected


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("cache example.org", ("example.org.",)),
        ("cache 30 example.org 10.0.0.0/8", ("example.org.", "10.in-addr.arpa.")),
        ("cache 30 .:53", (".",)),
        ("cache 1.5", ("1.5.",)),
        ("cache 30s", ("30s.",)),
        ("cache 30 40", ("40.",)),
    ],
)
def test_arguments_that_are_not_ttls_are_zones(
    read_directives: ReadDirectives, context: BlockContext, text: str, zones: tuple[str, ...]
) -> None:
    settings = cache.parse(read_directives(text), context)
    assert settings.zones_text == zones
    assert settings.zones == tuple(map(from_text, zones))


def test_a_ttl_with_a_unit_is_warned_of(
    read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parse(read_directives("cache 30s"), context)
    assert caplog.messages == ["Corefile:2: '30s' is read as a zone; a TTL is a number without a unit"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cache 0", "2: '0' is out of range; write 1 or more"),
        ("cache -1", "2: '-1' is out of range; write 1 or more"),
        ("cache {\nttl 5\n}", "3: unknown property 'ttl'"),
        ("cache {\nsuccess\n}", "3: Wrong argument count"),
        ("cache {\nsuccess x\n}", "3: 'x' is not an integer"),
        ("cache {\nsuccess 10 0\n}", "3: '0' is out of range; write 1 or more"),
        ("cache {\nsuccess 10 10s\n}", "3: '10s' is not an integer"),
        ("cache {\nsuccess 10 10 -1\n}", "3: '-1' is out of range; write 0 or more"),
        ("cache {\ndenial\n}", "3: Wrong argument count"),
        ("cache {\ndenial 10 -1\n}", "3: '-1' is out of range; write 1 or more"),
        ("cache {\nprefetch\n}", "3: Wrong argument count"),
        ("cache {\nprefetch -1\n}", "3: '-1' is out of range; write 0 or more"),
        ("cache {\nprefetch 1 60\n}", "3: '60' is not a duration: its unit is missing"),
        ("cache {\nprefetch 1 1m 9%\n}", "3: '9%' is not a percentage from 10% to 90%"),
        ("cache {\nprefetch 1 1m 91%\n}", "3: '91%' is not a percentage"),
        ("cache {\nprefetch 1 1m 50\n}", "3: '50' is not a percentage"),
        ("cache {\nprefetch 1 1m %\n}", "3: '%' is not a percentage"),
        ("cache {\nprefetch 1 1m 10.5%\n}", "3: '10.5%' is not a percentage"),
        ("cache {\nprefetch 1 1m 10% x\n}", "3: Wrong argument count"),
        ("cache {\nserve_stale -1s\n}", "3: '-1s' is out of range"),
        ("cache {\nserve_stale 20\n}", "3: '20' is not a duration: its unit is missing"),
        ("cache {\nserve_stale 1h later\n}", "3: 'later' is not one of immediate, verify"),
        ("cache {\nserve_stale 1h immediate -1s\n}", "3: '-1s' is out of range"),
        ("cache {\nserve_stale 1h immediate 4294967296s\n}", "3: '4294967296s' is larger than the largest TTL"),
        ("cache {\nserve_stale 1h immediate 1500ms\n}", "3: '1500ms' is not a whole number of seconds"),
        ("cache {\nserve_stale 1h immediate 5s 6m\n}", "3: '6m' is out of range; write 0s to 300s"),
        ("cache {\nserve_stale 1h immediate 5s 5s 5s\n}", "3: Wrong argument count"),
        ("cache {\nserve_stale 1h verify x\n}", "3: 'x' is not a duration"),
        ("cache {\nserve_stale 1h verify 5s 5s 5s 5s\n}", "3: Wrong argument count"),
        ("cache {\nserve_stale_policy prefer_positive\n}", "3: serve_stale_policy requires serve_stale"),
        ("cache {\nserve_stale\nserve_stale_policy\n}", "4: Wrong argument count"),
        ("cache {\nserve_stale\nserve_stale_policy x\n}", "4: 'x' is not one of prefer_positive"),
        ("cache {\nserve_stale\nserve_stale_policy prefer_positive\nserve_stale_policy prefer_positive\n}",
         "5: serve_stale_policy is repeated"),
        ("cache {\nservfail\n}", "3: Wrong argument count"),
        ("cache {\nservfail 301s\n}", "3: '301s' is out of range; write 0s to 300s"),
        ("cache {\nservfail -1s\n}", "3: '-1s' is out of range"),
        ("cache {\nservfail 1s 2s\n}", "3: Wrong argument count"),
        ("cache {\ndisable\n}", "3: Wrong argument count"),
        ("cache {\ndisable everything\n}", "3: 'everything' is not one of success, denial"),
        ("cache {\nkeepttl x\n}", "3: Wrong argument count"),
    ],
)  # fmt: skip
def test_errors_name_their_line(
    read_directives: ReadDirectives, context: BlockContext, text: str, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        cache.parse(read_directives(text), context)
    assert str(error.value).startswith(f"Corefile:{problem}")


WORDS = st.sampled_from(
    (
        *("success", "denial", "prefetch", "serve_stale", "serve_stale_policy", "servfail", "disable", "keepttl"),
        *("immediate", "verify", "prefer_positive", "0", "1", "-5", "9984", "30", "99999999999999999999"),
        *("5s", "1m", "10%", "95%", "example.org", ".", "10.0.0.0/8", "ttl", "½"),
    )
)
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(args=st.lists(WORDS, max_size=3), lines=LINES)
def test_any_text_makes_settings_or_an_error_with_its_line(
    read_directives: ReadDirectives, context: BlockContext, args: list[str], lines: list[str]
) -> None:
    directives = read_directives("\n".join([" ".join(["cache", *args, "{"]), *lines, "}"]))
    found = problem = None
    try:
        found = cache.parse(directives, context)
    except (CorefileError, CorefileErrors) as error:
        problem = str(error)
    assert (found is None) is (problem is not None)
    if found is None:
        assert str(problem).startswith("Corefile:")
    else:
        assert found.zones
        assert 0 <= found.success.clamp(0) <= found.success.clamp(2**31) < 2**31
