"""How the raw objects behind a name are read, whatever source the index has.

Reading is for people who ask about one name: it lists few objects, and a source that fails is part of the result.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

SERVICES, SLICES, PODS, CONFIG_MAPS = "services", "endpointslices", "pods", "configmaps"
MAX_OBJECTS = {SERVICES: 1, SLICES: 20, PODS: 100, CONFIG_MAPS: 5}  # of one reading: some 1 MiB of JSON
MAX_PAGE = {SERVICES: 1, SLICES: 5, PODS: 50, CONFIG_MAPS: 5}  # of one request: a millisecond, where slices are large


class FoundObjects(msgspec.Struct, frozen=True):
    """The objects of one reading, with their places in files; or why there are none.

    Each is its JSON (msgspec.Raw), which is decoded one at a time because an object may be large, or a tree of YAML.
    """

    trees: tuple[Any, ...] = ()
    places: tuple[str, ...] = ()  # file:line of each; empty where they come from an API server
    problem: str = ""
    is_cut: bool = False  # there are more


class ObjectFilter(msgspec.Struct, frozen=True):
    """What to read of a kind: one object by its name, or those with these labels, in one namespace."""

    namespace: str
    name: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)


class ObjectReader(Protocol):
    """A source of raw objects."""

    @property
    def text(self) -> str:
        """The name of the source, for people."""

    async def read(self, resource: str, wanted: ObjectFilter) -> FoundObjects:
        """Read objects; `resource` is one of MAX_OBJECTS. Raises nothing: a failure is a `problem`."""
