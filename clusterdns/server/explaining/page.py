"""The page /explain: why a name resolves or does not, as JSON, for `clusterdns explain --server`.

An explanation asks questions and reads objects as a client and this server may; so few run at a time, and a page of
another site in an operator's browser cannot start one.
"""

import json
from collections.abc import Mapping
from typing import Any

from clusterdns.admin.page import JSON, Page, PageRequest
from clusterdns.server.assembly import Configuration
from clusterdns.server.explaining.engine import Explainer, ExplainError, ExplainRequest, ExplainTimeout
from clusterdns.server.explaining.explanation import as_tree

NAME, TYPE, FROM, CLIENT = "name", "type", "from", "client"
PARAMETERS = (NAME, TYPE, FROM, CLIENT)
MAX_QUERY_BYTES = 2048  # a name of 255 bytes, each escaped, and the other parameters
MAX_AT_ONCE = 2
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ExplainPage:
    """The page of one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._explainer = Explainer(configuration)
        self._running = 0

    async def __call__(self, request: PageRequest) -> Page:
        """Answer a request."""
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        if self._running >= MAX_AT_ONCE:
            return _problem(503, f"{MAX_AT_ONCE} explanations are under way; try again", {"Retry-After": "1"})
        self._running += 1
        try:
            found = await self._explainer.explain(_asked(request.query))
        except ExplainTimeout as error:
            return _problem(504, str(error))
        except ExplainError as error:
            return _problem(400, str(error))
        finally:
            self._running -= 1
        return _response(200, as_tree(found))


def _asked(parameters: Mapping[str, str]) -> ExplainRequest:
    """Read the parameters. Raises ExplainError."""
    unknown = [one for one in parameters if one not in PARAMETERS]
    if unknown or not parameters.get(NAME):
        raise ExplainError(f"the parameters are {NAME}, and {', '.join(PARAMETERS[1:])} where needed")
    return ExplainRequest(*(parameters.get(one, "") for one in PARAMETERS))


def _refusal(request: PageRequest) -> Page | None:
    """Return the response to a request that no explanation is made for."""
    if request.method != "GET":
        return _problem(405, "only GET is answered", {"Allow": "GET"})
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return _problem(403, "pages of other origins get no explanations")
    if len(request.query_string) > MAX_QUERY_BYTES:
        return _problem(414, f"more than {MAX_QUERY_BYTES} bytes of parameters")
    return None


def _problem(status: int, text: str, headers: Mapping[str, str] = {}) -> Page:
    return _response(status, {"error": text}, headers)


def _response(status: int, tree: Mapping[str, Any], headers: Mapping[str, str] = {}) -> Page:
    text = json.dumps(tree, indent=2) + "\n"
    return Page(text.encode(), JSON, status, {**_HEADERS, **headers})
