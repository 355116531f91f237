"""The pages of one configuration: who may ask is checked first, then the path decides.

The first request imports this module and what it needs; `directive` registers the paths.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

from clusterdns.admin.page import BodyError, Page, PageRequest
from clusterdns.chain import BlockContext
from clusterdns.plugins.dashboard.access import LOGIN, Refusal, check
from clusterdns.plugins.dashboard.directive import MAX_TOKEN_BYTES, DashboardSettings
from clusterdns.plugins.dashboard.events import CONTENT_TYPE, EventStreams, LiveSections
from clusterdns.plugins.dashboard.login import Login
from clusterdns.plugins.dashboard.privacy import Privacy
from clusterdns.plugins.dashboard.views import corefile, explain, layout, overview, service
from clusterdns.plugins.dashboard.views.markup import element
from clusterdns.plugins.dashboard.views.question import question_form
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.wire.name import to_text

_ASSETS = {"/style.css": "text/css; charset=utf-8", "/live.js": "text/javascript; charset=utf-8"}
_SERVICE = "/service/"
MAX_DESCRIBED = 2  # Services at a time
_PRIVATE = "The Corefile says “private” of this name."


class Site:
    """The pages, for clients that may see them."""

    def __init__(self, settings: DashboardSettings, context: BlockContext) -> None:
        zones = {to_text(zone) for one in context.exports(ClusterExports) for zone in one.zones}
        self._shared = context.shared
        self._privacy = Privacy(settings.private, zones)
        self._login = Login(settings.token_file, MAX_TOKEN_BYTES) if settings.token_file else None
        self._describing = 0
        self._shown: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self._sections = LiveSections(self._document)
        self._events = EventStreams(self._sections)
        self._assets = {path: _asset(path) for path in _ASSETS}
        self._pages: Mapping[str, Callable[[PageRequest], Awaitable[Page]]] = {
            "/": self._overview,
            "/events": self._stream,
            "/live.json": self._live_json,
            "/explain": self._explain,
            "/service.json": self._service_json,
            "/corefile": self._corefile,
        }

    def stop(self) -> None:
        """End the streams of events."""
        self._events.stop()

    async def respond(self, request: PageRequest) -> Page:
        """Answer a request."""
        try:
            check(request, has_token=self._login is not None)
            return await self._admitted(request)
        except Refusal as refusal:
            if request.path.endswith(".json"):  # which programs ask for: `clusterdns top` shows the reason
                return layout.as_json({"error": str(refusal)}, refusal.status, refusal.headers)
            return layout.message("No page", str(refusal), refusal.status, refusal.headers)
        except BodyError as error:
            return layout.message("No page", f"The request has {error}.", error.status)

    async def _admitted(self, request: PageRequest) -> Page:
        if request.path in self._assets:
            return self._assets[request.path]
        if request.path == "/favicon.ico":
            return Page(b"", status=204, headers=layout.HEADERS)
        if self._login is not None:
            refused = await _logged_in(self._login, request)
            if refused is not None:
                return refused
        page = self._pages.get(request.path)
        if page is not None:
            return await page(request)
        if request.path.startswith(_SERVICE):
            return await self._service(request)
        raise Refusal(404, "There is no page at this path.")

    async def _document(self) -> Mapping[str, Any]:
        """Return the live document as it may be shown; the same one until the next second. Raises Refusal."""
        document = await self._shared.live.document()
        if not document:
            raise Refusal(503, "This configuration has ended; load the page anew.", Retry_After="1")
        if self._shown is None or self._shown[0] is not document:
            self._shown = document, self._privacy.document(document)
        return self._shown[1]

    async def _overview(self, request: PageRequest) -> Page:
        return overview.page(await self._sections.current(), refreshes=request.query.get("refresh") != "off")

    async def _live_json(self, request: PageRequest) -> Page:
        return layout.as_json(await self._document())

    async def _stream(self, request: PageRequest) -> Page:
        if request.method == "HEAD":
            return Page(b"", CONTENT_TYPE, headers=layout.HEADERS)
        if self._events.is_full:
            raise Refusal(503, "Too many pages are open; this one shows what is now.", Retry_After="5")
        return Page(b"", CONTENT_TYPE, headers=layout.HEADERS, pieces=self._events.stream())

    async def _explain(self, request: PageRequest) -> Page:
        heading, form = element("h1", "Explain a name"), question_form(request.query)
        if not request.query.get("name"):
            hint = element("p", "Why does a name resolve, or not? Its verdict and every step to it are shown here.")
            return layout.framed("Explain", "/explain", heading, form, hint)
        if self._privacy.hides_all:
            raise Refusal(403, _PRIVATE)
        asked = {key: value for key in ("name", "type", "from") if (value := request.query.get(key, ""))}
        made = await self._shared.explain(PageRequest("/explain", asked))
        tree = json.loads(made.body)
        if made.status != 200:
            problem = element("p", tree["error"], class_="verdict warn", role="alert")
            retry = {name: value for name, value in made.headers.items() if name == "Retry-After"}
            return layout.framed("Explain", "/explain", heading, form, problem, status=made.status, headers=retry)
        if self._privacy.hides_name(tree["name"]):
            raise Refusal(403, _PRIVATE)
        tree = self._privacy.tree(tree)
        title = f"{tree['name']} {tree['type']}"
        return layout.framed(title, "/explain", heading, form, explain.verdict(tree), explain.explanation(tree))

    async def _service(self, request: PageRequest) -> Page:
        namespace, slash, name = request.path.removeprefix(_SERVICE).partition("/")
        if not slash or "/" in name:
            raise Refusal(404, "The path is /service/NAMESPACE/NAME.")
        return service.page(await self._found_service(namespace, name))

    async def _service_json(self, request: PageRequest) -> Page:
        try:
            found = await self._found_service(request.query.get("namespace", ""), request.query.get("name", ""))
        except Refusal as refusal:
            return layout.as_json({"error": str(refusal)}, refusal.status)
        return layout.as_json(found)

    async def _found_service(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Return a Service as it may be shown. Raises Refusal."""
        if self._privacy.hides_object(namespace, name):
            raise Refusal(403, _PRIVATE)
        found = await self._described(namespace, name) if namespace and name else None
        if found is None:
            raise Refusal(404, f"There is no Service {namespace}/{name}.")
        shown: Mapping[str, Any] = self._privacy.tree(found) if self._privacy.hides_some else found
        return shown

    async def _described(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Describe a Service, which asks questions; few requests do that at a time. Raises Refusal."""
        if self._describing >= MAX_DESCRIBED:
            raise Refusal(503, "Other Services are being described; try again.", Retry_After="1")
        self._describing += 1
        try:
            return await self._shared.live.service(namespace, name)
        finally:
            self._describing -= 1

    async def _corefile(self, request: PageRequest) -> Page:
        running = self._shared.live.corefile()
        shown = {**running, "files": self._privacy.tree(running["files"])}
        return corefile.page(shown, is_hidden=self._privacy.hides_all)


async def _logged_in(login: Login, request: PageRequest) -> Page | None:
    """Return the response to a client that has not shown the token, or that shows it now; None for all others."""
    if request.path == LOGIN and request.method == "POST":
        cookie = await login.log_in(request)
        if cookie is None:
            return layout.login_form("This is not the token.")
        return Page(b"", status=303, headers={**layout.HEADERS, "Location": "/", "Set-Cookie": cookie})
    if not await login.is_known(request):
        return layout.login_form()
    return Page(b"", status=303, headers={**layout.HEADERS, "Location": "/"}) if request.path == LOGIN else None


def _asset(path: str) -> Page:
    body = files(__package__).joinpath(path.removeprefix("/")).read_bytes()
    return Page(body, _ASSETS[path], headers=layout.HEADERS)
