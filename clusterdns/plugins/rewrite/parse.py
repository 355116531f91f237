"""The `rewrite` directive as people write it: words to rules, each mistake with its place and a hint.

A rule stands on one line, or its words stand in braces on as many lines as one likes; the lines mean nothing. What the
rules do is in `rewrite_rules`, `rewrite_edns` and `rewrite_names`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList, hint_for
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option
from clusterdns.plugins.rewrite import edns, names, rules
from clusterdns.wire import codes

STOP, CONTINUE = "stop", "continue"
MAX_TTL_SECONDS = 0xFFFFFFFF
OPEN_TTL_SECONDS = 0x7FFFFFFF  # what `MIN-` means (RFC 2181 §8)
MAX_RCODE_NUMBER = 23
_KIND = "[exact|prefix|suffix|substring|regex]"
_ANSWER = "[answer auto|name FROM TO|value FROM TO]…"
# in a regular expression: what letter case means something to, and the letters that it means nothing to
_LETTERS = re.compile(r"\\[pP]\{[^}]*\}|\\.|\(\?P?<[^>]*>|\(\?[A-Za-z-]+[:)]|\[\[:\^?[a-z]+:\]\]|[A-Z]", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A rule, and whether the ones after it are left out once it has applied."""

    rule: rules.Rule
    stops: bool = True


@dataclass(frozen=True)
class Settings:
    """The rules of a block in the order of the file, and what they need to know of the block."""

    bound: tuple[str, ...] = ()  # addresses that the block listens on; empty: all
    port: int = 53
    steps: tuple[Step, ...] = ()
    codes_echoed: frozenset[int] = frozenset()  # EDNS options that come back to the client

    def with_rule(self, rule: rules.Rule) -> "Settings":
        """With one rule more."""
        return replace(self, steps=(*self.steps, Step(rule)))


def read(directives: Sequence[Directive], settings: Settings) -> Settings:
    """The settings with the rules of all directives. Raises CorefileErrors."""
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            settings = _with_directive(settings, directive)
    errors.raise_if_any()
    return settings


def _with_directive(settings: Settings, directive: Directive) -> Settings:
    words = directive.args
    if len(words) < 2:
        words = (*words, *(word for line in directive.block for word in line.words))
    elif directive.block:
        raise directive.block[0].error(
            "the rule stands on the line of 'rewrite' already", "write all of it there, or all of it in braces"
        )
    mode = words[0].text.lower() if words else ""
    if mode in (STOP, CONTINUE):
        words = words[1:]
    if not words:
        raise directive.error("'rewrite' has no rule", f"write rewrite [stop|continue] {'|'.join(FIELDS)} …")
    field = FIELDS.get(words[0].text.lower())
    if field is None:
        if words[0].text.lower() == "answer":
            raise words[0].error("answers are rewritten for names", "write name FROM TO before 'answer'")
        raise words[0].error(f"rewrite cannot change {words[0]}", hint_for(words[0].text, FIELDS, "choose a field"))
    settings = field.read(settings, Line(words))
    last = replace(settings.steps[-1], stops=mode != CONTINUE)
    return replace(settings, steps=(*settings.steps[:-1], last))


