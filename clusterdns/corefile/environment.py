"""Environment variables in words: `{$NAME}` and `{%NAME%}`, anywhere in a word, quoted or not.

A value is inserted once: it is not split at spaces, and a reference inside it is not replaced. There are no defaults:
`{$NAME:x}` is the variable `NAME:x`. An unset variable is the empty string.
"""

import re
from collections.abc import Mapping

from clusterdns.corefile.lexer import Token

_REFERENCE = re.compile(r"\{%([^%{}]+)%\}|\{\$([^{}]+)\}")


def expand(token: Token, environ: Mapping[str, str]) -> Token:
    """Replace the variables of a token; a token without any is returned as it is."""
    if not has_reference(token.text):
        return token
    return token._replace(text=_REFERENCE.sub(lambda match: environ.get(match[1] or match[2], ""), token.text))


def has_reference(text: str) -> bool:
    """Return whether the text refers to a variable."""
    return "{" in text and _REFERENCE.search(text) is not None
