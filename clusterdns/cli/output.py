"""Text on standard output that may have bytes that are not UTF-8 and control characters, as a Corefile may."""

import os
import sys

from clusterdns.cli.usage import EXIT_FAILED, EXIT_OK
from clusterdns.telemetry.printable import one_line


def for_output(text: str) -> str:
    """Return a text as it is, or for a terminal with the characters escaped that would control it, tabs not."""
    if sys.stdout is None or not sys.stdout.isatty():
        return text
    return "\n".join(["\t".join(map(one_line, line.split("\t"))) for line in text.split("\n")])


def write_text(text: str) -> int:
    """Write a text that was decoded with `surrogateescape`; returns the exit code. Raises BrokenPipeError."""
    if sys.stdout is None:  # closed before the start
        return EXIT_OK
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"standard output: {os.strerror(error.errno or 0).lower()}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK
