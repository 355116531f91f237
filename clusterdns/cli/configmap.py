"""A ConfigMap as `kubectl get configmap -o yaml` (or json) prints it, read as the folder that it is mounted as.

`coredns` is mounted at /etc/coredns, one file per key, and `coredns-custom` below it, as in k3s, AKS and Gardener; both
may come in one List. The Corefile and its imports are read from memory. All files are also written to a temporary
folder while the check runs, and words of the Corefile that name one of them are replaced by its path there.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from clusterdns.corefile.directive import Directive, ServerBlock
from clusterdns.corefile.errors import CorefileError, ErrorList, shown
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import Corefile, load_from_memory

MOUNT = "/etc/coredns"
COREFILE = f"{MOUNT}/Corefile"
CUSTOM = "-custom"
_KEY = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}")

_KINDS = "(ConfigMap|ConfigMapList|List)"
_IS_ONE = re.compile(rf"^[ \t-]*kind:[ \t]*{_KINDS}[ \t]*$|\"kind\"\s*:\s*\"{_KINDS}\"", re.MULTILINE)


def files_of(text: str, name: str) -> dict[str, bytes] | None:
    """Read the files of the ConfigMaps in this text by mounted path, the Corefile first; None for any other text.

    Raises CorefileError, at `name`, where the text is not YAML or no ConfigMap has a Corefile.
    """
    if not _IS_ONE.search(text):
        return None
    try:
        read = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise CorefileError(name, line, "this is not YAML", "send what kubectl get configmap -o yaml prints") from error
    items = read.get("items", [read]) if isinstance(read, dict) else []
    files: dict[str, bytes] = {}
    for item in items if isinstance(items, list) else ():
        files |= _mounted(item, name)
    if COREFILE not in files:
        hint = "send the ConfigMap that the Deployment mounts, usually 'coredns' in kube-system"
        raise CorefileError(name, 1, "no ConfigMap here has the key 'Corefile'", hint)
    return {COREFILE: files.pop(COREFILE), **files}


def _mounted(item: Any, name: str) -> dict[str, bytes]:
    data = item.get("data") if isinstance(item, dict) else None
    if not isinstance(data, dict):
        return {}
    metadata = item.get("metadata")
    is_custom = isinstance(metadata, dict) and str(metadata.get("name", "")).endswith(CUSTOM)
    folder = f"{MOUNT}/custom" if is_custom else MOUNT
    files: dict[str, bytes] = {}
    for key, text in data.items():
        if not _KEY.fullmatch(str(key)):
            raise CorefileError(name, 1, f"{shown(str(key))} is not a key of a ConfigMap", "keys are file names")
        files[f"{folder}/{key}"] = str(text).encode("utf-8", "surrogatepass")
    return files


@contextlib.contextmanager
def mounted(
    files: Mapping[str, bytes], environ: Mapping[str, str], errors: ErrorList
) -> Iterator[tuple[Corefile, str]]:
    """Parse the Corefile of these files, and yield it with the temporary folder that stands for /etc/coredns."""
    with tempfile.TemporaryDirectory(prefix="clusterdns-check-") as folder:
        for path, content in files.items():
            place = Path(folder) / path.removeprefix(f"{MOUNT}/")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        corefile = load_from_memory(files, environ, errors=errors)
        blocks = tuple(_moved(block, files, folder) for block in corefile.blocks)
        yield replace(corefile, blocks=blocks), folder


def _moved(block: ServerBlock, files: Mapping[str, bytes], folder: str) -> ServerBlock:
    def moved(token: Token) -> Token:
        path = token.text if token.text.startswith("/") else f"/{token.text}"  # a container's working directory is /
        return token._replace(text=folder + path.removeprefix(MOUNT)) if path in files else token

    def moved_all(directive: Directive) -> Directive:
        lines = tuple(replace(line, words=tuple(map(moved, line.words))) for line in directive.block)
        return replace(directive, words=tuple(map(moved, directive.words)), block=lines)

    return replace(block, directives=tuple(map(moved_all, block.directives)))
