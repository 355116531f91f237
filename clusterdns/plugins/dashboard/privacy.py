"""What `private` hides: names at and below its zones, and the objects of the cluster behind them.

Texts are searched for names and for `namespace/name`, so that explanations, changes and warnings are covered, too. An
object is behind the name `NAME.NAMESPACE.svc.ZONE`: a zone such as `prod.svc.cluster.local` hides the objects of a
namespace, and one above a zone of the cluster hides all. Where the cluster's zones are not known, as in a block without
`kubernetes`, every zone without `svc` hides all objects.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

HIDDEN = "(private)"
_WORDS = re.compile(r"[^\s\"'(),;=<>\[\]{}|]+")  # domain names, namespace/name, addresses
_PUNCTUATION = ":!?`“”…"
_JOINTS = re.compile(r"[/:#@%&=?!`“”…]+")  # between the parts of a word, such as those of a URL
_SVC = "svc"
_NAMED = ("reason", "zone")  # columns of /status that hold names


class Privacy:
    """The names that are hidden: those of these zones, or, without any zone, every name and every client."""

    def __init__(self, zones: Collection[str] | None, cluster_zones: Collection[str] = ()) -> None:
        """`zones` is None where nothing is private; `cluster_zones` are those of `kubernetes`, where they are known."""
        self._zones = tuple(map(_labels, zones or ()))
        self._clusters = tuple(map(_labels, cluster_zones))
        self.hides_all = zones is not None and (not self._zones or [] in self._zones)  # the root is above all names

    @property
    def hides_some(self) -> bool:
        """Whether there is anything to hide."""
        return self.hides_all or bool(self._zones)

    def hides_name(self, name: str) -> bool:
        """Return whether a domain name is at or below a private zone."""
        return self.hides_all or any(_is_under(_labels(name), zone) for zone in self._zones)

    def hides_object(self, namespace: str, name: str) -> bool:
        """Return whether the names of a Service or pod of the cluster are private."""
        if self.hides_all:
            return True
        service = [name.lower(), namespace.lower(), _SVC]
        return any(self._covers(zone, service) for zone in self._zones)

    def _covers(self, zone: Sequence[str], service: Sequence[str]) -> bool:
        """Return whether a zone is above the names of a Service."""
        if _SVC in zone:
            above = zone[: zone.index(_SVC) + 1]
            return service[-len(above) :] == list(above)
        return not self._clusters or any(_is_under(cluster, zone) for cluster in self._clusters)

    def text(self, text: str) -> str:
        """Hide the names in a text."""
        if not self.hides_some:
            return text
        return HIDDEN if self.hides_all and text else _WORDS.sub(self._word, text)

    def _word(self, found: re.Match[str]) -> str:
        """Hide a word that has a private name in it, or is a private object."""
        bare = found[0].strip(_PUNCTUATION)
        parts = [part for part in _JOINTS.split(bare) if part]
        is_hidden = any(map(self.hides_name, parts)) or (
            "/" in bare and len(parts) > 1 and self.hides_object(parts[0], parts[1])
        )
        return found[0].replace(bare, HIDDEN) if is_hidden else found[0]

    def tree(self, value: Any) -> Any:
        """Hide the names in every text of a tree; keys, too, where they are names."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(key): self.tree(one) for key, one in value.items()}
            case list() | tuple():
                return [self.tree(one) for one in value]
        return value

    def document(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Hide the names in the live document."""
        if not self.hides_some:
            return document
        shown = dict(document)
        for key in ("clients", "names", "nxdomain", "servfail", "shed"):
            shown[key] = [self._row(row) for row in document[key]]
        shown["changes"] = [self._change(row) for row in document["changes"]]
        for key in ("not_ready", "warnings"):
            shown[key] = {plugin: self.text(text) for plugin, text in document.get(key, {}).items()}
        shown["sections"] = {
            name: [{key: self.tree(value) if key in _NAMED else value for key, value in row.items()} for row in rows]
            for name, rows in document["sections"].items()
        }
        return shown

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Hide the texts of a row; where its name is private, the reason says nothing, either."""
        shown = {key: self.text(one) if isinstance(one, str) and key != "type" else one for key, one in row.items()}
        if "why" in row and shown.get("name") == HIDDEN:
            shown["why"] = ""
        return shown

    def _change(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        namespace, _, name = row["object"].partition("/")
        if self.hides_object(namespace, name):
            return {**row, "object": HIDDEN, "text": HIDDEN}
        return {**row, "text": self.text(row["text"])}


def _labels(name: str) -> list[str]:
    """Split a name; the root has no labels."""
    return [label for label in name.lower().rstrip(".").split(".") if label]


def _is_under(name: Sequence[str], zone: Sequence[str]) -> bool:
    return not zone or list(name[-len(zone) :]) == list(zone)
