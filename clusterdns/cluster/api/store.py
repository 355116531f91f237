"""What one watch knows: the objects by key, and the changes from what was known before.

`watch` feeds it raw objects from list pages and events; it decodes each on its own, so that one bad object spoils
nothing, and calls back with a `Change` only where something that can be answered differs. It is the only place that
decides what becomes of an object that cannot be decoded: the last good state stays, and it is said once.
"""

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import msgspec

from clusterdns.cluster.decoding import from_json
from clusterdns.cluster.objects import Change, Kind, Object, ObjectError, Pod, key_of
from clusterdns.telemetry.metrics import Family, Registry, Series

Key = tuple[str, str]
OnChange = Callable[[Change], None]

_MAX_TOLD_PER_OBJECT = 20

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Meta(msgspec.Struct, gc=False, rename="camel"):
    """The part of an object's metadata that says which object, and which version of it, this is."""

    name: str | None = None
    namespace: str | None = None
    resource_version: str | None = None


class Head(msgspec.Struct, gc=False):
    """An object read no further than its metadata."""

    metadata: Meta | None = None


_head_decoder = msgspec.json.Decoder(Head)


def read_meta(raw: msgspec.Raw) -> Meta:
    """The identity of an object, as far as it can be read."""
    try:
        return _head_decoder.decode(raw).metadata or Meta()
    except msgspec.MsgspecError:
        return Meta()


def skipped_objects(registry: Registry) -> Family[Series]:
    """`clusterdns_objects_skipped_total`, by kind."""
    return registry.counter("clusterdns_objects_skipped_total", "API objects that could not be decoded.", "kind")


class Store:
    """The objects of one watch, by key. The same objects are in the index: they are shared, not copied."""

    def __init__(self, kind: Kind, on_change: OnChange, registry: Registry) -> None:
        self.kind = kind
        self.objects: dict[Key, Object] = {}
        self._on_change = on_change
        self._told: dict[Key | None, set[str]] = {}  # what was logged about objects that could not be used in full
        self._skipped = skipped_objects(registry)

    def put(self, raw: msgspec.Raw) -> Key | None:
        """Take an object as it is now. Returns its key, or None where not even that can be read."""
        try:
            new, remarks = from_json(self.kind, raw)
        except ObjectError as error:
            return self._skip(raw, error)
        key = key_of(new)
        if remarks:
            self._tell(key, f"{self.kind.__name__} {'/'.join(filter(None, key))}: {'; '.join(remarks)}")
        old = self.objects.get(key)
        if old == new or (old is not None and isinstance(new, Pod) and new.terminating):
            return key  # a Pod on its way out keeps its last state until it is deleted, as CoreDNS has it
        self.objects[key] = new
        self._on_change(Change(old, new))
        return key

    def remove(self, key: Key) -> None:
        """Take note that an object is gone."""
        self._told.pop(key, None)
        old = self.objects.pop(key, None)
        if old is not None:
            self._on_change(Change(old, None))

    def missing_from(self, seen: AbstractSet[Key]) -> list[Key]:
        """Keys of the known objects that a complete list did not show."""
        for key in self._told.keys() - seen - self.objects.keys() - {None}:
            del self._told[key]
        return list(self.objects.keys() - seen)

    def _skip(self, raw: msgspec.Raw, error: ObjectError) -> Key | None:
        self._skipped.labels(self.kind.__name__).value += 1
        meta = read_meta(raw)
        key = (meta.namespace or "", meta.name) if meta.name else None
        outcome = "its last good state is kept" if key in self.objects else "skipped"
        self._tell(key, f"{error}; {outcome}")
        return key

    def _tell(self, key: Key | None, text: str) -> None:
        """Log what is not known about this object yet; None stands for all that cannot be told apart."""
        told = self._told.setdefault(key, set())
        if text not in told and len(told) < _MAX_TOLD_PER_OBJECT:
            told.add(text)
            log.warning("%s", text)