def _name(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(2, None, f"{_KIND} FROM TO {_ANSWER}")
    kind = names.EXACT if len(words) == 2 else names.kind_of(words[0], "name")
    before, after = words if len(words) == 2 else words[1:3]
    more = words[3:]
    takes_metadata = bool(more) and more[0].text == "metadata"
    if takes_metadata and kind != names.REGEX:
        raise more[0].error("metadata is for regex name rules", "write name regex FROM TO metadata")
    is_auto, responses = _answers(more[1:] if takes_metadata else more)
    if takes_metadata:
        pattern = values.regex(before)
        pieces = names.pieces(after, pattern)
        return settings.with_rule(rules.MetadataNameRule(pattern, pieces, is_auto, responses))
    if kind == names.REGEX:
        return settings.with_rule(rules.NameRule(names.regex_changer(before, after), is_auto, responses))
    old, new = names.absolute(before.text), names.absolute(after.text)
    if kind == names.SUFFIX and is_auto:
        back = names.suffix_mapped_back(old, new)
        responses = (rules.Dependencies(back), rules.Values(back), *responses)
        is_auto = False
    change = names.changer(kind, old, new)
    return settings.with_rule(rules.NameRule(change, is_auto or kind == names.EXACT, responses))


def _answers(words: Sequence[Token]) -> tuple[bool, tuple[rules.Response, ...]]:
    """Whether there is `answer auto`, and the other answer rules. The word `answer` may stand once or before each."""
    is_auto = False
    responses: list[rules.Response] = []
    position = 0
    while position < len(words):
        word = words[position]
        if word.text == "answer":
            position += 1
        elif not position:
            raise word.error(f"{word} has no place here", f"after FROM and TO there may be {_ANSWER}")
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
        responses.append(rules.Dependencies(change) if kind.text == "name" else rules.Values(change))
        position += 2
    if is_auto and any(isinstance(one, rules.Dependencies) for one in responses):
        raise words[0].error("'answer auto' and 'answer name' exclude each other", "keep one of them")
    return is_auto, tuple(responses)


def _number(read_text: Callable[[str], int], word: Token, hint: str) -> int:
    try:
        return read_text(word.text)
    except ValueError as problem:
        raise word.error(str(problem), hint) from None


def _type(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(2, 2, "FROM TO")
    before, after = (_number(codes.type_from_text, word, "write a type such as A or AAAA") for word in words)
    return settings.with_rule(rules.TypeRule(before, after))


def _class(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(2, 2, "FROM TO")
    before, after = (_number(codes.class_from_text, word, "write a class such as IN or CH") for word in words)
    return settings.with_rule(rules.ClassRule(before, after))


def _reply_rule(settings: Settings, words: Sequence[Token], count: int, response: rules.Response) -> Settings:
    """A rule for replies to names; `words` hold the kind of match, if given, the name and `count` further words."""
    kind = names.EXACT if len(words) == count + 1 else names.kind_of(words[0], "name")
    return settings.with_rule(rules.ReplyRule(names.matcher(kind, words[-count - 1]), response))


def _ttl(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(2, 3, f"{_KIND} NAME SECONDS|MIN-MAX|-MAX|MIN-")
    least_text, dash, most_text = words[-1].text.partition("-")
    if not dash:
        most_text = least_text
    elif not least_text and not most_text:
        raise words[-1].error(f"{words[-1]} is no range of TTLs", "write 30-300, 30- or -300")
    least = _seconds(words[-1], least_text, 0)
    most = _seconds(words[-1], most_text, OPEN_TTL_SECONDS)
    if least > most:
        raise words[-1].error(f"{words[-1]} is no range of TTLs", f"write {most}-{least}")
    return _reply_rule(settings, words, 1, rules.TtlRange(least, most))


def _seconds(word: Token, text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_TTL_SECONDS:
        raise word.error(f"{word} is no TTL in seconds", f"write 0 to {MAX_TTL_SECONDS}, or a range such as 30-300")
    return int(text)


def _rcode(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(3, 4, f"{_KIND} NAME FROM TO")
    before, after = (_response_code(word) for word in words[-2:])
    return _reply_rule(settings, words, 2, rules.Code(before, after))


def _response_code(word: Token) -> int:
    hint = f"write a response code such as NXDOMAIN, or its number up to {MAX_RCODE_NUMBER}"
    number = _number(codes.rcode_from_text, word, hint)
    if number > MAX_RCODE_NUMBER:
        raise word.error(f"{word} is no response code", hint)
    return number


def _cname(settings: Settings, line: Line) -> Settings:
    words = line.arguments_between(2, 3, f"{_KIND} FROM TO")
    kind = names.EXACT if len(words) == 2 else names.kind_of(words[0], "target")
    before, after = (word._replace(text=word.text.lower()) for word in words[-2:])
    if kind == names.REGEX:
        pattern = values.regex(words[-2]._replace(text=_LETTERS.sub(_lowered, words[-2].text)))
        return settings.with_rule(rules.AliasTarget(names.filler(pattern, after.text)))
    if kind == names.EXACT:
        return settings.with_rule(
            rules.AliasTarget(names.changer(kind, names.absolute(before.text), names.absolute(after.text)))
        )
    return settings.with_rule(rules.AliasTarget(names.changer(kind, before.text, after.text)))


def _lowered(found: re.Match[str]) -> str:
    return found[0].lower() if len(found[0]) == 1 else found[0]


def _edns0(settings: Settings, line: Line) -> Settings:
    kind, action, *more = line.arguments_between(2, 6, "local|nsid|subnet set|replace|append|unset …")
    chosen = values.choice(action._replace(text=action.text.lower()), edns.ACTIONS)
    what = values.choice(kind._replace(text=kind.text.lower()), tuple(_EDNS_ARGUMENTS))
    reverts = chosen != edns.UNSET and bool(more) and more[-1].text == "revert"
    if reverts:
        more.pop()
    usage = _EDNS_ARGUMENTS[what] if chosen != edns.UNSET else _EDNS_ARGUMENTS[what][:1] if what == "local" else ()
    if len(more) != len(usage):
        told = " ".join((f"edns0 {what} {chosen}", *usage))
        raise (more[-1] if more else action).error("Wrong argument count", f"write {told}")
    if what == "nsid":
        return settings.with_rule(edns.EdnsRule(chosen, codes.NSID, edns.fixed(b""), reverts=reverts))
    if what == "subnet":
        v4_bits, v6_bits = (values.integer(more[0], 0, 32), values.integer(more[1], 0, 128)) if more else (0, 0)
        content = edns.subnet(v4_bits, v6_bits)
        rule = edns.EdnsRule(chosen, codes.ECS, content, is_fixed=False, reverts=reverts, adds_to_same=False)
        return settings.with_rule(rule)
    code = _option_code(more[0])
    settings = replace(settings, codes_echoed=settings.codes_echoed | {code})
    if len(more) == 1:
        return settings.with_rule(edns.EdnsRule(chosen, code, edns.fixed(b"")))
    text = more[1].text
    if text.startswith("{") and text.endswith("}"):
        content, is_fixed = _variable(settings, more[1])
        rule = edns.EdnsRule(chosen, code, content, is_fixed=is_fixed, reverts=reverts, adds_to_same=False)
        return settings.with_rule(rule)
    return settings.with_rule(edns.EdnsRule(chosen, code, edns.fixed(_bytes(more[1])), reverts=reverts))


_EDNS_ARGUMENTS = {"local": ("CODE", "DATA"), "nsid": (), "subnet": ("V4BITS", "V6BITS")}


def _option_code(word: Token) -> int:
    text = word.text.lower()
    try:
        code = int(text, 8 if re.fullmatch("0[0-7]+", text) else 0)
    except ValueError:
        code = -1
    if not 0 <= code <= 0xFFFF:
        raise word.error(f"{word} is no EDNS option code", "write one such as 0xffee, up to 0xffff")
    return code


def _bytes(word: Token) -> bytes:
    if not word.text.startswith("0x"):
        return word.text.encode()
    try:
        return bytes.fromhex(word.text[2:])
    except ValueError:
        raise word.error(f"{word} is not hexadecimal", "write an even number of digits after 0x") from None


def _variable(settings: Settings, word: Token) -> tuple[edns.Content, bool]:
    inner = word.text[1:-1]
    if names.is_label(inner):
        return edns.metadata(inner), False
    try:
        return edns.variable(inner, settings.bound, settings.port)
    except KeyError:
        hint = "use {qname}, {qtype}, {client_ip}, {client_port}, {protocol}, {server_ip}, {server_port} or a label"
        raise word.error(f"there is no variable {word}", hint) from None


OPTIONS: tuple[Option[Settings], ...] = (
    Option(
        f"name {_KIND} FROM TO {_ANSWER}",
        "exact",
        "Another name is asked for. FROM and TO are made absolute, but for regex: `prefix foo` means `foo.`. A "
        "regular expression sees the name in lower case with its last dot, and TO may hold `{0}`, `{1}`, …; after "
        "TO the word `metadata` allows `{plugin/label}` in it. `answer auto` calls what comes back by the name "
        "that was asked (exact does it always); `answer name` and `answer value` change owner names, and names in the "
        "data of records, by a regular expression.",
        _name,
    ),
    Option("type FROM TO", "", "Another type is asked for.", _type),
    Option("class FROM TO", "", "The question is put in another class.", _class),
    Option(
        f"ttl {_KIND} NAME SECONDS|MIN-MAX|-MAX|MIN-",
        "exact",
        "The TTLs of the reply to a name that matches are put between bounds.",
        _ttl,
    ),
    Option(
        f"rcode {_KIND} NAME FROM TO",
        "exact",
        "One response code of the reply to a name that matches becomes another; codes are names or numbers up to 23.",
        _rcode,
    ),
    Option(
        f"cname {_KIND} FROM TO",
        "exact",
        "The first CNAME of a reply whose target matches leads to another target, which is looked up.",
        _cname,
    ),
    Option(
        "edns0 local|nsid|subnet set|replace|append|unset [CODE DATA|V4BITS V6BITS] [revert]",
        "",
        "Changes an EDNS option of the query that is passed on. DATA is text, hexadecimal after `0x`, `{qname}`, "
        "`{qtype}`, `{client_ip}`, `{client_port}`, `{protocol}`, `{server_ip}`, `{server_port}` or a metadata label "
        "in braces. With `revert` the client does not see it.",
        _edns0,
    ),
)
FIELDS = {option.name: option for option in OPTIONS}
