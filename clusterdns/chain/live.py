"""The live picture of the server: what is asked and answered at present, for people and programs.

`dashboard` shows it. `server.live` makes it, and collects nothing without viewers.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Live(Protocol):
    """The live picture of one configuration; texts in it may have any printable character, names are escaped."""

    async def document(self) -> Mapping[str, Any]:
        """Return the picture of the current second; a call starts or prolongs the collection.

        docs/dashboard.md#the-document lists the keys.
        """

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Describe one Service, its names, endpoints and queries; None where there is none."""

    def corefile(self) -> Mapping[str, Any]:
        """Return the running Corefile: `sha512`, and under `files` the text of each file by its path."""
