"""Texts that may be a Corefile, and parsed trees without their places, for property tests."""

from hypothesis import strategies as st

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
