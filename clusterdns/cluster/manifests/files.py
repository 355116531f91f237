"""Reads manifest files: finds them, notices changes, and keeps the last good documents of each.

`source` polls `ManifestFiles.read` in a thread. A file that cannot be read or parsed keeps its last good documents, and
so do the files of a folder that cannot be listed.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from clusterdns.cluster.manifests.documents import Document, DocumentError, read_documents
from clusterdns.cluster.manifests.kinds import MANIFEST_TYPES
from clusterdns.cluster.manifests.problems import Category, Problem
from clusterdns.host.followed_file import FollowedFile

MAX_FILE_BYTES = 64 << 20
_SUFFIXES = (".yaml", ".yml", ".json")


class ManifestError(Exception):
    """Manifests that cannot be served at all; the text has the path and the reason."""


class _File(msgspec.Struct):
    """One file, its last good documents, and the reason where the current content is not used."""

    followed: FollowedFile
    digest: bytes = b""
    documents: list[Document] = msgspec.field(default_factory=list)
    problem: Problem | None = None


class ManifestFiles:
    """The files under some paths. Used by one thread at a time."""

    def __init__(self, paths: Sequence[str], *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._roots = list(dict.fromkeys(os.path.abspath(path) for path in paths))
        self._now_ns = now_ns
        self._files: dict[str, _File] = {}
        self._is_loaded = False
        self._unlisted: dict[str, str] = {}  # root, folder or dangling link → why it cannot be listed

    @property
    def problems(self) -> list[Problem]:
        """The problems with files and folders at present."""
        unlisted = [_file_problem(path, path, reason) for path, reason in self._unlisted.items()]
        broken = [one.problem for one in self._files.values() if one.problem]
        return [*unlisted, *broken, *self._empty_roots()]

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self._files)

    def documents(self) -> list[Document]:
        """Return the documents of all files, in the order of their paths."""
        return [document for _, file in sorted(self._files.items()) for document in file.documents]

    def read(self) -> bool:
        """Read new and changed files. Returns whether any document differs.

        Raises ManifestError at the first call, where a path of the Corefile cannot be read.
        """
        found, self._unlisted = _listed(self._roots)
        missing = [f"{root}: {self._unlisted[root]}" for root in self._roots if root in self._unlisted]
        if not self._is_loaded and missing:
            raise ManifestError("; ".join(missing))
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
            file.problem = _file_problem(path, path, error.strerror or str(error))
            return False
        if content is None or content.digest == file.digest:
            return False
        file.digest = content.digest
        file.problem = None
        try:
            documents = read_documents(content.raw, path)
        except DocumentError as error:
            file.problem = _file_problem(path, error.location, error.text)
            return False
        is_changed = _differ(documents, file.documents)
        file.documents = documents
        return is_changed

    def _empty_roots(self) -> Iterator[Problem]:
        """Yield a problem for each path of the Corefile without an object that can have names."""
        used = {path for path, file in self._files.items() if file.problem or _has_objects(file.documents)}
        for root in self._roots:
            if any(_is_in(path, root) for path in (*used, *self._unlisted)):
                continue
            has_files = any(_is_in(path, root) for path in self._files)
            missing = "no object that can have names" if has_files else f"no file *{', *'.join(_SUFFIXES)}"
            yield Problem(Category.EMPTY, root, root, f"{missing}; it adds no Services")


def _differ(documents: Sequence[Document], others: Sequence[Document]) -> bool:
    """Compare one by one: a comparison of lists stops all other threads until it ends."""
    return len(documents) != len(others) or any(map(_differs, documents, others))


def _differs(document: Document, other: Document) -> bool:
    return document != other


def _has_objects(documents: Sequence[Document]) -> bool:
    return any(document.kind in MANIFEST_TYPES for document in documents)


def _file_problem(path: str, location: str, reason: str) -> Problem:
    return Problem(Category.FILE, path, location, reason)


def _listed(roots: Sequence[str]) -> tuple[dict[str, None], dict[str, str]]:
    """List the files, each once, and the paths that cannot be listed with the reason."""
    found: dict[str, None] = {}
    unlisted: dict[str, str] = {}
    for root in roots:
        try:
            root_stat = Path(root).stat()
        except OSError as error:
            unlisted[root] = error.strerror or str(error)
            continue
        if stat.S_ISDIR(root_stat.st_mode):
            found.update(dict.fromkeys(_walk(root, {(root_stat.st_dev, root_stat.st_ino)}, unlisted)))
        elif stat.S_ISREG(root_stat.st_mode):
            found[root] = None
        else:
            unlisted[root] = "neither a file nor a folder"
    return found, unlisted


def _walk(folder: str, seen: set[tuple[int, int]], unlisted: dict[str, str]) -> Iterator[str]:
    """Yield the paths of the manifests below a folder. Links are followed, no folder twice.

    Hidden entries are ignored, among them `..data` of a mounted ConfigMap, whose files have links outside it.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        unlisted[folder] = error.strerror or str(error)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            found = Path(entry.path).stat()
        except FileNotFoundError:
            if entry.is_symlink() and entry.name.endswith(_SUFFIXES):  # not one that was deleted since it was listed
                unlisted[entry.path] = "a link to a file that does not exist"
            continue
        except OSError as error:
            unlisted[entry.path] = error.strerror or str(error)
            continue
        if stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield from _walk(entry.path, seen, unlisted)
        elif stat.S_ISREG(found.st_mode) and entry.name.endswith(_SUFFIXES):
            yield entry.path


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
