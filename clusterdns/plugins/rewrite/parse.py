"""Reads the rules of `rewrite` from a Corefile, each mistake with its place and a hint; `parse_edns` reads `edns0`.

A rule is on the line of the directive, or in braces, where line breaks have no meaning.
"""

import re
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList, hint_for
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option
from clusterdns.plugins.rewrite import names, question_rules, reply_rules
from clusterdns.plugins.rewrite.parse_edns import edns0
from clusterdns.plugins.rewrite.rule import ReplyChange, WaitingChange
from clusterdns.plugins.rewrite.settings import RewriteSettings
from clusterdns.wire import codes

STOP, CONTINUE = "stop", "continue"
MAX_TTL_SECONDS = 0xFFFFFFFF
OPEN_TTL_SECONDS = 0x7FFFFFFF  # the maximum of `MIN-` (RFC 2181 §8)
MAX_RCODE_NUMBER = 23
_KIND = "[exact|prefix|suffix|substring|regex]"
_ANSWER = "[answer auto|name FROM TO|value FROM TO]…"
# parts of a regular expression: escapes, group names, flags and classes, whose case matters, and capital letters
_CASED = re.compile(r"\\[pP]\{[^}]*\}|\\.|\(\?P?<[^>]*>|\(\?[A-Za-z-]+[:)]|\[\[:\^?[a-z]+:\]\]|[A-Z]", re.DOTALL)


def read(directives: Sequence[Directive], settings: RewriteSettings) -> RewriteSettings:
    """Add the rules of all directives. Raises CorefileErrors."""
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            settings = _with_directive(settings, directive)
    errors.raise_if_any()
    return settings


def _with_directive(settings: RewriteSettings, directive: Directive) -> RewriteSettings:
    words = directive.args
    if len(words) < 2:
        words = (*words, *(word for line in directive.block for word in line.words))
    elif directive.block:
        raise directive.block[0].error(
            "this 'rewrite' has a rule on its line and in braces", "write the rule in one of the two places"
        )
    mode = words[0].text.lower() if words else ""
    if mode in (STOP, CONTINUE):
        words = words[1:]
    if not words:
        raise directive.error("'rewrite' has no rule", f"write rewrite [stop|continue] {'|'.join(FIELDS)} …")
    field = FIELDS.get(words[0].text.lower())
    if field is None:
        if words[0].text.lower() == "answer":
            raise words[0].error("'answer' belongs to a name rule", "write name FROM TO before it")
        raise words[0].error(f"rewrite cannot change {words[0]}", hint_for(words[0].text, FIELDS, "choose a field"))
    settings = field.read(settings, Line(words))
    text = " ".join(word.text for word in words)
    last = replace(settings.steps[-1], stops=mode != CONTINUE, text=text, place=directive.place)
    return replace(settings, steps=(*settings.steps[:-1], last))


