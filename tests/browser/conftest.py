"""The demo's server with its live page, and a browser that looks at it.

Both are started once per module: a browser takes a second, a page a tenth of one.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from house.demo import copy_zones, serving
from peers import missing, need

from testing.dns_client import question, reply_to
from testing.ports import LOOPBACK, free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "correct horse battery staple"
TIMEOUT_MS = 30_000  # for what happens within a second or two on a machine that is not busy


class LiveDemo(NamedTuple):
    """A server on a copy of zones/, with a second page that needs TOKEN."""

    folder: Path
    dns_port: int
    page_port: int
    token_port: int

    @property
    def url(self) -> str:
        """The page."""
        return f"http://{LOOPBACK}:{self.page_port}"

    @property
    def token_url(self) -> str:
        """The page that needs a token."""
        return f"http://{LOOPBACK}:{self.token_port}"

    def ask(self, name: str, qtype: str = "A", times: int = 1) -> None:
        """Ask a question over UDP, and expect each reply."""
        for _ in range(times):
            assert reply_to(self.dns_port, question(name, qtype), 20.0) is not None

    def ask_labels(self, *labels: bytes) -> None:
        """Ask for the address of a name of any bytes."""
        name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
        packet = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)
        assert reply_to(self.dns_port, packet, 20.0) is not None


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    folder = tmp_path_factory.mktemp("demo")
    copied = copy_zones(folder)
    (folder / "token").write_text(TOKEN)
    token_port, dns_port = free_ports(2)
    corefile = copied.folder / "Corefile"
    corefile.write_text(
        f"{corefile.read_text()}\nother.example:{dns_port} {{\n bind 127.0.0.1\n whoami\n"
        f" dashboard {LOOPBACK}:{token_port} {{\n token {folder / 'token'}\n }}\n}}\n"
    )
    with serving(copied):
        yield LiveDemo(copied.folder, copied.ports["1053"], copied.ports["18053"], token_port)


Launch = Callable[..., "Browser"]


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Starts browsers, with further arguments of Chromium where needed."""
    program = need("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("playwright", "run `make test`, which installs it")
    # containers have a small /dev/shm, and no sandbox within theirs where tests run as root
    settings = ["--disable-dev-shm-usage", *([] if os.geteuid() else ["--no-sandbox"])]
    with sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(executable_path=program, args=[*settings, *arguments])


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Iterator["Browser"]:
    chromium = launch()
    yield chromium
    chromium.close()


@pytest.fixture
def opened(browser: "Browser") -> Iterator[Open]:
    """Opens pages, each in a profile of its own; none may leave an error or a violation of the policy."""
    problems: list[str] = []
    contexts = []

    def open_page(url: str, width: int = 1280, height: int = 900, **options: Any) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda sent: None if sent.url.startswith((url[:21], "data:")) else problems.append(sent.url))
        page.goto(url)
        return page

    with expected(problems) as expect:
        open_page.expect = expect  # type: ignore[attr-defined]
        yield open_page
    for context in contexts:
        context.close()


@contextmanager
def expected(problems: list[str]) -> Iterator[Callable[[str], None]]:
    """Fail at the end if there are problems that the test does not expect."""
    allowed: list[str] = []
    yield allowed.append
    assert [one for one in problems if not any(text in one for text in allowed)] == []
