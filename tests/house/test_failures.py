"""Every SERVFAIL and REFUSED of our own is made by `chain.failure`, which adds the cause as an extended error."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "clusterdns"
PACKAGE = sorted(ROOT.rglob("*.py"))
FAILURES = {"SERVFAIL", "REFUSED"}

# The only functions that have a failure's code without making a failure, or a reply's code from elsewhere.
OTHER_PLACES = {
    "wire/encode.py:encode": "a client without EDNS cannot get the code itself, nor an extended error",
    "plugins/cache/rules.py": "the codes of upstreams' failures, which are cached for a shorter time",
    "plugins/cache/entry.py:CacheEntry.__init__": "an upstream's code",
    "plugins/cache/entry.py:CacheEntry.reply": "an upstream's code, cached with its extended error",
    "plugins/forward/handler.py:reply_of": "an upstream's code, with its extended error",
    "plugins/file/handler.py:FileHandler.__call__": "of an outcome of a look-up, none of which is a failure",
    "plugins/file/handler.py:FileHandler._follow_out": "the code of a target, with `take_cause`",
    "plugins/kubernetes/handler.py:ClusterHandler._negative": "NXDOMAIN or NOERROR",
    "plugins/kubernetes/handler.py:ClusterHandler._follow": "the code of a target, with `take_cause`",
    "plugins/rewrite/reply_rules.py:CnameTargetRule.follow": "the code of a target, with `take_cause`",
    "plugins/rewrite/reply_rules.py:RcodeChange.change": "for a failure with the cause of one",
    "plugins/template/handler.py:_coded": "a failure is made by `failure`, another code is not",
    "chain/reply.py:code_only": "the code of a caller, of which there are two",
    "server/dispatch.py:Dispatch._refusal": "BADVERS, which is no failure of this server",
    "plugins/local.py:_reply": "NOERROR or NXDOMAIN",
    "chain/reply.py:failure": "the maker itself",
    "chain/reply.py:Reply.__init__": "the field itself",
    "chain/reply.py:Reply.duplicate": "the field itself",
}


def places(tree: ast.Module, path: str) -> Iterator[str]:
    """Yield each place that makes a failure otherwise than by `failure(code, cause)`, or may do so."""
    for name, function in _functions(tree, path):
        allowed = set(_allowed_nodes(function))
        for node in _own_nodes(function):
            if (node not in allowed and _names_failure(node)) or _is_unexplained(node) or _sets_rcode(node):
                yield name


def _functions(tree: ast.Module, path: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the module and each outermost function or method, with their names."""
    yield path, tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path}:{node.name}", node
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path}:{node.name}.{one.name}", one


def _own_nodes(root: ast.AST) -> Iterator[ast.AST]:
    """Walk a function; of a module only what is outside of its functions."""
    if not isinstance(root, ast.Module):
        yield from ast.walk(root)
        return
    waiting: list[ast.AST] = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [
            one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        ]


def _allowed_nodes(root: ast.AST) -> Iterator[ast.AST]:
    """Yield codes that are compared, and those that are the first argument of `failure`."""
    for node in ast.walk(root):
        if isinstance(node, ast.Compare):
            yield from ast.walk(node)
        elif isinstance(node, ast.Call) and _called(node) == "failure" and node.args:
            yield node.args[0]


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _names_failure(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in FAILURES


def _is_unexplained(node: ast.AST) -> bool:
    """Whether this call makes a reply whose code may be that of a failure, or a failure without a cause."""
    if not isinstance(node, ast.Call):
        return False
    called = _called(node)
    if called == "Reply":
        return not _is_other_code(node)
    return called == "code_only" or (called == "failure" and not _has_cause(node))


def _is_other_code(node: ast.Call) -> bool:
    """Whether the code of a `Reply` is written down, and is not that of a failure."""
    return bool(node.args) and isinstance(node.args[0], ast.Attribute) and node.args[0].attr.isupper()


def _has_cause(node: ast.Call) -> bool:
    return len(node.args) >= 2 and not (isinstance(node.args[1], ast.Constant) and not node.args[1].value)


def _sets_rcode(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign | ast.AugAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Attribute) and one.attr == "rcode" for one in targets)


def _found() -> set[str]:
    found: set[str] = set()
    for path in PACKAGE:
        name = path.relative_to(ROOT).as_posix()
        if name not in ("wire/codes.py", "wire/query.py") and not name.startswith("upstream/"):
            found.update(places(ast.parse(path.read_text()), name))
    return found


def test_every_failure_has_its_cause() -> None:
    assert _found() - OTHER_PLACES.keys() == set(), "use chain.failure(code, cause, info_code)"


def test_the_list_of_other_places_is_up_to_date() -> None:
    assert OTHER_PLACES.keys() - _found() == set()


WRONG = {
    "a bare reply": "def f(): return Reply(codes.SERVFAIL)",
    "a code from elsewhere": "def f(x): return Reply(x)",
    "a code that is changed": "def f(reply): reply.rcode = codes.REFUSED",
    "a code that is copied": "def f(reply, other): reply.rcode = other.rcode",
    "a code in a variable": "def f():\n rcode = codes.SERVFAIL\n return make(rcode)",
    "a bare code": "def f(): return code_only(codes.REFUSED)",
    "no cause": "def f(): return failure(codes.REFUSED)",
    "an empty cause": 'def f(): return failure(codes.SERVFAIL, "")',
    "a method": "class C:\n async def f(self): return Reply(codes.REFUSED)",
    "a module": "REPLY = Reply(codes.REFUSED)",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_failure_without_its_cause_is_found(text: str) -> None:
    assert list(places(ast.parse(text), "m.py"))


@pytest.mark.parametrize(
    "text",
    [
        'def f(): return failure(codes.SERVFAIL, "why")',
        "def f(x): return Reply(codes.NOERROR) if x.rcode == codes.SERVFAIL else None",
        "def f(x): return x.rcode in (codes.SERVFAIL, codes.REFUSED)",
    ],
)
def test_other_code_is_left_alone(text: str) -> None:
    assert not list(places(ast.parse(text), "m.py"))
