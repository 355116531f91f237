"""The page /status: the document that the server makes, as JSON or as text.

JSON for a client that accepts it, and at the path that ends in `.json`; text for all others.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from clusterdns.admin.page import JSON, TEXT, Page, PageRequest
from clusterdns.telemetry.status_text import as_text

PATH, JSON_PATH = "/status", "/status.json"


class StatusPage:
    """The page at both paths."""

    def __init__(self, document: Callable[[], Mapping[str, Any]]) -> None:
        self._document = document

    async def __call__(self, request: PageRequest) -> Page:
        """Answer a request."""
        document = self._document()
        if request.path == JSON_PATH or "application/json" in request.headers.get("Accept", ""):
            text, content_type = json.dumps(document, indent=2) + "\n", JSON
        else:
            text, content_type = as_text(document), TEXT
        return Page(text.encode(), content_type, headers={"Cache-Control": "no-store"})
