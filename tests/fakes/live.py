"""A live picture that a test puts together itself."""

from collections.abc import Mapping
from typing import Any

from clusterdns.chain.live import Live


class FakeLive:
    """Answers with what a test has set, and counts the looks."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}
        self.services: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.files: dict[str, str] = {}
        self.looks = 0

    async def document(self) -> Mapping[str, Any]:
        self.looks += 1
        return self.content

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.services.get((namespace, name))

    def corefile(self) -> Mapping[str, Any]:
        return {"sha512": "0123", "files": self.files}


_: type[Live] = FakeLive
