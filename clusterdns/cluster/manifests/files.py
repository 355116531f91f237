"""Manifest files on disk: which there are, what changed, and the last good content of each.

`ManifestFiles.read` is called again and again, in a thread, by `manifests`; files are told apart by their status and
then by a hash of their content. Files of a folder that cannot be listed, and files that cannot be read or parsed, keep
what they held. There is no inotify: it does not see a ConfigMap's swapped links, NFS, or a folder made later.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from clusterdns.cluster.manifests.documents import Document, DocumentError, read_documents
from clusterdns.host.files import open_file

MAX_FILE_BYTES = 64 << 20
_SUFFIXES = (".yaml", ".yml", ".json")

# Whoever writes a file in place may have emptied it a moment ago; such a file is left for the next reading.
_BEING_WRITTEN_NS = 100_000_000
# A file system's clock may tick once in 2 s: until then, the same status does not mean the same content.
_SETTLED_NS = 2_000_000_000


class ManifestError(Exception):
    """Manifests that cannot be served at all; the text says which path and why."""


class _Status(NamedTuple):
    """What changes when a file does."""

    modified_ns: int
    changed_ns: int
    size_bytes: int
    inode: int
    device: int


@dataclass
class _File:
    """What is known of one file."""

    status: _Status | None = None  # None: read it again
    digest: bytes = b""
    documents: list[Document] = field(default_factory=list)
    problem: str = ""


class ManifestFiles:
    """The files under some paths. Used by one thread at a time."""

    def __init__(self, paths: Sequence[str], *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._roots = list(dict.fromkeys(os.path.abspath(path) for path in paths))
        self._now_ns = now_ns
        self._files: dict[str, _File] = {}
        self._is_loaded = False
        self._unlisted: dict[str, str] = {}  # root or folder → why its files cannot be seen

    @property
    def problems(self) -> list[str]:
        """What is wrong now, each in one line."""
        return [*self._unlisted.values(), *(one.problem for one in self._files.values() if one.problem)]

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._files)

    def documents(self) -> list[Document]:
        """The documents of all files, in the order of their paths."""
        return [document for _, file in sorted(self._files.items()) for document in file.documents]

    def read(self) -> bool:
        """Bring everything up to date; whether any document differs.

        Raises ManifestError at the first reading, when a path does not exist.
        """
        found, self._unlisted = _listed(self._roots)
        if not self._is_loaded and self._unlisted:
            raise ManifestError("; ".join(self._unlisted.values()))
        is_changed = False
        for path in [path for path in self._files if path not in found]:
            if not any(_is_in(path, folder) for folder in self._unlisted):
                is_changed |= bool(self._files.pop(path).documents)
        for path, status in found.items():
            is_changed |= self._refresh(path, status)
        self._is_loaded = True
        return is_changed

    def _refresh(self, path: str, status: _Status) -> bool:
        known = self._files.get(path)
        if known is not None and known.status == status:
            return False
        age_ns = self._now_ns() - status.modified_ns
        if self._is_loaded and 0 <= age_ns < _BEING_WRITTEN_NS:
            return False
        file = known or self._files.setdefault(path, _File())
        file.status = status if age_ns >= _SETTLED_NS else None
        try:
            raw = _content(path)
        except OSError as error:
            file.status, file.digest = None, b""
            file.problem = f"{path}: {error.strerror or error}"
            return False
        digest = blake2b(raw).digest()
        if digest == file.digest:
            return False
        file.digest = digest
        file.problem = ""
        try:
            documents = read_documents(raw, path)
        except DocumentError as error:
            file.problem = str(error)
            return False
        is_changed = documents != file.documents
        file.documents = documents
        return is_changed


def _content(path: str) -> bytes:
    with open_file(path) as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise OSError(f"more than {MAX_FILE_BYTES >> 20} MiB; split the file")
    return raw


def _listed(roots: Sequence[str]) -> tuple[dict[str, _Status], dict[str, str]]:
    """The files there are, and the paths that cannot be looked into, with the reason."""
    found: dict[str, _Status] = {}
    unlisted: dict[str, str] = {}
    for root in roots:
        try:
            root_stat = Path(root).stat()
        except OSError as error:
            unlisted[root] = f"{root}: {error.strerror or error}"
            continue
        if stat.S_ISDIR(root_stat.st_mode):
            found.update(_walk(root, set(), unlisted))
        elif stat.S_ISREG(root_stat.st_mode):
            found[root] = _status(root_stat)
        else:
            unlisted[root] = f"{root}: neither a file nor a folder"
    return found, unlisted


def _walk(folder: str, seen: set[tuple[int, int]], unlisted: dict[str, str]) -> Iterator[tuple[str, _Status]]:
    """The manifests below a folder. Links are followed, but no folder twice.

    Hidden entries are left out, among them the `..data` of a mounted ConfigMap, whose files are linked from beside it.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        unlisted[folder] = f"{folder}: {error.strerror or error}"
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            found = Path(entry.path).stat()
        except FileNotFoundError:
            continue  # a link to nothing, or deleted since it was listed
        except OSError as error:
            unlisted[entry.path] = f"{entry.path}: {error.strerror or error}"
            continue
        if stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield from _walk(entry.path, seen, unlisted)
        elif stat.S_ISREG(found.st_mode) and entry.name.endswith(_SUFFIXES):
            yield entry.path, _status(found)


def _status(found: os.stat_result) -> _Status:
    return _Status(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
