"""Any text becomes a tree or errors with file and line; a printed tree parses to the same tree."""

import re
import time
from collections.abc import Callable

import pytest
from corefile.trees import TEXTS, is_unwritable, print_corefile, words
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.environment import has_reference
from clusterdns.corefile.errors import CorefileError, ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import parse

FILE = "/nowhere/Corefile"  # in a folder that does not exist, so that `import *` finds nothing
ENVIRON = {"A": "x y", "B": "{$A}"}


@given(TEXTS)
@example("\ufeff\ufeff {\n}\n")
@example('. {\n a\\"{ b\n}\n')
@example('. {\n a \\"\\{\n}\n')
@example('. {\n a \\"{ {\n}\n}\n')
@example('(\\" a {\n}\n')
@example('\\"{,0 {\n}\n')
@example('{,\\"{}')
@example(',"\\"')
@example('0\n\\"{{$0}')  # the variable is not set
@settings(max_examples=600, deadline=None)
def test_any_text(text: str) -> None:
    errors = ErrorList()
    corefile = parse(text, FILE, {}, errors=errors)
    last_line = text.count("\n") + 1
    for error in errors.errors:
        assert re.match(rf"{FILE}:[0-9]+: .*\S", str(error)), str(error)
        assert 1 <= error.line <= last_line
        assert error.hint
    assert corefile.blocks or errors
    for warning in corefile.warnings:
        assert 1 <= warning.line <= last_line
    if not errors and not any(map(is_unwritable, corefile.blocks)):
        printed = print_corefile(corefile.blocks)
        again = parse(printed, "printed", {})
        assert words(again.blocks) == words(corefile.blocks)
        assert print_corefile(again.blocks) == printed


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_any_text_with_variables(text: str) -> None:
    errors = ErrorList()
    parse(text, FILE, ENVIRON, errors=errors)
    for error in errors.errors:
        assert isinstance(error, CorefileError)
        assert error.line >= 1


TOKENS = st.builds(
    Token,
    st.one_of(
        st.sampled_from(
            ["a", "import", "{", "}", "{}", "a{", "(a)", "a,b", "#", '"', " ", "", "\ufeff", "\r", "a\nb", "x y"]
        ),
        st.text(max_size=8).filter(lambda text: "\\" not in text and not has_reference(text)),
    ),
    st.just("f"),
    st.just(1),
    st.booleans(),
)
WORDS = st.lists(TOKENS, min_size=1, max_size=4).map(tuple)
DIRECTIVES = st.builds(Directive, WORDS, st.lists(st.builds(Line, WORDS), max_size=3).map(tuple))
KEYS = WORDS.filter(lambda key: all(word.text for word in key))
BLOCKS = st.builds(ServerBlock, KEYS, st.just(()), st.lists(DIRECTIVES, max_size=3).map(tuple))


@given(st.lists(BLOCKS, min_size=1, max_size=3).map(tuple))
@settings(max_examples=300, deadline=None)
def test_any_tree_is_printed_and_read_back(blocks: tuple[ServerBlock, ...]) -> None:
    errors = ErrorList()
    again = parse(print_corefile(blocks), "printed", {}, errors=errors)
    assert [comparable(block) for block in words(again.blocks)] == [comparable(block) for block in words(blocks)]
    # The words of a key may not be a zone; everything else must be valid.
    assert {error.line for error in errors.errors} <= {word.line for block in again.blocks for word in block.words}


def comparable(block: object) -> object:
    """The block without its parsed keys, of which a wrong word has none."""
    assert isinstance(block, tuple)
    return block[0], block[2]


@pytest.mark.parametrize("value", ["a b\\", "{$X}", "{$V}", 'a \\"', "\udcff"])
def test_values_that_no_word_can_express_are_printed_as_references(value: str) -> None:
    blocks = parse(".\nlog {$V} x\n", "f", {"V": value}).blocks
    assert print_corefile(blocks) == ". {\n    log {$V} x\n}\n"


def test_a_key_that_only_a_list_of_keys_can_express_is_an_error() -> None:
    blocks = parse('a,"b\\"c {\n}\n', "f", {}).blocks
    with pytest.raises(CorefileError, match=r"f:1: '\"b.*' cannot be written as a word"):
        print_corefile(blocks)


SIZE = 60_000
HUGE: list[tuple[str, Callable[[], str]]] = [
    ("braces", lambda: "{ " * SIZE),
    ("nested braces", lambda: ". {\n" + "a {\n" * SIZE),
    ("closing braces", lambda: "} " * SIZE),
    ("glued braces", lambda: "a{ " * SIZE),
    ("keys", lambda: "a " * SIZE),
    ("commas", lambda: "," * SIZE),
    ("one word", lambda: "." * SIZE),
    ("colons", lambda: ":" * SIZE),
    ("open references", lambda: ".\nlog " + "{%" * SIZE + "{$" * SIZE),
    ("references", lambda: ".\nlog " + "{$A}" * SIZE),
    ("backslashes", lambda: '.\nlog "' + "\\" * SIZE),
    ("a closing brace after each word", lambda: ". {\n" + "a } " * SIZE),
    ("snippets", lambda: "".join(f"(s{n}) {{ x }}\n" for n in range(SIZE // 4))),
    ("misspelt snippets", lambda: "".join(f"(s{n}) {{ x }}\n" for n in range(500)) + "import s_\n" * (SIZE // 4)),
    ("missing imports", lambda: "import no/*.conf\n" * (SIZE // 4)),
]


@pytest.mark.parametrize("make", [row[1] for row in HUGE], ids=[row[0] for row in HUGE])
def test_time_is_linear(make: Callable[[], str]) -> None:
    text = make()

    def cpu_seconds() -> float:
        started = time.process_time()
        parse(text, FILE, {}, errors=ErrorList())
        return time.process_time() - started

    # a thread beside it on the same core doubles its time for a while; a quadratic parser needs minutes each time
    assert any(cpu_seconds() < 4.0 for _ in range(3))
