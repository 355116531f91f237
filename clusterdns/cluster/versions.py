"""The version of each object of a collection, as one integer, for audits.

`api.store` notes the version of whatever it is given, of objects that cannot be used, too; `api.audit` compares. An
integer of the UID and the resourceVersion takes less memory than the two texts, and an audit needs to know only whether
they are the same.
"""

from typing import Any

from clusterdns.cluster.objects import ObjectKey

UNKNOWN = 0  # equal to every version


def fingerprint(uid: Any, version: str | None) -> int:
    """Return an integer for the version of an object; UNKNOWN without a resourceVersion."""
    return (hash((str(uid), version)) or 1) if version else UNKNOWN


class ObjectVersions:
    """The fingerprints by key, and the keys that lists and events have named since `begin`."""

    def __init__(self, *, is_kept: bool) -> None:
        """Where it is not kept, nothing is noted: without audits there is no memory to spend."""
        self.is_kept = is_kept
        self.known: dict[ObjectKey, int] = {}
        self.named: set[ObjectKey] = set()
        self._is_recording = False

    def begin(self) -> None:
        """Begin to collect the keys in `named`."""
        self.named = set()
        self._is_recording = True

    def end(self) -> None:
        """Stop to collect keys, and forget them."""
        self.named = set()
        self._is_recording = False

    def name(self, key: ObjectKey) -> None:
        """Record that a list or an event has the object."""
        if self._is_recording:
            self.named.add(key)

    def note(self, key: ObjectKey, version: int) -> None:
        """Note the fingerprint of the object as it is known now."""
        if self.is_kept:
            self.known[key] = version

    def forget(self, key: ObjectKey) -> None:
        """Forget an object that is gone."""
        self.known.pop(key, None)
