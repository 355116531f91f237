"""Go's text/template language, for the `template` directive: parsed when the server starts, executed per query.

`parse` is the entry point: `lexer`, `parser` and `expressions` make a tree, `inspection` examines it beforehand, `run`
and `evaluation` execute it within bounds. `values` has the types of the data. A template reads only its data and calls
only the functions that it was parsed with; no attribute of a Python object is ever read.
"""

from clusterdns.gotemplate.errors import TemplateError, TemplateFailed
from clusterdns.gotemplate.literals import parse_uint
from clusterdns.gotemplate.template import Template, parse
from clusterdns.gotemplate.values import Fields, Function, StringList, StringMap, Unsigned

__all__ = [
    "Fields",
    "Function",
    "StringList",
    "StringMap",
    "Template",
    "TemplateError",
    "TemplateFailed",
    "Unsigned",
    "parse",
    "parse_uint",
]
