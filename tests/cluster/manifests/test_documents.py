"""The text of manifest files: what is parsed, what is refused and on which line, and what must not cost more than it
weighs."""

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.manifests import documents
from clusterdns.cluster.manifests.controllers import desired_objects
from clusterdns.cluster.manifests.documents import DocumentError, LibyamlLoader, PythonLoader, read_documents
from clusterdns.cluster.manifests.kinds import MANIFEST_TYPES


@pytest.fixture(params=[LibyamlLoader, PythonLoader])
def _each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LOADER", request.param)


pytestmark = pytest.mark.usefixtures("_each_loader")


def read(text: str, file: str = "f.yaml") -> list[tuple[str, str, Any]]:
    return [(one.kind, one.location, one.tree) for one in read_documents(text.encode(), file)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# only a comment\n---\n---\n", []),
        ("kind: Service\nmetadata: {name: a}\n", [("Service", 1)]),
        ("---\nkind: Service\n---\n\nkind: Pod\n", [("Service", 2), ("Pod", 5)]),
        ("\ufeffkind: Service\n", [("Service", 1)]),
        ("kind: Service\r\n---\r\nkind: Pod\r\n", [("Service", 1), ("Pod", 3)]),
        ("kind: ConfigMap\n---\nkind: Ingress\n---\nkind: MyOwn\n", [("ConfigMap", 1), ("Ingress", 3), ("MyOwn", 5)]),
        ("kind: Service\napiVersion: other/v9\n", [("Service", 1)]),
        (
            "kind: List\nitems: [{kind: Service}, {kind: Secret}, {kind: Pod}]\n",
            [("Service", 1), ("Secret", 1), ("Pod", 1)],
        ),
        ("kind: ServiceList\nitems: [{metadata: {name: a}}]\n", [("Service", 1)]),
        ("kind: List\nitems: [{kind: PodList, items: [{}]}]\n", [("Pod", 1)]),
        ("kind: AllowList\nitems: [1, 2]\n", [("AllowList", 1)]),
        ("kind: List\nitems: null\n", [("List", 1)]),
        ("metadata: {name: a}\n", [("", 1)]),
        ("kind: 7\n", [("", 1)]),
        ("kind: List\nitems: [text]\n", [("", 1)]),
    ],
)
def test_documents(text: str, found: list[tuple[str, int]]) -> None:
    assert [(kind, place) for kind, place, _ in read(text)] == [(kind, f"f.yaml:{line}") for kind, line in found]


def test_json_files() -> None:
    text = '{"kind": "Service"}\n\n{"kind": "List",\n "items": [{"kind": "Pod"}]}\n{"kind": "Pod"}'
    assert [(kind, place) for kind, place, _ in read(text, "f.json")] == [
        ("Service", "f.json:1"), ("Pod", "f.json:3"), ("Pod", "f.json:5"),
    ]  # fmt: skip


def test_scalars_are_read_as_kubectl_reads_them() -> None:
    values = "a: 2024-01-01, b: 2001:10:20:30:40:50:10:1, c: yes, d: 0x10, e: 1.5, f: =, g: ~, h: '7', i: 010"
    text = f"{{kind: Pod, {values}}}"
    ((_, _, tree),) = read(text)
    del tree["kind"]
    assert list(tree.values()) == ["2024-01-01", "2001:10:20:30:40:50:10:1", True, 16, 1.5, "=", None, "7", 8]


