"""The verdict of `check`: as lines for people, or as one JSON object for programs.

The summary is on standard output, errors and warnings are on standard error, one per line, so that either can be used
alone. Colours are for a terminal, unless NO_COLOR is set (no-color.org).
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterdns.cli.colour import BOLD, GREEN, RED, YELLOW, painted
from clusterdns.corefile.errors import CorefileError, CorefileWarning
from clusterdns.telemetry.printable import one_line

_PLACE = re.compile(r"[^\s:]+(?::\d+)?:(?= )")


@dataclass
class CheckVerdict:
    """What a check has found; `name` is the file as the user named it, `stdin` for standard input."""

    name: str
    errors: list[CorefileError] = field(default_factory=list)
    left_out: int = 0  # further errors
    warnings: list[CorefileWarning] = field(default_factory=list)
    block_count: int = 0
    zones: list[str] = field(default_factory=list)
    listeners: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)  # lines by directive, those of one directive indented

    folder: str = ""  # the temporary one that stands for the ConfigMap's, where one does

    def rename_folder(self, mount: str) -> None:
        """Name the files of the temporary folder in errors and warnings as they are named in the pod."""
        if self.folder:
            self.errors = [
                CorefileError(one.file.replace(self.folder, mount), one.line, one.text.replace(self.folder, mount),
                              one.hint.replace(self.folder, mount), one.imported_at)
                for one in self.errors
            ]  # fmt: skip
            self.warnings = [
                CorefileWarning(one.file.replace(self.folder, mount), one.line, one.text.replace(self.folder, mount))
                for one in self.warnings
            ]

    @property
    def is_ok(self) -> bool:
        """Whether the server would start."""
        return not self.errors

    @property
    def difference_count(self) -> int:
        """The number of named differences, without the lines that head a directive's."""
        return sum(1 for line in self.differences if re.match(r" *[a-z0-9-]+: ", line))


def print_text(verdict: CheckVerdict, *, with_differences: bool) -> None:
    """Print the summary, then warnings and errors, then the differences or how many there are."""
    print(_summary(verdict), flush=True)
    print_problems(verdict.warnings, verdict.errors, verdict.left_out)
    if not verdict.is_ok:
        return
    if with_differences:
        print("Differences from CoreDNS (docs/differences.md explains each name):")
        for line in verdict.differences:
            print(f"  {one_line(line)}")
    else:
        print(f"{verdict.difference_count} answers differ from CoreDNS's on purpose; --differences lists them")


def print_problems(warnings: Iterable[CorefileWarning], errors: Iterable[CorefileError], left_out: int = 0) -> None:
    """Print warnings and errors on standard error, one per line; `left_out` is the number of further errors."""
    for warning in warnings:
        print(painted(f"warning: {warning}", YELLOW, "warning:", sys.stderr), file=sys.stderr)
    for error in errors:
        text = str(error)
        place = _PLACE.match(text)
        print(painted(text, BOLD, place[0] if place else "", sys.stderr), file=sys.stderr)
    if left_out:
        print(f"… and {left_out} more errors", file=sys.stderr)


def print_json(verdict: CheckVerdict) -> None:
    """Print the verdict as one JSON object; `line` is null for the file as a whole."""
    print(json.dumps({
        "file": verdict.name,
        "ok": verdict.is_ok,
        "errors": list(map(error_tree, verdict.errors)),
        "errors_left_out": verdict.left_out,
        "warnings": list(map(warning_tree, verdict.warnings)),
        "server_blocks": verdict.block_count,
        "zones": verdict.zones,
        "listeners": verdict.listeners,
        "differences": [line.strip() for line in verdict.differences],
    }, indent=2))  # fmt: skip


def error_tree(error: CorefileError) -> dict[str, object]:
    """Write an error for JSON; `line` is null for the file as a whole."""
    return {
        "file": error.file, "line": error.line or None, "text": error.text, "hint": error.hint,
        "imported_at": error.imported_at,
    }  # fmt: skip


def warning_tree(warning: CorefileWarning) -> dict[str, object]:
    """Write a warning for JSON."""
    return {"file": warning.file, "line": warning.line or None, "text": warning.text}


def _summary(verdict: CheckVerdict) -> str:
    warnings = f", {counted(len(verdict.warnings), 'warning')}" if verdict.warnings else ""
    if not verdict.is_ok:
        errors = counted(len(verdict.errors) + verdict.left_out, "error")
        return painted(one_line(f"{verdict.name}: FAILED: {errors}{warnings}"), RED, "FAILED", sys.stdout)
    counts = ", ".join((
        counted(verdict.block_count, "server block"),
        counted(len(verdict.zones), "zone"),
        counted(len(verdict.listeners), "listener"),
    ))  # fmt: skip
    text = f"{verdict.name}: OK: {counts} ({', '.join(verdict.listeners)}){warnings}"
    return painted(one_line(text), GREEN, "OK", sys.stdout)


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural where it is not one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
