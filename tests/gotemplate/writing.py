"""Random templates, most of them valid, over the fields of the sample."""

from hypothesis import strategies as st

FUNCTIONS = (
    *("and", "or", "not", "len", "index", "slice", "eq", "ne", "lt", "le", "gt", "ge", "print", "printf", "println"),
    *("html", "js", "urlquery", "call", "parseInt"),
)
OPERANDS = (
    *(".", ".Name", ".Match", ".Group", ".Group.a", ".Group.zz", ".Var.n", ".Var.f", ".Var.s", ".Var.t", ".Var.none"),
    *(".Var.l", ".Var.m", ".Var.m.n", ".Var.empty", ".Var.nope", ".Var.none.y", ".Question", ".Question.Qtype"),
    *(".Name.x", "$", "$x", "$.Name", '"a"', '"é"', '""', '"%v %q %T"', '"%5d|%x"', "`q`", "0", "1", "2", "-1", "1.5"),
    *("0.0", "2e0", r"'\x05'", "true", "false", "nil", '(.Meta "k")'),
)
PIECES = (
    *("{{", "}}", "{{- ", " -}}", "{{/*", "*/}}", "(", ")", "|", ":=", "=", ",", " ", " ", "\n", '"', "`", "'", "\\"),
    *("{{end}}", "{{else}}", "{{if ", "{{range ", "{{with ", "{{else if ", '{{define "a"}}', '{{template "a" .}}'),
    *('{{block "b" .}}', "{{break}}", "{{continue}}", "define", "end", "text", "é", "\udcff", "+", "0x", "1e9", "1_0"),
    *("\\x41", "%", ".", "..", "$", "$x", "$y", "²", "\0"),
)
ANY_TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from((*PIECES, *OPERANDS, *FUNCTIONS)), max_size=40).map("".join),
)


def _commands(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    calls = st.tuples(st.sampled_from(FUNCTIONS), st.lists(operands, max_size=3)).map(
        lambda it: " ".join((it[0], *it[1]))
    )
    return st.one_of(operands, calls, operands.map(".Meta {}".format))


def _pipelines(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(_commands(operands), min_size=1, max_size=3).map(" | ".join)


_ATOMS = st.sampled_from(OPERANDS)
_INNER = _pipelines(_ATOMS)
PIPELINES = _pipelines(st.one_of(_ATOMS, _ATOMS, _INNER.map("({})".format), _INNER.map("({}).a".format)))
_OPEN = st.sampled_from(("{{", "{{", "{{- "))
_CLOSE = st.sampled_from(("}}", "}}", " -}}"))


def _actions(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    words = [st.just(one) if isinstance(one, str) else one for one in parts]
    return st.tuples(_OPEN, *words, _CLOSE).map("".join)


_LEAVES = st.one_of(
    st.sampled_from((" ", "text", "\n ", "a b ")),
    _actions(PIPELINES),
    _actions(st.sampled_from(("$x := ", "$x = ")), PIPELINES),
    st.tuples(st.just('{{template "d" '), PIPELINES, st.just("}}")).map("".join),
)


def _blocks(bodies: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    otherwise = st.one_of(st.just(""), _actions("else").flatmap(lambda mark: bodies.map(mark.__add__)))
    ranged = st.sampled_from((".Match", ".Group", ".Var.l", ".Var.m", "2", ".Var.empty"))
    leaving = st.sampled_from(("", "", "{{break}}", "{{if .}}{{continue}}{{end}}"))
    end = st.just("{{end}}")
    ifs = st.tuples(_actions("if ", PIPELINES), bodies, otherwise, end)
    else_ifs = st.tuples(_actions("if ", PIPELINES), bodies, _actions("else if ", PIPELINES), bodies, otherwise, end)
    withs = st.tuples(_actions("with ", st.sampled_from(("", "$x := ")), PIPELINES), bodies, otherwise, end)
    targets = st.sampled_from(("", "$x := ", "$i, $x := ", "$x = "))
    heads = _actions("range ", targets, st.one_of(ranged, ranged, PIPELINES))
    ranges = st.tuples(heads, bodies, leaving, bodies, otherwise, end)
    return st.lists(st.one_of(ifs, else_ifs, withs, ranges).map("".join), min_size=1, max_size=2).map("".join)


_BODIES = st.recursive(_LEAVES, lambda inner: st.one_of(_LEAVES, _blocks(inner)), max_leaves=8)
TEMPLATES = st.lists(_BODIES, min_size=1, max_size=3).map(
    lambda bodies: "{{$x := 1}}" + "".join(bodies) + '{{define "d"}}[{{.}}]{{end}}'
)

_VALUES = (
    *('"a"', '"héé"', '"\\xff\\n"', '""', "1", "0", "-7", "255", "1.5", "-2.25", "0.0", "1e10", "123456.789", "1e-9"),
    *("true", "nil", ".Match", ".Group", ".Var.l", ".Var.m", ".Question", ".Question.Qtype", '(index "a" 0)', "'x'"),
    *("9223372036854775807", "-9223372036854775808", "3", "2", ".Var.nope", "100.0", "1e300", "5e-324"),
)


@st.composite
def printf_calls(draw: st.DrawFn) -> str:
    """A call of printf with up to three verbs and four operands, which need not fit."""
    template = ""
    for _ in range(draw(st.integers(1, 3))):
        template += draw(st.sampled_from(("", "a ", "|"))) + "%"
        template += draw(st.text("#0+- ", max_size=3))
        template += draw(st.sampled_from(("", "", "", "", "[1]", "[2]", "[9]", "[", "[x]")))
        template += draw(st.sampled_from(("", "", "3", "8", "20", "*")))
        template += draw(st.sampled_from(("", "", ".", ".0", ".2", ".5", ".*", ".12")))
        template += draw(st.sampled_from(("", "", "", "", "[1]", "[3]")))
        template += draw(st.sampled_from("vvsdqxXobcUtefgGTEFOwz%é!"))  # not p: an address of Go's memory
    values = draw(st.lists(st.sampled_from(_VALUES), min_size=1, max_size=4))
    return f"{{{{printf `{template}` {' '.join(values)}}}}}"
