"""Which requests the page answers at all, before any token: methods, sizes, hosts, and pages of other origins.

A page of another site in an operator's browser can send requests to a loopback address, and with DNS rebinding even
read the responses. So the Host must be an address or localhost, and requests that another origin's page has made are
refused. A link from elsewhere to the page itself works: it shows the page to the person, and gives the other page
nothing.
"""

import ipaddress

from clusterdns.admin.page import PageRequest

MAX_QUERY_BYTES = 2048  # a name of 255 bytes, each escaped, and the other parameters
LOGIN = "/login"
# paths that a link from another site may open; /explain asks questions, so it is not among them
_LINKED = ("/", "/corefile", "/service/")


class Refusal(Exception):
    """A request that is not answered; `status` is that of the response, the text says what to do."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def check(request: PageRequest, *, has_token: bool) -> None:
    """Raise Refusal for a request that is not answered, with a token or without."""
    allowed = ("GET", "HEAD", "POST") if has_token and request.path == LOGIN else ("GET", "HEAD")
    if request.method not in allowed:
        raise Refusal(405, "The page is read-only.", Allow=", ".join(allowed))
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise Refusal(414, f"More than {MAX_QUERY_BYTES} bytes of parameters.")
    host = request.headers.get("Host", "")
    if not has_token and not _is_safe_host(host):
        raise Refusal(403, "Open the page under an IP address or localhost.")
    if not _is_own_origin(request, host):
        raise Refusal(403, "Other sites get nothing from this page: open it, and go on from there.")


def _is_safe_host(host: str) -> bool:
    """Return whether a Host header cannot be a name that an attacker's DNS server has pointed here."""
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if name.removesuffix(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own_origin(request: PageRequest, host: str) -> bool:
    headers = request.headers
    origin = headers.get("Origin", "")
    site = headers.get("Sec-Fetch-Site", "")
    if origin and origin.partition("://")[2].lower() != host.lower():
        # a form's Origin is `null` where the page has no referrer; then the browser itself must vouch for it
        return origin == "null" and site == "same-origin"
    if site in ("", "none", "same-origin"):
        return True
    is_link = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return is_link and request.method == "GET" and _is_linked(request.path)


def _is_linked(path: str) -> bool:
    return any(path == one or (one != "/" and one.endswith("/") and path.startswith(one)) for one in _LINKED)
