"""The live picture of one configuration (see `chain.live.Live`); `instance` makes it, whether or not it has viewers.

The modules that collect are loaded at the first look.
"""

from collections.abc import Mapping
from typing import Any

from clusterdns.host.imports import import_in_thread
from clusterdns.server.assembly import Configuration


class LiveView:
    """The picture as one configuration sees it, until that ends."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration: Configuration | None = configuration
        self._tap = configuration.shared.tap
        self._last: Mapping[str, Any] = {}

    async def document(self) -> Mapping[str, Any]:
        """See `Live`; after the configuration's end its last document."""
        loaded = await import_in_thread("clusterdns.server.live.collector")
        if self._configuration is not None:
            if self._tap.collector is None:
                self._tap.collector = loaded.LiveCollector(self._tap)
            self._last = self._tap.collector.look(self._configuration)
        return self._last

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """See `Live`."""
        loaded = await import_in_thread("clusterdns.server.live.services")
        document = await self.document()
        if self._configuration is None:
            return None
        found: Mapping[str, Any] | None = await loaded.describe_service(self._configuration, namespace, name, document)
        return found

    def corefile(self) -> Mapping[str, Any]:
        """See `Live`."""
        if self._configuration is None:
            return {"sha512": "", "files": {}}
        files = {path: text.decode(errors="replace") for path, text in self._configuration.files}
        return {"sha512": self._configuration.shared.corefile_sha512, "files": files}

    def end(self) -> None:
        """Let go of the configuration."""
        if self._tap.collector is not None and self._configuration is not None:
            self._tap.collector.leave(self._configuration)
        self._configuration = None
