"""The weights file of `loadbalance`: its format, its errors, and that the last good weights stay in use."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.plugins.loadbalance import directive as loadbalance
from clusterdns.plugins.loadbalance import weights as loadbalance_weights
from clusterdns.wire.name import from_text

ReadDirectives = Callable[[str], Sequence[Directive]]
NAME = from_text("example.org.")
ONE = bytes((10, 0, 0, 1))


def test_names_and_weights_are_read() -> None:
    text = "# all\nExample.ORG\n10.0.0.1 3  # big\n::1 255\n\nother.example.\nexample.org.\n10.0.0.2 1\n"
    assert loadbalance_weights.read_table(text, "w") == {
        NAME: {ONE: 3, bytes(15) + b"\1": 255, bytes((10, 0, 0, 2)): 1},
        from_text("other.example."): {},
    }


def test_comments_may_have_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"# caf\xe9\xff \xe2\x80\xa8 a b c\nexample.org # \xe9\n10.0.0.1 3\n")
    followed = loadbalance_weights.WeightsFile(str(tmp_path / "w"))
    followed.load()
    assert followed.table == {NAME: {ONE: 3}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.1 3", "w:1: expected a name"),
        ("a\n10.0.0.1 0", "w:2: invalid weight '0'"),
        ("a\n10.0.0.1 256", "w:2: invalid weight '256'"),
        ("a\n10.0.0.1 -1", "w:2: invalid weight '-1'"),
        ("a\n\n10.0.0 1", "w:3: '10.0.0' does not appear"),
        ("a..b", "w:1: label of 0 bytes"),
        ("a b c", "w:1: expected a name"),
    ],
)
def test_errors_name_their_line(text: str, problem: str) -> None:
    with pytest.raises(loadbalance_weights.WeightsError) as error:
        loadbalance_weights.read_table(text, "w")
    assert str(error.value).startswith(problem)


@given(st.text("a1.:# \n\\0é"))
def test_any_text_makes_a_table_or_an_error_with_its_line(text: str) -> None:
    try:
        table = loadbalance_weights.read_table(text, "w")
    except loadbalance_weights.WeightsError as problem:
        line = int(str(problem).split(":")[1])
    else:
        line = 0
        assert all(1 <= weight <= 255 for addresses in table.values() for weight in addresses.values())
    assert line <= len(text.splitlines())


def test_the_last_good_weights_stay_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "w"
    followed = loadbalance_weights.WeightsFile(str(path))
    for step, (text, weight) in enumerate([("example.org\n10.0.0.1 3", 3), ("broken line here", 3), ("b", None)]):
        path.write_text(text)
        os.utime(path, (step + 1, step + 1))
        followed.poll()
        followed.poll()
        assert followed.table.get(NAME, {}).get(ONE) == weight
    path.unlink()
    followed.poll()
    assert list(followed.table) == [from_text("b.")]
    assert [text.partition(":")[0] for text in caplog.messages] == [
        f"Successfully reloaded weight file {path}",
        "Cannot use the weight file",
        f"Successfully reloaded weight file {path}",
        "Cannot use the weight file",
    ]


@pytest.mark.parametrize("content", [b"a\n10.0.0.1 300", b"\xff\n10.0.0.1 \xff\n"])
def test_a_malformed_file_at_the_start_is_an_error(
    read_directives: ReadDirectives, context: BlockContext, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "w"
    path.write_bytes(content)
    with pytest.raises(CorefileErrors) as error:
        loadbalance.parse(read_directives(f"loadbalance weighted {path}"), context)
    assert str(error.value).startswith(f"Corefile:2: {path}:")


async def test_a_missing_file_at_the_start_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    followed = loadbalance_weights.WeightsFile(str(tmp_path / "w"))
    followed.load()
    await followed.start(30.0)
    followed.poll()
    await followed.stop()
    assert caplog.messages == [
        f"Failed to open weight file {tmp_path}/w: every address weighs 1. Will try again in 30s"
    ]
