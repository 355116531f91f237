"""The `dashboard` directive: its settings, and the routes of the page.

Nothing of the page is imported before its first request, and nothing is observed while it has no viewers.
"""

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from clusterdns.admin.page import Page, PageRequest
from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.files import open_file
from clusterdns.host.imports import import_in_thread

if TYPE_CHECKING:
    from clusterdns.plugins.dashboard.site import Site

DEFAULT_ADDRESS = "127.0.0.1:8053"
MAX_TOKEN_BYTES = 1 << 20
PATHS = (
    "/", "/events", "/live.json", "/explain", "/service.json", "/service/*", "/corefile", "/login",
    "/style.css", "/live.js", "/favicon.ico",
)  # fmt: skip


class DashboardSettings(msgspec.Struct, frozen=True):
    """The address of the page, the file of its token, and the zones whose names it hides."""

    address: str = DEFAULT_ADDRESS
    asked_by: str = "dashboard"
    token_file: str = ""  # empty: no token is needed
    private: tuple[str, ...] | None = None  # absolute zones; () hides every name and client, None hides nothing


class LatePages:
    """The pages of one configuration, whose code is imported by the first request."""

    def __init__(self, settings: DashboardSettings, context: BlockContext) -> None:
        self._settings = settings
        self._context = context
        self._site: Site | None = None

    async def __call__(self, request: PageRequest) -> Page:
        """Answer a request."""
        if self._site is None:
            module = await import_in_thread("clusterdns.plugins.dashboard.site")
            self._site = self._site or module.Site(self._settings, self._context)  # made by another request meanwhile
        return await self._site.respond(request)

    async def stop(self) -> None:
        """End the streams of events; browsers connect again, to the configuration that follows."""
        if self._site is not None:
            self._site.stop()


def parse(directives: Sequence[Directive], context: BlockContext) -> DashboardSettings:
    """Read `dashboard [HOST:PORT] { token FILE; private [ZONE...] }`. Raises CorefileError."""
    directive = directives[0]
    settings = DashboardSettings(asked_by=f"{directive.place}: dashboard")
    host = "127.0.0.1"
    address: Token | None = None
    for address in directive.arguments_between(0, 1, "[HOST:PORT]"):
        host, _ = listening = values.listen_address(address)
        settings = replace(settings, address=str(listening))
    settings = read_block(settings, directives, _OPTIONS)
    if settings.token_file:
        settings = replace(settings, token_file=context.path(settings.token_file))
        _check_token(settings.token_file, directive)
    elif address is not None and not _is_loopback(host):
        raise address.error(
            f"{address} can be reached from other hosts, and 'dashboard' has no token",
            "add 'token FILE' to its block, or listen on 127.0.0.1 and use 'kubectl port-forward'",
        )
    return settings


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_token(path: str, directive: Directive) -> None:
    """Raise CorefileError where the file has no token now."""
    line = next(line for line in directive.block if line.name == "token")
    hint = "write the token into the file, such as 32 bytes of 'openssl rand -hex 32'"
    try:
        with open_file(path) as file:
            content = file.read(MAX_TOKEN_BYTES)
    except OSError as error:
        raise line.args[0].error(f"token file '{path}' cannot be read: {error.strerror}", hint) from error
    if not content.strip():
        raise line.args[0].error(f"token file '{path}' is empty", hint)


def _token(settings: DashboardSettings, line: Line) -> DashboardSettings:
    if settings.token_file:
        raise line.error("'token' is there twice", "name one file")
    return replace(settings, token_file=line.one_argument("FILE").text)


def _private(settings: DashboardSettings, line: Line) -> DashboardSettings:
    zones = values.zones(line.args)
    if settings.private is None:
        return replace(settings, private=zones)
    # a line without zones hides everything, whatever other lines name
    return replace(settings, private=() if not zones or not settings.private else settings.private + zones)


_OPTIONS = (
    Option(
        "token FILE",
        "no token; allowed on a loopback address only",
        "Only clients that show the content of this file, white space around it dropped, see the page: browsers show a "
        "form, programs send `Authorization: Bearer TOKEN`. A new content counts within seconds.",
        _token,
    ),
    Option(
        "private [ZONE…]",
        "all names are shown",
        "Hides names at and below these zones, and the Services and pods behind them; without a zone every name "
        "and every address of a client: only numbers are left.",
        _private,
    ),
)


def build(settings: DashboardSettings, context: BlockContext) -> Part:
    """Register the pages."""
    pages = LatePages(settings, context)
    for path in PATHS:
        context.shared.http(settings.address, path, pages, settings.asked_by)
    return Part("dashboard", life=LifeCycle(stop=pages.stop))


DOC = Doc(
    usage=("dashboard [HOST:PORT]",),
    about="A web page on `127.0.0.1:8053` that shows the cluster's DNS live (rates, answers, latency, top names and "
    "clients, changes, upstreams, the running Corefile) and explains names: see [dashboard.md](dashboard.md). "
    "Nothing is observed while it has no viewers.",
    options=_OPTIONS,
    example="dashboard 127.0.0.1:8053 {\n    private internal.example\n}\nwhoami",
    better="CoreDNS has no such page.",
)
PLUGIN = Plugin("dashboard", parse, build, once=True, doc=DOC)
