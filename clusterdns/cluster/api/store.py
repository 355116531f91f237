"""The objects of one collection, by key, and the changes between one state of an object and the next.

`follow` passes in the objects of lists and watch events. The store decodes each by itself and calls back with a
`Change` where a field that answers depend on differs; the change of a large object has `steps`, between which `follow`
lets other tasks run. An object that cannot be decoded is logged once and keeps its last good state; no other module
handles such objects.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

import msgspec

from clusterdns.cluster.decoding import raw_key, raw_version, read_json, reduce_in_steps
from clusterdns.cluster.objects import Change, Kind, Object, ObjectError, ObjectKey, key_of, shown_key
from clusterdns.cluster.raw_objects import RawObject
from clusterdns.cluster.versions import ObjectVersions
from clusterdns.telemetry.metrics import Family, Registry, Series

Held = tuple[Object, int]  # an object that differs, and the fingerprint of its version
OnChange = Callable[[Change], Iterable[None] | None]  # may return the steps that are left to be taken

_MAX_LINES_PER_OBJECT = 20

log = logging.getLogger("clusterdns.plugin.kubernetes")


def skipped_objects(registry: Registry) -> Family[Series]:
    """Return the counter `clusterdns_objects_skipped_total`, by kind."""
    return registry.counter("clusterdns_objects_skipped_total", "API objects that could not be decoded.", "kind")


class ObjectStore:
    """The objects of one collection. The index holds references to the same objects, not copies."""

    def __init__(self, kind: Kind, on_change: OnChange, registry: Registry, *, keeps_versions: bool = False) -> None:
        """With `keeps_versions` an audit can compare the objects with others."""
        self.kind = kind
        self.objects: dict[ObjectKey, Object] = {}
        self._on_change = on_change
        self._logged: dict[ObjectKey | None, set[str]] = {}  # lines about objects that could not be used in full
        self._skipped = skipped_objects(registry)
        self._steps: Iterable[None] = ()
        self.versions = ObjectVersions(is_kept=keeps_versions)

    def put(
        self, raw: RawObject | msgspec.Raw, held: list[Held] | None = None, *, is_event: bool = False
    ) -> ObjectKey | None:
        """Begin to add or update an object. Returns its key, or None where not even that can be read.

        With `held` an object that differs is not changed: it goes there, for `accept`. `is_event` is that of `Change`.
        """
        try:
            read = read_json(self.kind, raw) if isinstance(raw, msgspec.Raw) else raw
        except ObjectError as error:
            return self.skip(error)
        self._steps = self._put(read, held, is_event=is_event)
        key = raw_key(read)
        self.versions.name(key)
        return key if key[1] else None

    def _put(self, raw: RawObject, held: list[Held] | None, *, is_event: bool) -> Iterator[None]:
        try:
            new, warnings = yield from reduce_in_steps(self.kind, raw)
        except ObjectError as error:
            self.skip(error)
            return
        key = key_of(new)
        if warnings:
            self._log_once(key, f"{self.kind.__name__} {shown_key(key)}: {'; '.join(warnings)}")
        version = raw_version(raw)
        if self.objects.get(key) == new:
            if held is None:
                self.versions.note(key, version)
        elif held is None:
            yield from self._set(key, new, version, is_event=is_event)
        else:
            held.append((new, version))

    def _set(self, key: ObjectKey, new: Object, version: int, *, is_event: bool = False) -> Iterator[None]:
        old, self.objects[key] = self.objects.get(key), new
        yield from self._on_change(Change(old, new, is_event)) or ()
        self.versions.note(key, version)

    def accept(self, held: Held) -> None:
        """Begin to add or update an object that `put` has held."""
        new, version = held
        self._steps = self._set(key_of(new), new, version)

    def known_keys(self) -> set[ObjectKey]:
        """Return the keys of all objects, and of those that could not be used."""
        known = set(self.objects)
        known.update(key for key in self._logged if key is not None)
        return known

    def remove(self, key: ObjectKey) -> None:
        """Remove an object, if it is known."""
        self.versions.name(key)
        self.versions.forget(key)
        self._logged.pop(key, None)
        old = self.objects.pop(key, None)
        if old is not None:
            self._steps = self._on_change(Change(old, None)) or ()

    def count(self) -> int:
        """Return the number of known objects."""
        return len(self.objects)

    def steps(self) -> Iterable[None]:
        """Return the steps of the last `put` or `remove`. Take them all before the next one."""
        steps, self._steps = self._steps, ()
        return steps

    def skip(self, error: ObjectError) -> ObjectKey | None:
        """Count and log an object that cannot be used. Returns its key, or None where it has no name."""
        self._skipped.labels(self.kind.__name__).value += 1
        key = error.key if error.key[1] else None
        outcome = "its last good state is kept" if key in self.objects else "skipped"
        self._log_once(key, f"{error}; {outcome}")
        if key is not None:
            self.versions.name(key)
            self.versions.note(key, error.fingerprint)
        return key

    def _log_once(self, key: ObjectKey | None, line: str) -> None:
        """Log a line unless it was logged for this object before; None stands for all objects without a name."""
        logged = self._logged.setdefault(key, set())
        if line not in logged and len(logged) < _MAX_LINES_PER_OBJECT:
            logged.add(line)
            log.warning("%s", line)
