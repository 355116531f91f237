"""Label selectors: kubectl's words, read and applied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.manifests.selectors import SelectorError, parse

WEB = {"app": "web", "tier": "front", "empty": "", "n": "7"}


@pytest.mark.parametrize(
    ("text", "labels", "is_met"),
    [
        ("", WEB, True),
        ("   ", {}, True),
        ("app=web", WEB, True),
        ("app==web", WEB, True),
        ("app = web", WEB, True),
        ("app=db", WEB, False),
        ("app=web", {}, False),
        ("app!=web", WEB, False),
        ("app!=db", WEB, True),
        ("app!=db", {}, True),
        ("app", WEB, True),
        ("app", {}, False),
        ("!app", WEB, False),
        ("! app", {}, True),
        ("empty=", WEB, True),
        ("empty=,app=web", WEB, True),
        ("empty!=", WEB, False),
        ("app=", {}, False),
        ("app in (web, db)", WEB, True),
        ("app in(db)", WEB, False),
        ("app in (db)", {}, False),
        ("app notin (db,web)", WEB, False),
        ("app notin (db)", WEB, True),
        ("app notin (db)", {}, True),
        ("empty in (,x)", WEB, True),
        ("empty in ()", WEB, True),
        ("n>6", WEB, True),
        ("n > 7", WEB, False),
        ("n<8", WEB, True),
        ("app<8", WEB, False),
        ("n<8", {}, False),
        ("app=web,tier in (front,back),!gone", WEB, True),
        ("app=web,tier=back", WEB, False),
        ("in in (in)", {"in": "in"}, True),
        ("notin", {"notin": ""}, True),
        ("app.kubernetes.io/name=web", {"app.kubernetes.io/name": "web"}, True),
    ],
)
def test_matching(text: str, labels: dict[str, str], is_met: bool) -> None:
    assert parse(text).matches(labels) is is_met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app=web,", "a label key expected, not the end"),
        (",app", "a label key expected, not ','"),
        ("=web", "a label key expected, not '='"),
        ("app=web tier", "',' or the end expected, not 'tier'"),
        ("app in web", "'(' expected, not 'web'"),
        ("app in (web", "',' or ')' expected, not the end"),
        ("app in", "'(' expected, not the end"),
        ("app>web", "an integer expected, not 'web'"),
        ("app==!", "a label value expected, not '!'"),
        ("-app", "a label key expected, not '-app'"),
        ("app=" + "x" * 64, "a label value expected"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as error:
        parse(text)
    assert message in str(error.value)


@given(st.text(alphabet="ab=!,() <>in", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = parse(text)
    except SelectorError:
        return
    assert isinstance(selector.matches({"a": "b"}), bool)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), max_size=3)
values = st.sets(st.sampled_from(["x", "y", "z"]), min_size=1)


@given(st.sampled_from("abc"), values, labels)
def test_notin_is_the_opposite_of_in(key: str, some: set[str], have: dict[str, str]) -> None:
    inside = parse(f"{key} in ({','.join(some)})").matches(have)
    assert inside is (have.get(key) in some)
    assert parse(f"{key} notin ({','.join(some)})").matches(have) is not inside
    assert parse(f"{key},{key} in ({','.join(some)})").matches(have) is inside
