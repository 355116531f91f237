"""The page of the running Corefile: its hash and the text of each of its files."""

from collections.abc import Mapping
from typing import Any

from clusterdns.admin.page import Page
from clusterdns.plugins.dashboard.views.layout import framed, section
from clusterdns.plugins.dashboard.views.markup import element, foreign, preformatted
from clusterdns.plugins.dashboard.views.tables import terms


def page(corefile: Mapping[str, Any], *, is_hidden: bool) -> Page:
    """Make the page; `private` may hide the texts."""
    files = [
        section(
            f"file-{number}", path, element("pre", element("code", preformatted(text)), tabindex="0", aria_label=path)
        )
        for number, (path, text) in enumerate(corefile["files"].items())
    ]
    return framed(
        "Corefile", "/corefile",
        element("h1", "The running Corefile"),
        terms((("SHA-512", element("code", foreign(corefile["sha512"]))),)),
        element("p", "Servers with the same hash run the same Corefile.", class_="note"),
        element("p", "Its text is hidden: the Corefile says “private”.") if is_hidden else files,
    )  # fmt: skip
