"""Explanations by a running server: its page /explain."""

from urllib.parse import urlencode

import msgspec

from clusterdns.cli.admin_page import READY, NoPageError, RefusedRequestError, fetch_page, page_url
from clusterdns.server.explaining.engine import ExplainError, ExplainRequest
from clusterdns.server.explaining.explanation import Explanation

TIMEOUT_SECONDS = 30.0  # two questions to upstreams that are dead, for each name of a search list


def explain(server: str, request: ExplainRequest) -> Explanation:
    """Ask a server. Raises NoPageError, and ExplainError where the server refuses the request."""
    parameters = {"name": request.name, "type": request.type, "from": request.asked_from, "client": request.client}
    query = urlencode({key: text for key, text in parameters.items() if text}, errors="surrogateescape")
    url = page_url(server, "explain")
    try:
        document = fetch_page(f"{url}?{query}", TIMEOUT_SECONDS)
    except RefusedRequestError as error:
        raise ExplainError(str(error)) from error
    try:
        return msgspec.convert(document, Explanation)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NoPageError(f"{url}: not an explanation ({error}); {READY.hint}") from None
