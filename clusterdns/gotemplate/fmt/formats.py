"""The format string of Go's printf: the operand, flags, width and precision of each verb."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clusterdns.gotemplate.fmt.printing import PLAIN, FormatFlags, joined, render
from clusterdns.gotemplate.values import type_name

_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}
_MAX_NUMBER = 1_000_000  # the greatest width or precision that Go accepts


def sprintf(template: str, operands: Sequence[object]) -> str:
    """Go's Sprintf: a wrong format does not fail, but is described in the text (`%!d(string=x)`)."""
    return _Printf(template, operands).run()


class _Printf:
    """The state of one format."""

    def __init__(self, template: str, operands: Sequence[object]) -> None:
        self.template = template
        self.operands = operands
        self.at = 0  # in the template
        self.next = 0  # operand
        self.chose = False  # an explicit index has been used somewhere
        self.good_index = True
        self.pieces: list[str] = []

    def run(self) -> str:
        template = self.template
        while self.at < len(template):
            percent = template.find("%", self.at)
            if percent < 0:
                self.pieces.append(template[self.at :])
                break
            self.pieces.append(template[self.at : percent])
            self.at = percent + 1
            self.verb()
        if not self.chose and self.next < len(self.operands):
            extra = (
                "<nil>" if one is None else f"{type_name(one)}={render(one, 'v', PLAIN)}"
                for one in self.operands[self.next :]
            )
            self.pieces.append(f"%!(EXTRA {', '.join(extra)})")
        return joined(self.pieces)

    def peek(self) -> str:
        return self.template[self.at : self.at + 1]

    def verb(self) -> None:
        verb = self.peek()
        if verb == "%":
            self.pieces.append("%")
            self.at += 1
        elif verb.isalpha() and self.next < len(self.operands):  # the usual case: no flags, no width, no index
            self.pieces.append(render(self.operands[self.next], verb, PLAIN))
            self.at += 1
            self.next += 1
        else:
            self.full_verb()

    def full_verb(self) -> None:
        self.good_index = True
        flags = self.flags()
        indexed = self.index()
        flags, indexed = self.width(flags, indexed)
        # A point that ends the format is a verb, not a precision.
        if self.peek() == "." and self.at + 1 < len(self.template):
            flags, indexed = self.precision(flags, indexed)
        if not indexed:
            self.index()
        verb = self.peek()
        self.at += 1
        if not verb:
            self.pieces.append("%!(NOVERB)")
        elif verb == "%":
            self.pieces.append("%")
        elif not self.good_index:
            self.pieces.append(f"%!{verb}(BADINDEX)")
        elif self.next >= len(self.operands):
            self.pieces.append(f"%!{verb}(MISSING)")
        else:
            if verb in ("v", "w"):
                flags = replace(flags, go_syntax=flags.sharp, names=flags.plus, sharp=False, plus=False)
            self.pieces.append(render(self.operands[self.next], verb, flags))
            self.next += 1

    def flags(self) -> FormatFlags:
        set_flags: dict[str, Any] = {}
        while self.peek() in _FLAGS:
            set_flags[_FLAGS[self.peek()]] = True
            self.at += 1
        return FormatFlags(**set_flags)

    def index(self) -> bool:
        """Read `[n]`, after which operand n, from 1, comes next. Returns whether there is a number in brackets."""
        if self.peek() != "[":
            return False
        self.chose = True
        end = self.template.find("]", self.at + 1)
        inner = self.template[self.at + 1 : end] if end >= 0 else ""
        self.at = end + 1 if end >= 0 else self.at + 1
        readable = _is_number(inner) and int(inner) <= _MAX_NUMBER * 10
        if readable and 0 < int(inner) <= len(self.operands):
            self.next = int(inner) - 1
            return True
        self.good_index = False
        return readable

    def number(self) -> int | None:
        start = self.at
        while self.peek() in tuple("0123456789"):
            self.at += 1
            # As in Go, so long a number ends the format.
            if int(self.template[start : self.at - 1] or 0) > _MAX_NUMBER:
                self.at = len(self.template)
                return None
        return int(self.template[start : self.at]) if self.at > start else None

    def operand_number(self) -> int | None:
        """Take the next operand as a width or precision; None if it is not an integer in Go's range."""
        if self.next >= len(self.operands):
            return None
        value = self.operands[self.next]
        self.next += 1
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_NUMBER:
            return int(value)
        return None

    def width(self, flags: FormatFlags, indexed: bool) -> tuple[FormatFlags, bool]:
        if self.peek() == "*":
            self.at += 1
            width = self.operand_number()
            if width is None:
                self.pieces.append("%!(BADWIDTH)")
            elif width < 0:
                flags = replace(flags, minus=True, zero=False)
                width = -width
            return replace(flags, width=width), False
        width = self.number()
        if indexed and width is not None:
            self.good_index = False
        return replace(flags, width=width), indexed

    def precision(self, flags: FormatFlags, indexed: bool) -> tuple[FormatFlags, bool]:
        self.at += 1
        if indexed:
            self.good_index = False
        indexed = self.index()
        if self.peek() == "*":
            self.at += 1
            precision = self.operand_number()
            if precision is None or precision < 0:
                self.pieces.append("%!(BADPREC)")
                precision = None
            return replace(flags, precision=precision), False
        return replace(flags, precision=self.number() or 0), indexed


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9
