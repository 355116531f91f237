"""A ConfigMap as `kubectl get configmap -o yaml` (or json) prints it, read as the folder that it is mounted as.

`coredns` is mounted at /etc/coredns, one file per key, and `coredns-custom` below it, as in k3s, AKS and Gardener; both
may come in one List. The Corefile and its imports are read from memory. All files are also written to a temporary
folder while the check runs, and words of the Corefile that name one of them are replaced by its path there.
"""

import base64
import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from clusterdns.corefile.directive import Directive, ServerBlock
from clusterdns.corefile.errors import CorefileError, ErrorList, shown
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import Corefile, load_from_memory

MOUNT = "/etc/coredns"
COREFILE = f"{MOUNT}/Corefile"
CUSTOM = "-custom"
_KEY = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}")


def files_of(documents: Iterable[Any], name: str) -> dict[str, bytes] | None:
    """Collect the files of the ConfigMaps among these objects by mounted path, the Corefile first.

    None where there is no ConfigMap. Raises CorefileError, at `name`, where not exactly one has a Corefile.
    """
    maps = [one for one in _objects(documents) if one.get("kind") == "ConfigMap"]
    if not maps:
        return None
    owners = [one for one in maps if not _is_custom(one) and "Corefile" in _contents(one, name)]
    if len(owners) > 1:
        text = f"several ConfigMaps have the key 'Corefile': {', '.join(map(_label, owners))}"
        raise CorefileError(name, 0, text, "send one of them, and 'coredns-custom' with it where that is mounted too")
    if not owners:
        have = "; ".join(f"{_label(one)} has {', '.join(_contents(one, name)) or 'no keys'}" for one in maps[:3])
        hint = "send the ConfigMap that the Deployment mounts, usually 'coredns' in kube-system"
        raise CorefileError(name, 0, f"no ConfigMap here has the key 'Corefile' ({have})", hint)
    files: dict[str, bytes] = {}
    for one in maps:
        folder = f"{MOUNT}/custom" if _is_custom(one) else MOUNT
        if one is owners[0] or _is_custom(one):
            files |= {f"{folder}/{key}": content for key, content in _contents(one, name).items()}
    return {COREFILE: files.pop(COREFILE), **files}


def _objects(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield every object of the documents, those of lists instead of the lists."""
    for one in documents:
        if isinstance(one, list):
            yield from _objects(one)
        elif isinstance(one, dict):
            items = one.get("items")
            if isinstance(items, list):
                is_short = one.get("kind") == "ConfigMapList"  # whose items need not repeat their kind
                yield from _objects(
                    {"kind": "ConfigMap", **i} if is_short and isinstance(i, dict) else i for i in items
                )
            else:
                yield one


def _contents(item: dict[str, Any], name: str) -> dict[str, bytes]:
    """Read the files of a ConfigMap by key. Raises CorefileError."""
    contents: dict[str, bytes] = {}
    for section in ("data", "binaryData"):
        data = item.get(section)
        for key, text in data.items() if isinstance(data, dict) else ():
            if not _KEY.fullmatch(str(key)):
                raise CorefileError(name, 0, f"{shown(str(key))} is not a key of a ConfigMap", "keys are file names")
            content = str("" if text is None else text).encode("utf-8", "surrogatepass")
            contents[str(key)] = _decoded(content, str(key), name) if section == "binaryData" else content
    return contents


def _decoded(content: bytes, key: str, name: str) -> bytes:
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except ValueError as error:
        raise CorefileError(
            name, 0, f"binaryData {shown(key)} is not base64", "send it as kubectl prints it"
        ) from error


def _label(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    name = str(known.get("name") or "a ConfigMap without a name")
    return f"{known['namespace']}/{name}" if known.get("namespace") else name


def _is_custom(item: dict[str, Any]) -> bool:
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and str(metadata.get("name", "")).endswith(CUSTOM)


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
