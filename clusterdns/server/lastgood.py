"""The last good configuration: the texts of its files, kept in a folder that outlives the process.

The folder has one small JSON file, which is replaced as a whole. A start whose Corefile has errors loads it. A failure
to save or load it is logged as a warning, because it must not keep the server from serving.
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
MAX_BYTES = 8 << 20  # of all texts; a ConfigMap holds 1 MiB

log = logging.getLogger("clusterdns")


class _Text(msgspec.Struct):
    path: str
    content: str  # base64


class _Saved(msgspec.Struct):
    version: int
    saved_at: str
    files: list[_Text]


class LastGood:
    """The state folder; with an empty name nothing is saved or loaded."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._saved_sha512 = ""  # of the Corefile that was saved last

    def save(self, corefile: Corefile) -> None:
        """Save the texts of this configuration; may run in a thread."""
        if not self.folder or corefile.sha512 == self._saved_sha512:
            return
        total_bytes = sum(len(content) for _, content in corefile.files)
        if total_bytes > MAX_BYTES:
            log.warning(
                "the Corefile and its imports have %d bytes, more than %d; this configuration is not saved in %s",
                total_bytes, MAX_BYTES, self.folder,
            )  # fmt: skip
            return
        from clusterdns.host.disk.atomic_file import AtomicFile  # not loaded without a state folder

        files = [_Text(os.fsdecode(path), b64encode(content).decode()) for path, content in corefile.files]
        saved = _Saved(VERSION, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), files)
        try:
            with AtomicFile(os.path.join(self.folder, FILE_NAME)) as file:
                file.write(msgspec.json.encode(saved))
                file.commit()
        except (OSError, UnicodeError) as error:
            log.warning("cannot save the last good configuration in %s: %s", self.folder, _reason(error))
        else:
            self._saved_sha512 = corefile.sha512

    def load(self) -> tuple[Mapping[str, bytes], str] | None:
        """Return the texts by path, the main file first, and the time of saving; None where nothing usable is saved."""
        if not self.folder:
            return None
        path = Path(self.folder) / FILE_NAME
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
            files = {one.path: b64decode(one.content, validate=True) for one in saved.files}
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read: %s", path, _reason(error))
            return None
        except (msgspec.MsgspecError, Base64Error, ValueError) as error:
            log.warning("%s is not a last good configuration and is ignored: %s", path, error)
            return None
        if saved.version != VERSION or not files:
            log.warning("%s has version %d instead of %d and is ignored", path, saved.version, VERSION)
            return None
        return files, saved.saved_at


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
