"""Environment variables in words: `{$NAME}` and `{%NAME%}`, anywhere in a word, quoted or not.

A value is inserted once: it is not split at spaces, and a reference inside it is not replaced. There are no defaults:
`{$NAME:x}` is the variable `NAME:x`. An unset variable is the empty string.
"""

import re
from collections.abc import Mapping

from clusterdns.corefile.errors import CorefileWarning, shown
from clusterdns.corefile.lexer import Token

_REFERENCE = re.compile(r"\{%([^%{}]+)%\}|\{\$([^{}]+)\}")
_CUT = re.compile(r"\{[$%][^{}]*\Z")


def expand(token: Token, environ: Mapping[str, str], warnings: list[CorefileWarning]) -> Token:
    """Replace the variables of a token, which keeps them as `written`; one without any is returned as it is.

    A variable that is not set is a warning, and so is the beginning of a reference that a space has cut in two.
    """
    text = token.text
    if "{" not in text:  # almost every word
        return token

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if (found := environ.get(name)) is None:
            warnings.append(CorefileWarning(token.file, token.line, _unset_text(match[0], name)))
            return ""
        return found

    if _CUT.search(text) is not None and not token.quoted:
        problem = f"{token} is not a variable but text: a name cannot contain spaces, and there are no default values"
        warnings.append(CorefileWarning(token.file, token.line, problem))
    expanded, count = _REFERENCE.subn(value, text)
    return token._replace(text=expanded, written=text) if count else token


def _unset_text(reference: str, name: str) -> str:
    """Write the warning for a variable that is not set."""
    short = shown(reference)
    if ":" in name:
        variable = name.partition(":")[0]
        return (
            f"{short} is empty: as in CoreDNS there are no default values, and no variable is called {shown(name)}; "
            f"set {shown(variable)} and write {{${variable}}}"
        )
    return f"{short} is empty: the environment variable {shown(name)} is not set; set it for the server's process"


def has_reference(text: str) -> bool:
    """Return whether the text refers to a variable."""
    return "{" in text and _REFERENCE.search(text) is not None


def referenced(text: str) -> set[str]:
    """Return the names of the variables that a text refers to."""
    return {match[1] or match[2] for match in _REFERENCE.finditer(text)}
