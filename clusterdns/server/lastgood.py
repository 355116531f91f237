"""The last good configuration: the texts of the files that made it, kept in a folder that outlives the process.

One small JSON file, replaced as a whole. A start whose Corefile is wrong asks for it. What could not be saved or read
is a warning and no more, because serving comes first.
"""

import logging
import os
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clusterdns.corefile.load import Corefile

FILE_NAME = "last-good-corefile.json"
VERSION = 1
MAX_BYTES = 8 << 20  # of all texts; ConfigMaps hold 1 MiB

log = logging.getLogger("clusterdns")


class _Text(msgspec.Struct):
    path: str
    content: str  # base64


class _Saved(msgspec.Struct):
    version: int
    saved_at: str
    files: list[_Text]


class LastGood:
    """The state folder; an empty name is none, and nothing is saved."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sha512 = ""  # of what was saved last

    def save(self, corefile: Corefile) -> None:
        """Keep the texts of this configuration. May run in a thread."""
        if not self._folder or corefile.sha512 == self._sha512:
            return
        total_bytes = sum(len(content) for _, content in corefile.files)
        if total_bytes > MAX_BYTES:
            told = "the Corefile and its imports have %d bytes, more than %d: this configuration is not kept in %s"
            log.warning(told, total_bytes, MAX_BYTES, self._folder)
            return
        files = [_Text(os.fsdecode(path), b64encode(content).decode()) for path, content in corefile.files]
        saved = _Saved(VERSION, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), files)
        try:
            _replace(Path(self._folder) / FILE_NAME, msgspec.json.encode(saved))
        except (OSError, UnicodeError) as error:
            log.warning("cannot keep the last good configuration in %s: %s", self._folder, _reason(error))
        else:
            self._sha512 = corefile.sha512

    def load(self) -> tuple[Mapping[str, bytes], str] | None:
        """The texts by path, the main file first, and when they were saved; None where there is nothing to use."""
        if not self._folder:
            return None
        path = Path(self._folder) / FILE_NAME
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
            files = {one.path: b64decode(one.content, validate=True) for one in saved.files}
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read: %s", path, _reason(error))
            return None
        except (msgspec.MsgspecError, Base64Error, ValueError) as error:
            log.warning("%s is not a last good configuration: %s", path, error)
            return None
        if saved.version != VERSION or not files:
            log.warning("%s is of version %d and not of %d: not used", path, saved.version, VERSION)
            return None
        return files, saved.saved_at


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that there is the old or the new one at any moment, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
