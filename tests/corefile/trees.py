"""Texts that may be a Corefile, and parsed trees without their places or printed again, for property tests."""

from collections.abc import Iterable

from hypothesis import strategies as st

from clusterdns.cli.config.writing import written_lines
from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.directive import ServerBlock

PIECES = [
    *("{", "}", "{}", " ", "  ", "\n", "\n", "\n", "\t", "\r\n", "\xa0", "#", '"', '\\"', "\\", ",", ":53", "://", "/"),
    *("import ", "\nimport a\n", "(a) {\n", "(", ")", "*", "?", "[", "{$A}", "{%B%}", "{$", "{%", "%}", "\ufeff", "\0"),
    *(".", "a", "example.org", "10.0.0.0/15", "fe80::1", "tls://.", "log", "errors {", " {\n", "\n}\n", "é", "\ud800"),
]
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))


def words(blocks: tuple[ServerBlock, ...]) -> list[object]:
    """The tree as plain text, without places."""
    return [
        (
            [word.text for word in block.words],
            [(key.transport, key.zone_text, key.port) for key in block.keys],
            [
                ([word.text for word in one.words], [[word.text for word in line.words] for line in one.block])
                for one in block.directives
            ],
        )
        for block in blocks
    ]


def print_corefile(blocks: Iterable[ServerBlock]) -> str:
    """The tree as a Corefile; raises CorefileError for a word that the grammar cannot express."""
    return "".join(f"{line.text}\n" for line in written_lines(blocks))


def is_unwritable(block: ServerBlock) -> bool:
    """Whether a key can only come from a list of keys: with an escaped quote, and a quote or brace at an end."""
    return any(
        word.written is None
        and '\\"' in word.text
        and (glued_brace(word.text) is not None or word.text.startswith('"'))
        for word in block.words
    )
