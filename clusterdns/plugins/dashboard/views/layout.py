"""The frame of every page, the headers of every response, and pages that say why there is nothing to see."""

import json
from collections.abc import Mapping
from typing import Any

from clusterdns.admin.page import JSON, Page
from clusterdns.plugins.dashboard.access import LOGIN
from clusterdns.plugins.dashboard.views.markup import Content, Markup, element, join

HTML = "text/html; charset=utf-8"
REFRESH_SECONDS = 5  # of the page without JavaScript
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%231f6f6b'/%3E%3Cpath d='M3 11l3-4 3 2 4-5' stroke='white' stroke-width='2' fill='none'/%3E%3C/svg%3E"
)
_PAGES = (("/", "Live"), ("/explain", "Explain"), ("/corefile", "Corefile"))


def framed(
    title: str, path: str, *content: Content, status: int = 200, is_live: bool = False, headers: Mapping[str, str] = {}
) -> Page:
    """Make a page with this title and content; `path` is its place in the navigation, empty for none of it."""
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} – clusterdns"),
        element("link", rel="stylesheet", href="/style.css"),
        element("link", rel="icon", href=_ICON),
    ]
    if is_live:
        refresh = element("meta", http_equiv="refresh", content=REFRESH_SECONDS)
        head += [element("noscript", refresh), element("script", src="/live.js", defer=True)]
    body = element("body", _header(path), element("main", *content, id="main", tabindex="-1"))
    text = f"<!doctype html>\n{element('html', element('head', head), body, lang='en')}\n"
    return Page(text.encode(errors="replace"), HTML, status, {**HEADERS, **headers})


def _header(path: str) -> Markup:
    skip = element("a", "Skip to the content", href="#main", class_="skip")
    brand = element("a", "clusterdns", href="/", class_="brand")
    links = [
        element("li", element("a", text, href=target, aria_current="page" if target == path else None))
        for target, text in _PAGES
    ]
    return element("header", skip, brand, element("nav", element("ul", links), aria_label="Pages"))


def message(title: str, text: str, status: int, headers: Mapping[str, str] = {}) -> Page:
    """Make a page with one sentence, for an error."""
    return framed(title, "", element("h1", title), element("p", text), status=status, headers=headers)


def login_form(problem: str = "") -> Page:
    """Make the page that asks for the token."""
    field = element(
        "input", type="password", name="token", id="token", required=True, autocomplete="current-password",
        aria_describedby="problem" if problem else None,
    )  # fmt: skip
    form = element(
        "form",
        element("p", element("label", "Token", for_="token"), field),
        element("p", problem, id="problem", role="alert", class_="bad") if problem else None,
        element("p", element("button", "Show the page", type="submit")),
        method="post", action=LOGIN, class_="login",
    )  # fmt: skip
    hint = "It is in the file that the Corefile names: the line “token” of the directive “dashboard”."
    content = join(element("h1", "This page needs a token"), element("p", hint), form)
    # a form's request has its origin only where the page has a referrer
    headers = {"WWW-Authenticate": 'Bearer realm="clusterdns"', "Referrer-Policy": "same-origin"}
    return framed("Token", "", content, status=401, headers=headers)


def as_json(tree: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Page:
    """Make a response for programs."""
    return Page(json.dumps(tree).encode() + b"\n", JSON, status, {**HEADERS, **headers})


def section(name: str, heading: str, *content: Content, level: int = 2, class_: str = "") -> Markup:
    """Write a region of a page with its heading."""
    title = element(f"h{level}", heading, id=f"{name}-heading")
    return element("section", title, *content, aria_labelledby=f"{name}-heading", class_=class_ or None)