def test_aliases_and_merges() -> None:
    ((_, _, tree),) = read("kind: Pod\na: &x {p: 1}\nb: *x\nc: {<<: *x, q: 2}\n")
    assert tree["b"] == {"p": 1}
    assert tree["c"] == {"p": 1, "q": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Service\n  metadata: x\n", "f.yaml:2: "),
        ("kind: Service\n---\na: [1\n---\n", "f.yaml:4: "),
        ("kind: Service\nspec: {{ .Values.spec }}\n", "f.yaml:2: "),
        ("a: 1\n---\n- b\n", "f.yaml:3: a list instead of an object with a kind"),
        ("just text\n", "f.yaml:1: a str instead of"),
        ("kind: Pod\na: *nobody\n", "f.yaml:2: "),
        ("kind: Pod\na: &x [*x]\n", "f.yaml:2: an alias to a value that contains it"),
        ("kind: Pod\n? [1]\n: 2\n", "f.yaml:2: "),
        ("kind: Pod\na: \x01\n", "f.yaml:2: "),
        ("kind: !!python/object:os.system x\n", "f.yaml:1: "),
        ("kind: Pod\na: !!timestamp soon\n", "f.yaml:2: "),
        ("kind: Pod\na: !!int many\n", "f.yaml:1: a value cannot be read"),
        ("kind: Pod\na: !!bool perhaps\n", "f.yaml:1: a value cannot be read"),
        ("kind: Pod\na: " + "9" * 5000 + "\n", "f.yaml:1: a value cannot be read"),
        ("kind: Pod\na: " + "[" * 300 + "\n", "nested more than 100 levels deep"),
    ],
)
def test_broken_files(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind":\n "Pod"\n "x"}', "f.json:3: "),
        ('{"kind": "Pod"}\n]', "f.json:2: "),
        ("[1]", "f.json:1: a list instead of"),
        ("[" * 100_000, "f.json:1: "),
    ],
)
def test_broken_json(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(text, "f.json")
    assert message in str(error.value)


def test_not_utf8() -> None:
    with pytest.raises(DocumentError, match=r"f\.yaml:2: not UTF-8 text"):
        read_documents(b"kind: Pod\na: \xff\n", "f.yaml")


def lists_of_ten(levels: int, *, merge: bool) -> str:
    lines = ["kind: Pod", "l0: &l0 " + ("{k0: 1}" if merge else "[1]")]
    for level in range(1, levels):
        ten = ", ".join([f"*l{level - 1}"] * 10)
        lines.append(f"l{level}: &l{level} " + (f"{{<<: [{ten}]}}" if merge else f"[{ten}]"))
    return "\n".join(lines)


@pytest.mark.parametrize("merge", [False, True])
def test_a_bomb_of_aliases_is_refused(merge: bool) -> None:
    with pytest.raises(DocumentError, match="aliases counted in full"):
        read(lists_of_ten(12, merge=merge))
    assert len(read(lists_of_ten(3, merge=merge))) == 1


def test_nesting_that_would_overflow_the_stack_of_the_c_parser() -> None:
    for text in ("[" * 200_000, "- " * 200_000, "? " * 200_000, "{a: " * 200_000):
        with pytest.raises(DocumentError, match=r"nested more than|maximum|depth|found"):
            read(text)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_DOCUMENTS", 2)
    monkeypatch.setattr(documents, "MAX_VALUES", 10)
    with pytest.raises(DocumentError, match=r"f\.yaml:5: more than 2 documents"):
        read("kind: A\n---\nkind: B\n---\nkind: C\n")
    with pytest.raises(DocumentError, match=r"f\.yaml:2: more than 10 values"):
        read("kind: A\nb: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
    assert len(read("kind: Pod\na: [1, 2, 3, 4]\n---\nkind: Pod\na: [1, 2, 3, 4]\n")) == 2  # counted anew


KEYS = st.sampled_from([
    "kind", "metadata", "name", "namespace", "labels", "spec", "replicas", "template", "selector", "ports", "port",
    "targetPort", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "type", "status", "podIP", "podIPs", "ip",
    "conditions", "subsets", "addresses", "endpoints", "items", "ownerReferences", "hostname", "subdomain",
    "containers", "serviceName", "publishNotReadyAddresses", "deletionTimestamp", "ordinals", "start", "app",
])  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 70_000) | st.floats(allow_nan=False) | st.text(max_size=4)
    | st.sampled_from(["None", "10.96.0.1", "fd00::1", "IPv4", "IPv6", "ExternalName", "a", "web"])
    | st.sampled_from([*MANIFEST_TYPES, "List"])
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(), inner, max_size=6)
)
OBJECTS = st.builds(
    lambda kind, meta, rest: {**rest, "kind": kind, "metadata": meta},
    st.sampled_from([*MANIFEST_TYPES, "List", "ServiceList", "ConfigMap"]),
    st.fixed_dictionaries({"name": st.sampled_from(["a", "web", "x" * 70, "ü"])}, optional={"namespace": LEAVES}),
    st.dictionaries(KEYS, TREES, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TREES | OBJECTS, max_size=4), st.booleans())
def test_any_tree_is_used_skipped_or_refused(trees: list[Any], as_json: bool) -> None:
    if as_json:
        file, text = "f.json", "\n".join(map(json.dumps, trees))
    else:
        file, text = "f.yaml", yaml.safe_dump_all(trees, allow_unicode=True)
    try:
        found = read_documents(text.encode(), file)
    except DocumentError:
        return
    desired = desired_objects(found)
    assert all(warning.text for warning in desired.problems)
    for (kind, key), obj in desired.objects.items():
        assert (kind, key) == (type(obj), (obj.namespace, obj.name))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="{}[]&*!:-?|>'\"\n #%@,a1<=.~", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for file in ("f.yaml", "f.json"):
        with contextlib.suppress(DocumentError):
            assert all(one.location.startswith(file) for one in read_documents(raw, file))