def _name(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(2, None, f"{_KIND} FROM TO {_ANSWER}")
    kind = names.EXACT if len(words) == 2 else names.kind_of(words[0], "name")
    before, after = words if len(words) == 2 else words[1:3]
    more = words[3:]
    takes_metadata = bool(more) and more[0].text == "metadata"
    if takes_metadata and kind != names.REGEX:
        raise more[0].error("'metadata' needs a regular expression", "write name regex FROM TO metadata")
    is_auto, changes = _answers(more[1:] if takes_metadata else more)
    if takes_metadata:
        pattern = values.regex(before)
        parts = names.replacement_parts(after, pattern)
        return settings.with_rule(question_rules.MetadataNameRule(pattern, parts, is_auto, changes))
    if kind == names.REGEX:
        return settings.with_rule(question_rules.NameRule(names.regex_changer(before, after), is_auto, changes))
    old, new = names.absolute(before.text), names.absolute(after.text)
    if kind == names.SUFFIX and is_auto:
        back = names.restore_suffix(old, new)
        changes = (reply_rules.OwnerNamesChange(back), reply_rules.RdataNamesChange(back), *changes)
        is_auto = False
    change = names.changer(kind, old, new)
    return settings.with_rule(question_rules.NameRule(change, is_auto or kind == names.EXACT, changes))


def _answers(words: Sequence[Token]) -> tuple[bool, tuple[ReplyChange | WaitingChange, ...]]:
    """Return whether there is `answer auto`, and the changes of the other answer rules.

    The word `answer` may be written once or before each rule.
    """
    is_auto = False
    changes: list[ReplyChange | WaitingChange] = []
    position = 0
    while position < len(words):
        word = words[position]
        if word.text == "answer":
            position += 1
        elif not position:
            raise word.error(f"unexpected {word}", f"only {_ANSWER} may follow FROM and TO")
        if position == len(words):
            raise word.error("the kind of answer is missing", f"write {_ANSWER}")
        kind = words[position]
        position += 1
        if values.choice(kind, ("auto", "name", "value")) == "auto":
            is_auto = True
            continue
        if len(words) < position + 2:
            raise kind.error(f"answer {kind.text} takes FROM and TO", f"write answer {kind.text} REGEX REPLACEMENT")
        change = names.answer_changer(words[position : position + 2])
        changes.append(
            reply_rules.OwnerNamesChange(change) if kind.text == "name" else reply_rules.RdataNamesChange(change)
        )
        position += 2
    if is_auto and any(isinstance(one, reply_rules.OwnerNamesChange) for one in changes):
        raise words[0].error("'answer auto' and 'answer name' exclude each other", "keep one of them")
    return is_auto, tuple(changes)


def _number(read_text: Callable[[str], int], word: Token, hint: str) -> int:
    try:
        return read_text(word.text)
    except ValueError as problem:
        raise word.error(str(problem), hint) from None


def _type(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(2, 2, "FROM TO")
    before, after = (_number(codes.type_from_text, word, "write a type such as A or AAAA") for word in words)
    return settings.with_rule(question_rules.TypeRule(before, after))


def _class(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(2, 2, "FROM TO")
    before, after = (_number(codes.class_from_text, word, "write a class such as IN or CH") for word in words)
    return settings.with_rule(question_rules.ClassRule(before, after))


def _reply_rule(
    settings: RewriteSettings, words: Sequence[Token], count: int, change: ReplyChange | WaitingChange
) -> RewriteSettings:
    """Add a rule for replies to names; `words` are the kind of match, if given, the name and `count` further words."""
    kind = names.EXACT if len(words) == count + 1 else names.kind_of(words[0], "name")
    return settings.with_rule(reply_rules.ReplyRule(names.matcher(kind, words[-count - 1]), change))


def _ttl(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(2, 3, f"{_KIND} NAME SECONDS|MIN-MAX|-MAX|MIN-")
    min_text, dash, max_text = words[-1].text.partition("-")
    if not dash:
        max_text = min_text
    elif not min_text and not max_text:
        raise words[-1].error(f"{words[-1]} is not a range of TTLs", "write 30-300, 30- or -300")
    minimum = _seconds(words[-1], min_text, 0)
    maximum = _seconds(words[-1], max_text, OPEN_TTL_SECONDS)
    if minimum > maximum:
        raise words[-1].error(f"{words[-1]} is not a range of TTLs", f"write {maximum}-{minimum}")
    return _reply_rule(settings, words, 1, reply_rules.TtlRange(minimum, maximum))


def _seconds(word: Token, text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_TTL_SECONDS:
        raise word.error(f"{word} is not a TTL in seconds", f"write 0 to {MAX_TTL_SECONDS}, or a range such as 30-300")
    return int(text)


def _rcode(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(3, 4, f"{_KIND} NAME FROM TO")
    before, after = (_response_code(word) for word in words[-2:])
    return _reply_rule(settings, words, 2, reply_rules.RcodeChange(before, after))


def _response_code(word: Token) -> int:
    hint = f"write a response code such as NXDOMAIN, or its number up to {MAX_RCODE_NUMBER}"
    number = _number(codes.rcode_from_text, word, hint)
    if number > MAX_RCODE_NUMBER:
        raise word.error(f"{word} is not a response code", hint)
    return number


def _cname(settings: RewriteSettings, line: Line) -> RewriteSettings:
    words = line.arguments_between(2, 3, f"{_KIND} FROM TO")
    kind = names.EXACT if len(words) == 2 else names.kind_of(words[0], "target")
    before, after = (word._replace(text=word.text.lower()) for word in words[-2:])
    if kind == names.REGEX:
        pattern = values.regex(words[-2]._replace(text=_CASED.sub(_lowered, words[-2].text)))
        return settings.with_rule(reply_rules.CnameTargetRule(names.regex_replacer(pattern, after.text)))
    if kind == names.EXACT:
        return settings.with_rule(
            reply_rules.CnameTargetRule(names.changer(kind, names.absolute(before.text), names.absolute(after.text)))
        )
    return settings.with_rule(reply_rules.CnameTargetRule(names.changer(kind, before.text, after.text)))


def _lowered(found: re.Match[str]) -> str:
    return found[0].lower() if len(found[0]) == 1 else found[0]


OPTIONS: tuple[Option[RewriteSettings], ...] = (
    Option(
        f"name {_KIND} FROM TO {_ANSWER}",
        "exact",
        "Changes the name. FROM and TO are made absolute, except with regex: `prefix foo` means `foo.`. A regular "
        "expression sees the name in lower case with its final dot, and TO may contain `{0}`, `{1}`, …; with the word "
        "`metadata` after it also `{plugin/label}`. `answer auto` changes names in the reply back to the client's "
        "(`exact` always does); `answer name` and `answer value` change owner names, and names in the data of records, "
        "by a regular expression.",
        _name,
    ),
    Option("type FROM TO", "", "Changes the type.", _type),
    Option("class FROM TO", "", "Changes the class.", _class),
    Option(
        f"ttl {_KIND} NAME SECONDS|MIN-MAX|-MAX|MIN-",
        "exact",
        "Puts the TTLs in replies to names that match between bounds.",
        _ttl,
    ),
    Option(
        f"rcode {_KIND} NAME FROM TO",
        "exact",
        "Replaces a response code in replies to names that match. Codes are names or numbers up to 23.",
        _rcode,
    ),
    Option(
        f"cname {_KIND} FROM TO",
        "exact",
        "Changes the target of the first CNAME in a reply whose target matches, and looks the new target up.",
        _cname,
    ),
    Option(
        "edns0 local|nsid|subnet set|replace|append|unset [CODE DATA|V4BITS V6BITS] [revert]",
        "",
        "Changes an EDNS option of the query. DATA is text, hexadecimal after `0x`, `{qname}`, `{qtype}`, "
        "`{client_ip}`, `{client_port}`, `{protocol}`, `{server_ip}`, `{server_port}` or a metadata label in braces. "
        "With `revert` the reply does not show the change.",
        edns0,
    ),
)
FIELDS = {option.name: option for option in OPTIONS}
