"""Rules of the source: sizes, names of modules, docstrings, folders without async, functions that catch everything."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULE_LINES = 300
MAX_TEST_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_DOCSTRING_LINES = 14
FORBIDDEN_WORDS = ("util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "data", "info")
NEVER_WAITING = ("wire/", "corefile/", "gotemplate/", "cluster/index/", "cluster/objects.py", "answers/")

# The only functions that catch every exception, each with its reason.
CATCHES_ALL = {
    "plugins/health.py:Poller._poll_forever": "a task's edge: the process lives on without its self-check",
    "plugins/cache/handler.py:CacheHandler._refresh": "a task's edge: the cached reply stays",
    "plugins/loop.py:LoopDetector._probe_all": "a task's edge: the block works without probes",
    "plugins/loadbalance/weights.py:WeightsFile._poll_forever": "a task's edge: the weights stay as they are",
    "plugins/file/zone.py:ZoneFile.poll_forever": "a task's edge: an internal error must not end polling",
    "plugins/hosts/hosts_file.py:HostsFile._poll_forever": "a task's edge: an internal error must not end polling",
    "server/dispatch.py:Dispatch._finish": "an observer that failed or a reply that cannot be encoded is SERVFAIL",
    "server/dispatch.py:Dispatch._finish_later": "any exception of a handler after its first wait is SERVFAIL",
    "server/dispatch.py:Dispatch.miss": "any exception of a handler is SERVFAIL",
    "server/dispatch.py:_resumed": "raises inside the handler the exception that is thrown in, and swallows none",
    "server/explaining/asking.py:ask": "any exception of a handler is what the explanation is about",
    "server/explaining/tracing.py:Trace._run": "records the exception of a handler, and raises it again",
    "server/live/collector.py:LiveCollector._run": "a task's edge: the picture stays as it is",
    "server/live/reasons.py:Reasons._explain": "a task's edge: the picture goes without this verdict",
    "server/reloading.py:Reloader._start_first": "undoes a start that failed, and raises the error again",
    "server/reloading.py:Reloader._replace": "undoes a reload that failed or was cancelled, and raises the error again;"
    " after the takeover the new configuration stays",
    "cluster/api/audit/rounds.py:AuditRounds._audit": "an internal error must not end the audits",
    "cluster/snapshot/keeper.py:SnapshotKeeper._save": "saving goes on, and so does everything else",
    "host/disk/daemon_worker.py:DaemonWorker._finish": "the exception is raised where the result is awaited",
    "server/reloading.py:Reloader._save": "the configuration is in use, whether or not it is saved",
    "server/reloading.py:Reloader.follow": "a task's edge: the running configuration stays in use",
    "server/threads.py:in_daemon_thread.work": "a thread's edge: raised in the caller",
    "server/memory.py:MemoryWatch.run": "a task's edge: the budgets stay as they are",
    "cluster/manifests/source.py:ManifestSource._poll_forever": "a task's edge: an internal error must not end polling",
    "cluster/api/follow/reflector.py:Reflector.run": "a task's edge: an internal error must not end the stream",
    "upstream/messages.py:read_message": "any exception of dnslib means that the bytes are malformed",
    "cli/conform/reply.py:rdata_text": "any exception of dnslib means that the bytes are malformed",
    "upstream/flight.py:Flights._fly": "a task's edge: the exception is set on the futures of all waiting clients",
}

PACKAGE = sorted((ROOT / "clusterdns").rglob("*.py"))
PYTHON = [
    *PACKAGE,
    *(path for folder in ("testing", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))),
]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        inner = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{prefix}{node.name}."
        yield from functions(node, inner)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_module_has_a_docstring_and_is_not_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    limit = MAX_MODULE_LINES if path in PACKAGE else MAX_TEST_LINES
    assert lines <= limit, f"{lines} lines: split it"
    if not text.strip():
        assert path.name == "__init__.py"
        return
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "the module has no docstring"
    assert docstring.count("\n") < MAX_DOCSTRING_LINES or path not in PACKAGE


@pytest.mark.parametrize("path", PACKAGE, ids=short)
def test_functions_are_short(path: Path) -> None:
    for name, node in functions(tree_of(path)):
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{name} has {lines} lines"


def test_names_of_modules_have_a_meaning() -> None:
    found = [short(path) for path in PYTHON if set(path.stem.strip("_").split("_")) & set(FORBIDDEN_WORDS)]
    assert found == []


def test_folders_that_never_wait_have_no_async() -> None:
    paths = [path for path in PACKAGE if path.relative_to(ROOT / "clusterdns").as_posix().startswith(NEVER_WAITING)]
    assert len(paths) > len(NEVER_WAITING)
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for path in paths:
        for node in ast.walk(tree_of(path)):
            assert not isinstance(node, waiting), f"{short(path)}:{getattr(node, 'lineno', 0)} waits"
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            assert "asyncio" not in names, short(path)


def catches_all(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    if node.type is None:
        return True
    types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(one, ast.Name) and one.id in ("Exception", "BaseException") for one in types)


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from own_nodes(node)


def test_only_listed_functions_catch_all_exceptions() -> None:
    found: set[str] = set()
    for path in PACKAGE:
        tree = tree_of(path)
        where = str(path.relative_to(ROOT / "clusterdns"))
        assert not any(catches_all(node) for node in own_nodes(tree)), f"{where} catches all at module level"
        found |= {f"{where}:{name}" for name, node in functions(tree) if any(map(catches_all, own_nodes(node)))}
    assert found == set(CATCHES_ALL)


def test_no_file_has_a_mark_of_unfinished_work() -> None:
    marks = ("TO" + "DO", "FIX" + "ME")  # apart, so that this file passes
    for path in (*PYTHON, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"):
        text = path.read_text(encoding="utf-8")
        assert not any(mark in text for mark in marks), short(path)
