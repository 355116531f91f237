"""Reads `edns0` rules of `rewrite` from a Corefile, each mistake with its place and a hint."""

import re

from msgspec.structs import replace

from clusterdns.corefile import values
from clusterdns.corefile.directive import Line
from clusterdns.corefile.lexer import Token
from clusterdns.plugins.rewrite import edns_rules, names
from clusterdns.plugins.rewrite.edns_rules import EdnsRule
from clusterdns.plugins.rewrite.settings import RewriteSettings
from clusterdns.wire import codes

_ARGUMENTS = {"local": ("CODE", "DATA"), "nsid": (), "subnet": ("V4BITS", "V6BITS")}


def edns0(settings: RewriteSettings, line: Line) -> RewriteSettings:
    """Add an `edns0` rule. Raises CorefileError."""
    kind_word, action_word, *more = line.arguments_between(2, 6, "local|nsid|subnet set|replace|append|unset …")
    action = values.choice(action_word._replace(text=action_word.text.lower()), edns_rules.ACTIONS)
    kind = values.choice(kind_word._replace(text=kind_word.text.lower()), tuple(_ARGUMENTS))
    reverts = action != edns_rules.UNSET and bool(more) and more[-1].text == "revert"
    if reverts:
        more.pop()
    usage = _ARGUMENTS[kind]
    if action == edns_rules.UNSET:
        usage = usage[:1] if kind == "local" else ()
    if len(more) != len(usage):
        form = " ".join((f"edns0 {kind} {action}", *usage))
        raise (more[-1] if more else action_word).error("Wrong argument count", f"write {form}")
    if kind == "nsid":
        return settings.with_rule(EdnsRule(action, codes.NSID, edns_rules.fixed(b""), reverts=reverts))
    if kind == "subnet":
        v4_bits, v6_bits = (values.integer(more[0], 0, 32), values.integer(more[1], 0, 128)) if more else (0, 0)
        content = edns_rules.subnet(v4_bits, v6_bits)
        return settings.with_rule(
            EdnsRule(action, codes.ECS, content, is_reusable=False, reverts=reverts, appends_duplicate=False)
        )
    return _local(settings, action, more, reverts=reverts)


def _local(settings: RewriteSettings, action: str, words: list[Token], *, reverts: bool) -> RewriteSettings:
    code = _option_code(words[0])
    settings = replace(settings, echoed_codes=settings.echoed_codes | {code})
    if len(words) == 1:
        return settings.with_rule(EdnsRule(action, code, edns_rules.fixed(b"")))
    text = words[1].text
    if text.startswith("{") and text.endswith("}"):
        content, is_reusable = _variable(settings, words[1])
        return settings.with_rule(
            EdnsRule(action, code, content, is_reusable=is_reusable, reverts=reverts, appends_duplicate=False)
        )
    return settings.with_rule(EdnsRule(action, code, edns_rules.fixed(_bytes(words[1])), reverts=reverts))


def _option_code(word: Token) -> int:
    text = word.text.lower()
    try:
        code = int(text, 8 if re.fullmatch("0[0-7]+", text) else 0)
    except ValueError:
        code = -1
    if not 0 <= code <= 0xFFFF:
        raise word.error(f"{word} is not an EDNS option code", "write one such as 0xffee, up to 0xffff")
    return code


def _bytes(word: Token) -> bytes:
    if not word.text.startswith("0x"):
        return word.text.encode()
    try:
        return bytes.fromhex(word.text[2:])
    except ValueError:
        raise word.error(f"{word} is not hexadecimal", "write an even number of digits after 0x") from None


def _variable(settings: RewriteSettings, word: Token) -> tuple[edns_rules.Content, bool]:
    """Return the content of a word in braces, and whether it depends on the question alone."""
    inner = word.text[1:-1]
    if names.is_label(inner):
        return edns_rules.metadata(inner), False
    try:
        return edns_rules.variable(inner, settings.port)
    except KeyError:
        hint = "use {qname}, {qtype}, {client_ip}, {client_port}, {protocol}, {server_ip}, {server_port} or a label"
        raise word.error(f"unknown variable {word}", hint) from None
