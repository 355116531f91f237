"""Text to lines of words: one row per rule of the lexer."""

import time

import pytest

from clusterdns.cli.config.writing import quote
from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token, lex

LINES: list[tuple[str, str, list[list[str]]]] = [
    ("blanks separate, newlines end a line", "a  b\tc\nd", [["a", "b", "c"], ["d"]]),
    ("empty lines are dropped", "\n\n a \n \n", [["a"]]),
    ("a byte order mark is dropped", "\ufeffa", [["a"]]),
    ("a byte order mark further on is not", "a\n\ufeffb", [["a"], ["\ufeffb"]]),
    ("Unicode white space separates", "a\xa0b\x85c\u2028d\u3000e", [["a", "b", "c", "d", "e"]]),
    ("control characters do not", "a\x1cb", [["a\x1cb"]]),
    ("a carriage return vanishes, also inside a word", "a\r\nb\rc\r\n", [["a"], ["bc"]]),
    ("a comment runs to the end of the line", "a # b\nc", [["a"], ["c"]]),
    ("a comment on a line of its own", "# a\n#b\nc", [["c"]]),
    ("a comment glued to a word runs to the end of the line too", "whoami#c1 log\nerrors", [["whoami"], ["errors"]]),
    ("a comment after a brace", "} # STUBDOMAINS\n", [["}"]]),
    ("no comment inside quotes", '"a # b" c', [["a # b", "c"]]),
    ("UTF-8 in a comment", "a # größer\n", [["a"]]),
    ("quotes keep blanks", 'a "b  c" d', [["a", "b  c", "d"]]),
    ("quotes keep newlines, and the line goes on after them", '"a\nb" c\nd', [["a\nb", "c"], ["d"]]),
    ("only a quote is escaped", r'"a\"b\n\\c"', [[r'a"b\n\\c']]),
    ("a quoted regular expression", r'"^(?:[^.]+\.){4,}x\.$"', [[r"^(?:[^.]+\.){4,}x\.$"]]),
    ("the closing quote ends the word", '"d"e', [["d", "e"]]),
    ("a quote inside a word is a character", 'a"b c"', [['a"b', 'c"']]),
    ("an empty string is a word", 'a "" b', [["a", "", "b"]]),
    ("an unclosed quote runs to the end", 'a "b\nc', [["a", "b\nc"]]),
    ("a backslash at the very end of one is dropped", 'a "b\\', [["a", "b"]]),
    ("single quotes and backticks are characters", "'x y' `z`", [["'x", "y'", "`z`"]]),
    ("a backslash does not continue a line", "a \\\nb", [["a", "\\"], ["b"]]),
    (
        "braces are words of their own only",
        "a{1} {{ .Name }} {remote} { }",
        [["a{1}", "{{", ".Name", "}}", "{remote}", "{", "}"]],
    ),
    ("nothing", "", []),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_lines(text: str, expected: list[list[str]]) -> None:
    assert [[token.text for token in line] for line in lex(text, "Corefile").lines] == expected


def test_tokens_have_their_line_and_whether_they_were_quoted() -> None:
    lines = lex('# one\na "b\nc" d\ne', "f").lines
    assert lines == [
        [Token("a", "f", 2), Token("b\nc", "f", 2, quoted=True), Token("d", "f", 3)],
        [Token("e", "f", 4)],
    ]


def test_quoted_braces_are_words() -> None:
    bare, string = lex('{ "{"', "f").lines[0]
    assert bare.opens
    assert not string.opens


def test_an_unclosed_quote_is_returned() -> None:
    assert lex('a\nb "c\nd', "f").unclosed == Token("c\nd", "f", 2, quoted=True)
    assert lex('a "b" c', "f").unclosed is None


@pytest.mark.parametrize("text", ["", "a b", 'say "x"', r"a\.b", "{", "a\nb", r"\\" + '"'])
def test_a_quoted_text_is_read_back(text: str) -> None:
    assert [token.text for token in lex(quote(text) or "", "f").lines[0]] == [text]


@pytest.mark.parametrize("text", ["a b\\", 'a \\"b'])
def test_texts_that_a_string_cannot_express(text: str) -> None:
    assert quote(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".{", (".", False)),
        ("zone:53{", ("zone:53", False)),
        ("{}", ("", True)),
        ("log{}", ("log", True)),
        ("{", None),
        ("{{", None),
        (r"^a\{", None),
        ("{remote}", None),
        ("{$A}{}", None),
        ("{$HOST}{", ("{$HOST}", False)),
        ("a", None),
    ],
)
def test_braces_glued_to_a_word(text: str, expected: tuple[str, bool] | None) -> None:
    assert glued_brace(text) == expected


def test_too_many_words_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.corefile.lexer.MAX_TOKENS", 1_000)
    assert lex("a " * 1_000, "f").token_count == 1_000
    with pytest.raises(CorefileError, match=r"^f:2: more than 1,000 words; check that it is a Corefile"):
        lex("a " * 1_000 + "\nb", "f")


@pytest.mark.parametrize(
    "text",
    ['"' + "\\" * 200_001, '"' * 200_000, "#" * 200_000, '\\"' * 100_000, "a#\n" * 70_000, '"a\\' * 70_000],
    ids=["backslashes", "quotes", "hashes", "escapes", "comments", "unclosed"],
)
def test_time_is_linear(text: str) -> None:
    started = time.process_time()
    lex(text, "f")
    assert time.process_time() - started < 2.0
