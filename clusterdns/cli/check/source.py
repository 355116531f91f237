"""What `check` is given: it reads a file or standard input, and recognises what is not a Corefile.

A Corefile's grammar accepts almost any text, and reports each line of another one as an unknown directive; so text that
is plainly something else is named once, with the place where the Corefile is expected.
"""

import json
import os
import re
import sys
from typing import Any

from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.files import MAX_FILE_BYTES
from clusterdns.corefile.load import STDIN
from clusterdns.host.files import read_file_or_pipe

_EXPECTED = "name a Corefile, or pipe in its ConfigMap: kubectl -n kube-system get configmap coredns -o yaml"
_FROM_KUBECTL = "kubectl -n {namespace} get configmap {name} -o yaml | clusterdns check -"

_SIGNS = (
    (re.compile(rb"\xff\xfe|\xfe\xff"), "UTF-16 text"),
    (re.compile(rb"\s*(?:error: |Error from server |Unable to connect )"), "an error message of kubectl"),
    (re.compile(rb"\x1f\x8b|PK\x03\x04|\x7fELF|\xfd7zXZ|BZh"), "a compressed or binary file"),
    (re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE), "HTML"),
    (re.compile(rb"\s*<"), "XML or HTML"),
    (re.compile(rb"\s*-----BEGIN "), "a PEM file"),
    (re.compile(rb"#!"), "a script"),
    (re.compile(rb"(?:\s|[#;][^\n]*\n)*(?:nameserver|search|options)[ \t]"), "a resolv.conf"),
    (re.compile(rb"(?:\s|;[^\n]*\n)*(?:\$ORIGIN|\$TTL|\S+\s+(?:\d+\s+)?(?:IN\s+)?SOA\s)"), "a zone file"),
)  # fmt: skip
# a first line of YAML or JSON; a word of a Corefile ends in a colon only by mistake, where a brace ends the line
_STRUCTURED = re.compile(
    r"(?:\s|#[^\n]*\n|---[^\n]*\n|%YAML[^\n]*\n)*(?:[\w./-]+:(?:\s|\Z)(?![^\n]*\{\s*\n)|- |[\[{]\s*[\"\[{}\]]|\Z)"
)


def read_bytes(path: str) -> bytes:
    """Read the content to check. Raises CorefileError, at the file as a whole, where it cannot be read."""
    if path == STDIN:
        if sys.stdin is None:
            raise CorefileError(STDIN, 0, "standard input is closed", "pipe the Corefile in, or name a file")
        if sys.stdin.isatty():
            raise CorefileError(STDIN, 0, "standard input is a terminal", "pipe the Corefile in, or name a file")
        stream = getattr(sys.stdin, "buffer", None)
        return sys.stdin.read().encode("utf-8", "surrogateescape") if stream is None else stream.read()
    if os.path.isdir(path):
        inside = os.path.join(path, "Corefile")
        hint = f"name the file: {inside}" if os.path.exists(inside) else "name the Corefile in it"
        raise CorefileError(path, 0, "cannot be read: is a directory", hint)
    try:
        return read_file_or_pipe(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CorefileError(path, 0, f"cannot be read: {reason}", "name an existing, readable Corefile") from error


def refuse_other_formats(content: bytes, name: str) -> None:
    """Raise CorefileError where the content is plainly of another format than a Corefile's, other than YAML's."""
    if not content.strip():
        raise CorefileError(name, 0, "is empty", _EXPECTED)
    for sign, kind in _SIGNS:
        if sign.match(content):
            raise CorefileError(name, 0, f"is {kind}, not a Corefile", _EXPECTED)
    if b"\0" in content:
        raise CorefileError(name, 0, "contains NUL bytes, so it is not a Corefile", "send it as UTF-8")


def documents_of(text: str, name: str) -> list[Any] | None:
    """Parse the documents of YAML or JSON; None where the text is not even like them. Raises CorefileError."""
    if not _STRUCTURED.match(text):
        return None
    import yaml  # slow to import, and most files are Corefiles

    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if not re.search(r"^[ \t-]*\"?kind\"?:", text, re.MULTILINE):
            return None
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise CorefileError(name, line, "this is not YAML", "send what kubectl get configmap -o yaml prints") from error
    is_empty = not any(one is not None for one in documents)
    return documents if is_empty or any(isinstance(one, dict | list) for one in documents) else None


def not_a_corefile(documents: list[Any], name: str) -> CorefileError:
    """Make the error for objects without a Corefile: what they are, and where theirs is."""
    objects = [one for one in documents if isinstance(one, dict) and isinstance(one.get("kind"), str)]
    if not objects:
        keys = [str(key) for one in documents if isinstance(one, dict) for key in one][:5]
        what = (
            f"YAML or JSON with {', '.join(keys)}" if keys else "a list in YAML or JSON" if any(documents) else "empty"
        )
        return CorefileError(name, 0, f"is {what}, not a Corefile", _EXPECTED)
    shown = ", ".join(map(_label, objects[:3])) + (f" and {len(objects) - 3} more" if len(objects) > 3 else "")
    place = next((found for one in objects if (found := _mounted_configmap(one))), None)
    hint = f"its Corefile is in a ConfigMap: {_FROM_KUBECTL.format(**place)}" if place else _EXPECTED
    return CorefileError(name, 0, f"is {shown}, not a Corefile", hint)


def _label(one: dict[str, Any]) -> str:
    kind = one["kind"]
    if isinstance(one.get("items"), list):
        kinds = sorted({str(item.get("kind")) for item in one["items"] if isinstance(item, dict) and item.get("kind")})
        return (
            f"a {kind} of {', '.join(kinds[:3])}" if kinds else f"an empty {kind}" if not one["items"] else f"a {kind}"
        )
    metadata = one.get("metadata")
    called = metadata.get("name") if isinstance(metadata, dict) else None
    article = "an" if kind[:1] in "AEIO" else "a"
    return f"{article} {kind} '{called}'" if called else f"{article} {kind}"


def _mounted_configmap(one: dict[str, Any]) -> dict[str, str] | None:
    """Find the first ConfigMap that a workload's pods mount, as its name and namespace."""
    for item in (one, *(item for item in one.get("items") or () if isinstance(item, dict))):
        found = re.search(r'"configMap": \{[^{}]*"name": "([^"]+)"', json.dumps(item.get("spec"), default=str))
        if found is not None:
            metadata = item.get("metadata")
            namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
            return {"name": found[1], "namespace": str(namespace or "kube-system")}
    return None
