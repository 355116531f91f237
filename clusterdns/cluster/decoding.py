"""Decodes the API's objects: JSON with `read_json`, lines of a watch with `read_event`, manifests with `read_data`.

JSON or a manifest's tree becomes a struct of `raw_objects`, and `reduction` makes an object of it, in steps, because a
slice may have thousands of addresses. Unknown fields are
ignored and unknown enum values kept as text, so that a newer API server does not stop the stream. An object that cannot
be used raises `ObjectError`, which names it.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from clusterdns.cluster import raw_objects as raws
from clusterdns.cluster import reduction
from clusterdns.cluster.objects import (
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    ObjectError,
    ObjectKey,
    Pod,
    Service,
    ServiceImport,
)
from clusterdns.cluster.raw_objects import RawMeta, RawObject, RawSlice
from clusterdns.cluster.reduction import Decoded, Steps
from clusterdns.cluster.versions import fingerprint

_BAD_INPUT = (msgspec.MsgspecError, ValueError, RecursionError)


class _IdentityMeta(msgspec.Struct, gc=False, rename="camel"):
    name: str | None = None
    namespace: str | None = None
    resource_version: str | None = None
    uid: Any = None


class _Identity(msgspec.Struct, gc=False):
    """An object of which only the identity is decoded, because other fields may be broken."""

    metadata: _IdentityMeta | None = None


def read_json(kind: Kind, raw: bytes | msgspec.Raw) -> RawObject:
    """Decode the JSON of one object into a struct of `raw_objects`. Raises ObjectError."""
    try:
        found: RawObject = _DECODERS[kind].json.decode(raw)
    except _BAD_INPUT as error:
        raise _object_error(kind, error, lambda: msgspec.json.decode(raw, type=_Identity)) from error
    return found


def reduce_in_steps(kind: Kind, raw: RawObject) -> Steps:
    """Reduce a struct of `raw_objects` to the object, which the generator returns after its last step.

    A step is a bounded number of endpoints; most objects have none. Raises ObjectError.
    """
    try:
        return (yield from _DECODERS[kind].reduce(raw))
    except ValueError as error:
        raise ObjectError(kind.__name__, raw_key(raw), str(error), raw_version(raw)) from error


def complete(steps: Steps) -> Decoded:
    """Take every step at once, and return the object. Raises ObjectError."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            decoded: Decoded = stop.value
            return decoded


def raw_key(raw: RawObject) -> ObjectKey:
    """Return the key of an object that is not reduced yet; its name may be empty."""
    return _key(raw.metadata)


def raw_version(raw: RawObject) -> int:
    """Return the fingerprint of an object that is not reduced yet (see `versions`)."""
    return fingerprint(raw.metadata.uid, raw.metadata.resource_version)


def read_data(kind: Kind, data: Any) -> RawObject:
    """Convert one object's tree of dicts and lists, as YAML gives it, into such a struct. Raises ObjectError."""
    try:
        found: RawObject = msgspec.convert(data, _DECODERS[kind].raw_type)
    except _BAD_INPUT as error:
        raise _object_error(kind, error, lambda: msgspec.convert(data, _Identity)) from error
    return found


def from_data(kind: Kind, data: Any) -> Decoded:
    """Convert one object's tree, and reduce it. Raises ObjectError."""
    return complete(reduce_in_steps(kind, read_data(kind, data)))


class WatchEvent(NamedTuple):
    """One line of a watch. `object` is a struct of `raw_objects`, or JSON where it does not fit into the struct."""

    type: str
    object: RawObject | msgspec.Raw
    key: ObjectKey
    version: str  # the resourceVersion to resume from after this event; empty where it is missing


class _JsonEvent(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_CUT_FIELDS = [re.compile(rb'"%s" ?: ?"([^"\\]*)"' % name) for name in (b"type", b"name", b"namespace")]

_event_decoder = msgspec.json.Decoder(_JsonEvent)


def read_event(kind: Kind, line: bytes) -> WatchEvent:
    """Decode a line of a watch, envelope and object in one pass. Raises msgspec.MsgspecError where it is not an event.

    Only ERROR events and objects that cannot be used are decoded in a second pass, as JSON.
    """
    try:
        event = _DECODERS[kind].event.decode(line)
    except _BAD_INPUT:
        event = None
    if event is not None and event.type != "ERROR":
        meta = event.object.metadata
        return WatchEvent(event.type, event.object, _key(meta), meta.resource_version or "")
    json_event = _event_decoder.decode(line)
    identity = _identity(lambda: msgspec.json.decode(json_event.object, type=_Identity))
    return WatchEvent(json_event.type, json_event.object, _key(identity), identity.resource_version or "")


def cut_event(line: bytes) -> tuple[str, ObjectKey]:
    """Read the type and the key from the beginning of a watch's line, where the API server writes them; else empty."""
    kind, name, namespace = (
        found[1].decode(errors="replace") if (found := pattern.search(line)) else "" for pattern in _CUT_FIELDS
    )
    return kind, (namespace, name)


def _object_error(kind: Kind, error: Exception, decode: Callable[[], _Identity]) -> ObjectError:
    """Make the error, with as much of the key as the broken object gives."""
    meta = _identity(decode)
    version = fingerprint(meta.uid, meta.resource_version)
    return ObjectError(kind.__name__, _key(meta), str(error) or type(error).__name__, version)


def _identity(decode: Callable[[], _Identity]) -> _IdentityMeta:
    try:
        return decode().metadata or _IdentityMeta()
    except _BAD_INPUT:
        return _IdentityMeta()


def _key(meta: RawMeta | _IdentityMeta) -> ObjectKey:
    return meta.namespace or "", meta.name or ""


class _KindDecoder(NamedTuple):
    """How objects of one kind are read: their struct, its decoders, and the step from the struct to the object."""

    raw_type: type[Any]
    json: msgspec.json.Decoder[Any]
    event: msgspec.json.Decoder[Any]
    reduce: Callable[[Any], Steps]


def _decoder(raw_type: type[Any], reduce: Callable[[Any], Steps]) -> _KindDecoder:
    event = msgspec.defstruct("Event", [("type", str), ("object", raw_type)], gc=False)
    return _KindDecoder(raw_type, msgspec.json.Decoder(raw_type), msgspec.json.Decoder(event), reduce)


_DECODERS: dict[Kind, _KindDecoder] = {
    Service: _decoder(raws.RawService, reduction.reduce_service),
    EndpointSlice: _decoder(RawSlice, reduction.reduce_slice),
    Namespace: _decoder(raws.RawNamespace, reduction.reduce_namespace),
    Pod: _decoder(raws.RawPod, reduction.reduce_pod),
    ServiceImport: _decoder(raws.RawImport, reduction.reduce_import),
    ImportedSlice: _decoder(RawSlice, reduction.reduce_imported_slice),
}
