"""Every mistake of a Corefile is reported with file, line and hint; the exact messages."""

import pytest

from clusterdns.corefile.errors import MAX_ERRORS, CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.load import parse

OWN_LINE = "Unexpected '}' at the end of a line; put '}' on a line of its own, after "
UNMATCHED = "Unexpected '}' because no matching opening brace; remove it, or look above for a block without its '{'"
NO_BLOCKS = (
    "Corefile:1: this Corefile has no server block; write at least one, such as '. {', "
    "or start without -conf for the built-in one"
)

ERRORS: list[tuple[str, str, list[str]]] = [
    ("an empty file", "", [NO_BLOCKS]),
    ("comments only", "# nothing\n", [NO_BLOCKS]),
    ("snippets only", "(a) {\n log\n}\n", [NO_BLOCKS]),
    (
        "a block without keys only",
        "{\n log\n}\n",
        ["Corefile:1: this server block has no key; write '.' or a zone before '{'"],
    ),
    (
        "the server block is not closed",
        ".:53 {\n log\n\n",
        ["Corefile:2: Unexpected EOF: the server block opened at Corefile:1 is never closed; add the missing '}'"],
    ),
    (
        "a directive's block is not closed",
        ". {\n log {\n  class error\n}\n",
        ["Corefile:4: Unexpected EOF: the server block opened at Corefile:1 is never closed; add the missing '}'"],
    ),
    (
        "nothing is closed",
        ". {\n log {\n  class error\n",
        [
            "Corefile:3: Unexpected EOF: the block of 'log' opened at Corefile:2 is never closed; add the missing '}'",
            "Corefile:3: Unexpected EOF: the server block opened at Corefile:1 is never closed; add the missing '}'",
        ],
    ),
    (
        "a snippet is not closed",
        "(a) {\n log\n",
        ["Corefile:2: Unexpected EOF: the block of '(a)' opened at Corefile:1 is never closed; add the missing '}'"],
    ),
    ("an unmatched brace after a block", ". {\n}\n}\n", [f"Corefile:3: {UNMATCHED}"]),
    ("an unmatched brace in a file without braces", ".\nlog\n}\n", [f"Corefile:3: {UNMATCHED}"]),
    ("an unmatched brace before anything", "}\n. {\n}\n", [f"Corefile:1: {UNMATCHED}"]),
    ("an unmatched brace among keys", "a } {\n}\n", [f"Corefile:1: {UNMATCHED}"]),
    (
        "a comma before the brace",
        "a, {\n}\n",
        [
            "Corefile:1: Expected another address but had '{' - check for extra comma after 'a,'; "
            "remove the comma, or name another zone"
        ],
    ),
    (
        "a comma before the brace of the next line",
        "a,\n{\n}\n",
        [
            "Corefile:1: Expected another address but had '{' - check for extra comma after 'a,'; "
            "remove the comma, or name another zone"
        ],
    ),
    (
        "a comma before the end",
        "a,\n",
        ["Corefile:1: Unexpected EOF: another key must follow 'a,'; remove the comma, or name another zone"],
    ),
    (
        "no space before the brace of a block",
        "corp.example.com{\n log\n}\n",
        [
            "Corefile:1: Unexpected '{' at the end of 'corp.example.com{'; "
            "put a space before the brace: 'corp.example.com {'"
        ],
    ),
    (
        "no space before the brace of a directive",
        ". {\n errors{\n }\n forward . 1.1.1.1{\n }\n}\n",
        [
            "Corefile:2: Unexpected '{' at the end of 'errors{'; put a space before the brace: 'errors {'",
            "Corefile:4: Unexpected '{' at the end of '1.1.1.1{'; put a space before the brace: '1.1.1.1 {'",
        ],
    ),
    (
        "no space before the brace of a snippet",
        "(a){\n log\n}\n. {\n import a\n}\n",
        ["Corefile:1: Unexpected '{' at the end of '(a){'; put a space before the brace: '(a) {'"],
    ),
    (
        "an empty block in one word",
        ". {\n errors {}\n log{}\n}\n.:54 {}\n",
        [
            "Corefile:3: Unexpected 'log{}', which is a word, not a block; "
            "put a space before the brace and one inside: 'log { }'",
            "Corefile:5: Unexpected '{}', which is a word, not a block; "
            "put a space before the brace and one inside: '{ }'",
        ],
    ),
    (
        "an empty block in one word, alone",
        ". {\n {}\n}\n",
        [
            "Corefile:2: Unexpected '{}', which is a word, not a block; "
            "put a space before the brace and one inside: '{ }'"
        ],
    ),
    ("a block folded into one line", "zone:53 { forward . IP }", [f"Corefile:1: {OWN_LINE}'IP'"]),
    ("a nested block folded into one line", ". {\n health { lameduck 5s }\n}\n", [f"Corefile:2: {OWN_LINE}'5s'"]),
    (
        "a word after a nested block",
        ". {\n errors {\n } log\n}\n",
        ["Corefile:3: Unexpected 'log' after the '}' that closes 'errors'; put 'log' on a line of its own"],
    ),
    (
        "two closing braces on one line",
        ". {\n errors {\n } }\n",
        ["Corefile:3: Unexpected '}' after the '}' that closes 'errors'; put '}' on a line of its own"],
    ),
    (
        "a directive's brace on a line of its own",
        ". {\n errors\n {\n }\n}\n",
        ["Corefile:3: Unexpected '{' at the start of a line; put it at the end of the line of 'errors', Corefile:2"],
    ),
    (
        "a brace without a directive",
        ". {\n {\n  a\n }\n log\n}\n",
        ["Corefile:2: Unexpected '{' without a directive before it; write '{' after its directive"],
    ),
    (
        "a block that was not closed holds the next directive's",
        ". {\n kubernetes {\n  pods insecure\n forward . 1.1.1.1 {\n  force_tcp\n }\n}\n",
        [
            "Corefile:4: Unexpected '{': the block of 'kubernetes', opened at Corefile:2, cannot contain blocks; "
            "close the block of 'kubernetes' before this line, or remove the braces",
            "Corefile:7: Unexpected EOF: the server block opened at Corefile:1 is never closed; add the missing '}'",
        ],
    ),
    (
        "only a single block may omit its braces",
        ". {\n}\nexample.org\nlog\n",
        [
            "Corefile:3: Unexpected line ending after 'example.org', expecting '{'; "
            "write '{' there; only the braces of a file's single block may be omitted"
        ],
    ),
    (
        "a snippet without a block",
        "(a)\nlog\n",
        ["Corefile:1: snippet '(a)' has no block, expecting '{'; write: (a) {"],
    ),
    ("a snippet without a name", "() {\n}\n. {\n}\n", ["Corefile:1: a snippet without a name; write: (name) {"]),
    (
        "a snippet defined twice",
        "(a) {\n log\n}\n(a) {\n}\n. {\n import a\n}\n",
        ["Corefile:4: redeclaration of previously declared snippet a, at Corefile:1; rename one of the two"],
    ),
    (
        "a snippet that imports itself",
        "(a) {\n import a\n}\n. {\n}\n",
        ["Corefile:2: snippet '(a)' imports itself; remove this import"],
    ),
    (
        "snippets that import each other",
        "(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}\n",
        [
            "Corefile:5: import of itself: (a) → (b) → (a); remove one of these imports "
            "(imported at Corefile:2, Corefile:8)"
        ],
    ),
    (
        "import without an argument",
        ". {\n import\n}\n",
        [
            "Corefile:2: Wrong argument count or unexpected line ending after 'import'; "
            "write: import SNIPPET, or import FILE"
        ],
    ),
    (
        "import with two arguments",
        ". {\n import a b\n}\n",
        ["Corefile:2: Import takes only one argument (glob pattern or file); remove 'b'"],
    ),
    (
        "import of an unset variable",
        ". {\n import {$NONE}\n}\n",
        ["Corefile:2: Import requires a non-empty filepath; '{$NONE}' is empty; name a file"],
    ),
    (
        "import of a missing file",
        ". {\n import nothing/here\n}\n",
        ["Corefile:2: File to import not found: nothing/here; create it, or define a snippet of that name above"],
    ),
    (
        "import of a misspelt snippet",
        "(common) {\n}\n. {\n import comon\n}\n",
        ["Corefile:4: File to import not found: comon; did you mean the snippet common?"],
    ),
    (
        "import before the snippet",
        ". {\n import a\n}\n(a) {\n}\n",
        ["Corefile:2: File to import not found: a; create it, or define a snippet of that name above"],
    ),
    (
        "import of two wildcards",
        ". {\n import a*/b*\n import [ab]\n}\n",
        [
            "Corefile:2: Glob pattern may only contain one wildcard (*), but has others: 'a*/b*'; "
            "import in several lines, each with one '*'",
            "Corefile:3: Glob pattern may only contain one wildcard (*), but has others: '[ab]'; "
            "import in several lines, each with one '*'",
        ],
    ),
    (
        "import of a name with a NUL byte",
        ". {\n import a\0\n}\n",
        ["Corefile:2: File to import not found: 'a\\x00'; a file name cannot contain a NUL byte"],
    ),
    (
        "an error in a snippet is reported once",
        "(a) {\n log x {\n  y {\n  }\n }\n}\n. {\n import a\n import a\n}\n",
        [
            "Corefile:3: Unexpected '{': the block of 'log', opened at Corefile:2, cannot contain blocks; "
            "close the block of 'log' before this line, or remove the braces (imported at Corefile:8)"
        ],
    ),
    (
        "all wrong keys of one block",
        "a..b :53 c: {\n}\n",
        [
            "Corefile:1: 'a..b' is not a domain name: label of 0 bytes, must be 1 to 63; "
            "write a zone such as cluster.local",
            "Corefile:1: no zone in ':53'; for all names write .:53",
            "Corefile:1: no port after the colon of 'c:'; write the port, or remove the colon",
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_errors(text: str, expected: list[str]) -> None:
    errors = ErrorList()
    parse(text, "Corefile", {}, errors=errors)
    assert [str(error) for error in errors.errors] == expected


def test_without_an_error_list_all_errors_are_raised_together() -> None:
    with pytest.raises(CorefileErrors) as raised:
        parse(". {\n errors{\n}\n import nowhere\n}\n}\n", "Corefile", {})
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == [
        "Corefile:2",
        "Corefile:4",
        "Corefile:6",
    ]


def test_parsing_continues_after_a_mistake() -> None:
    errors = ErrorList()
    corefile = parse(".{\n errors{\n }\n cache 30 {\n  success 1 }\n log\n}\n}\n.:54 {\n}\n", "f", {}, errors=errors)
    assert [[directive.name for directive in block.directives] for block in corefile.blocks] == [
        ["errors", "cache", "log"],
        [],
    ]
    assert len(errors.errors) == 4


def test_collect_goes_on_after_an_error() -> None:
    errors = ErrorList()
    for line in (3, 4):
        with errors.collect():
            raise CorefileError("f", line, "wrong")
    with errors.collect():
        raise CorefileErrors((CorefileError("f", 4, "wrong"), CorefileError("f", 5, "wrong", "fix it")), left_out=2)
    with pytest.raises(CorefileErrors) as raised:
        errors.raise_if_any()
    assert str(raised.value).splitlines() == ["f:3: wrong", "f:4: wrong", "f:5: wrong; fix it", "… and 2 more errors"]


def test_errors_are_ordered_by_file_and_line() -> None:
    errors = ErrorList()
    for file, line in (("f", 9), ("f", 2), ("imported", 4), ("f", 5), ("imported", 1)):
        errors.add(CorefileError(file, line, "wrong"))
    with pytest.raises(CorefileErrors) as raised:
        errors.raise_if_any()
    assert [error.place for error in raised.value.errors] == ["f:2", "f:5", "f:9", "imported:1", "imported:4"]


def test_collect_lets_other_exceptions_pass() -> None:
    errors = ErrorList()
    with pytest.raises(KeyError), errors.collect():
        raise KeyError
    assert not errors


def test_errors_beyond_the_maximum_are_counted() -> None:
    errors = ErrorList()
    parse("}\n" * 1000, "f", {}, errors=errors)
    assert (len(errors.errors), errors.left_out) == (MAX_ERRORS, 1000 - MAX_ERRORS)


def test_an_error_is_one_line_and_short() -> None:
    errors = ErrorList()
    parse('. {\n import "a\n\x1b[31m*' + "x" * 500 + '*"\n}\n', "Core\nfile", {}, errors=errors)
    text = str(errors.errors[0])
    assert "\n" not in text
    assert "\x1b" not in text
    assert text.startswith("Core\\nfile:2: ")
    assert len(text) < 250


def test_an_empty_block_in_one_word_after_a_name_is_an_argument() -> None:
    corefile = parse(". {\n cache {}\n}\n", "Corefile", {})
    assert [word.text for word in corefile.blocks[0].directives[0].args] == ["{}"]
    (warning,) = corefile.warnings
    assert str(warning) == "Corefile:2: '{}' is read as an argument, not as a block; for an empty block write '{ }'"
