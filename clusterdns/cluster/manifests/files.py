"""Reads manifest files: finds them, notices changes, and keeps the last good documents of each.

`source` polls `ManifestFiles.read` in a thread. A file that cannot be read or parsed keeps its last good documents, and
so do the files of a folder that cannot be listed.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterdns.cluster.manifests.documents import Document, DocumentError, read_documents
from clusterdns.host.followed_file import FollowedFile

MAX_FILE_BYTES = 64 << 20
_SUFFIXES = (".yaml", ".yml", ".json")


class ManifestError(Exception):
    """Manifests that cannot be served at all; the text has the path and the reason."""


@dataclass
class _File:
    """One file, its last good documents, and the reason where the current content is not used."""

    followed: FollowedFile
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
        self._unlisted: dict[str, str] = {}  # root or folder → why it cannot be listed

    @property
    def problems(self) -> list[str]:
        """The problems with files and folders at present, one line each."""
        return [*self._unlisted.values(), *(one.problem for one in self._files.values() if one.problem)]

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self._files)

    def documents(self) -> list[Document]:
        """Return the documents of all files, in the order of their paths."""
        return [document for _, file in sorted(self._files.items()) for document in file.documents]

    def read(self) -> bool:
        """Read new and changed files. Returns whether any document differs.

        Raises ManifestError at the first call, where a path does not exist.
        """
        found, self._unlisted = _listed(self._roots)
        if not self._is_loaded and self._unlisted:
            raise ManifestError("; ".join(self._unlisted.values()))
        is_changed = False
        for path in [path for path in self._files if path not in found]:
            if not any(_is_in(path, folder) for folder in self._unlisted):
                is_changed |= bool(self._files.pop(path).documents)
        for path in found:
            is_changed |= self._refresh(path)
        self._is_loaded = True
        return is_changed

    def _refresh(self, path: str) -> bool:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _File(FollowedFile(path, self._now_ns))
        try:
            content = file.followed.read(MAX_FILE_BYTES, skip_recent=self._is_loaded)
        except OSError as error:
            file.digest = b""
            file.problem = f"{path}: {error.strerror or error}"
            return False
        if content is None or content.digest == file.digest:
            return False
        file.digest = content.digest
        file.problem = ""
        try:
            documents = read_documents(content.raw, path)
        except DocumentError as error:
            file.problem = str(error)
            return False
        is_changed = documents != file.documents
        file.documents = documents
        return is_changed


def _listed(roots: Sequence[str]) -> tuple[dict[str, None], dict[str, str]]:
    """List the files, each once, and the paths that cannot be listed with the reason."""
    found: dict[str, None] = {}
    unlisted: dict[str, str] = {}
    for root in roots:
        try:
            root_stat = Path(root).stat()
        except OSError as error:
            unlisted[root] = f"{root}: {error.strerror or error}"
            continue
        if stat.S_ISDIR(root_stat.st_mode):
            found.update(dict.fromkeys(_walk(root, set(), unlisted)))
        elif stat.S_ISREG(root_stat.st_mode):
            found[root] = None
        else:
            unlisted[root] = f"{root}: neither a file nor a folder"
    return found, unlisted


def _walk(folder: str, seen: set[tuple[int, int]], unlisted: dict[str, str]) -> Iterator[str]:
    """Yield the paths of the manifests below a folder. Links are followed, no folder twice.

    Hidden entries are ignored, among them `..data` of a mounted ConfigMap, whose files have links outside it.
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
            continue  # a dangling link, or deleted since it was listed
        except OSError as error:
            unlisted[entry.path] = f"{entry.path}: {error.strerror or error}"
            continue
        if stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield from _walk(entry.path, seen, unlisted)
        elif stat.S_ISREG(found.st_mode) and entry.name.endswith(_SUFFIXES):
            yield entry.path


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
