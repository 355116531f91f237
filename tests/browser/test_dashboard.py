"""The live page in Chromium: what it shows and renews, at three sizes, in light and dark, by keyboard."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser.conftest import TIMEOUT_MS, TOKEN, Launch, LiveDemo, Open

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME = "mongodb-headless-service.infrastructure.svc.cluster.local"
PATHS = (
    "/",
    "/explain",
    f"/explain?name={NAME}&type=SRV&from=default",
    "/explain?name=mysql-svc.defalt.svc.cluster.local",
    "/service/infrastructure/mongodb-headless-service",
    "/corefile",
    "/service/default/nonexistent",
)
SIZES = (360, 768, 1280)
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MAX_PICTURE_BYTES = 150 * 1024


def findings(page: "Page") -> list[str]:
    """List what axe finds on a page."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['html']}: {node['failureSummary']}" for one in violations for node in one["nodes"]]


def settle(page: "Page") -> None:
    """Wait until no colour is in transition."""
    page.wait_for_function("() => document.getAnimations().length === 0")


def watched(demo: LiveDemo, opened: Open, **options: Any) -> "Page":
    """Open the page and have it observe some questions."""
    page = opened(demo.url, **options)
    ask_some(demo)
    page.locator("#names a").first.wait_for()
    return page  # type: ignore[no-any-return]


def ask_some(demo: LiveDemo) -> None:
    for name in (NAME, "normal-nginx.default.svc.cluster.local", "www.shop.example", "printer.office.example"):
        demo.ask(name, times=5)
    demo.ask(NAME, "SRV", times=3)
    demo.ask("mysql-svc.defalt.svc.cluster.local", times=4)
    demo.ask("outside.example", times=2)


def test_the_page_shows_what_is_asked_and_renews_it(demo: LiveDemo, opened: Open) -> None:
    page = opened(demo.url)
    assert page.title() == "Live – clusterdns"
    demo.ask(NAME, times=20)
    page.get_by_role("link", name=NAME).first.wait_for()
    page.wait_for_function("() => parseFloat(document.querySelector('#figures dd').textContent) > 0")
    demo.ask("mysql-svc.defalt.svc.cluster.local", times=20)
    page.locator("#nxdomain .why", has_text="did you mean").wait_for()
    at = page.locator("#state time").get_attribute("datetime")
    page.wait_for_function("at => document.querySelector('#state time').dateTime !== at", arg=at)
    assert page.locator("#connection").inner_text() == ""


def test_a_name_leads_to_its_service_and_that_to_an_explanation(demo: LiveDemo, opened: Open) -> None:
    page = watched(demo, opened)
    page.get_by_role("link", name=f"{NAME}.").first.click()
    page.wait_for_url("**/service/infrastructure/mongodb-headless-service")
    assert page.locator("h1").inner_text() == "Service infrastructure/mongodb-headless-service"
    assert page.locator(".verdict").inner_text().startswith("resolves: ")
    assert page.get_by_role("region", name="Endpoints").get_by_role("row").count() == 4
    page.get_by_role("region", name="Names").get_by_role("link").first.click()
    page.wait_for_url("**/explain?**")
    assert page.locator(".verdict").inner_text().startswith("resolves: ")


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        (NAME, "resolves: "),
        ("mysql-svc.defalt.svc.cluster.local", 'NXDOMAIN: namespace "defalt" does not exist'),
        ("<script>alert(1)</script>.example", "REFUSED: "),
        ("a..b", "not a domain name"),
    ],
)
def test_the_box_explains_a_name(demo: LiveDemo, opened: Open, name: str, verdict: str) -> None:
    opened.expect("the server responded with a status of 400")  # type: ignore[attr-defined]
    page = opened(demo.url)
    page.get_by_label("Name or address").fill(name)
    page.get_by_label("Name or address").press("Enter")
    page.locator(".verdict").wait_for()
    assert page.locator(".verdict").inner_text().startswith(verdict)
    assert page.get_by_label("Name or address").input_value() == name


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(demo: LiveDemo, opened: Open, path: str) -> None:
    opened.expect("the server responded with a status of 404")  # type: ignore[attr-defined]
    page = watched(demo, opened) if path == "/" else opened(demo.url + path)
    for width in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": SIZES[0], "height": 900})
    settle(page)
    assert findings(page) == [], "dark"


def test_colours_and_motion_are_those_that_the_browser_asks_for(demo: LiveDemo, opened: Open) -> None:
    page = opened(demo.url)

    def style(selector: str, name: str) -> str:
        return str(page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}"))

    def shade() -> int:
        return sum(int(part) for part in style("body", "backgroundColor").strip("rgb()").split(","))

    for scheme, is_dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)
        assert (shade() < 150, shade() > 600) == (is_dark, not is_dark)
    for preference, seconds in (("reduce", "0s"), ("no-preference", "0.12s")):
        page.emulate_media(reduced_motion=preference)
        assert style("button", "transitionDuration").split(", ")[0] == seconds


def focused(page: "Page") -> tuple[str, bool]:
    """Return the text of what has the focus, and whether the focus is visible."""
    text, style, width = page.evaluate(
        """() => {
            const one = document.activeElement, style = getComputedStyle(one);
            return [one.id || one.innerText, style.outlineStyle, parseFloat(style.outlineWidth)];
        }"""
    )
    return text, style != "none" and width >= 2


def test_all_is_reached_by_keyboard_and_the_focus_is_seen(demo: LiveDemo, opened: Open) -> None:
    page = watched(demo, opened)
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        text, is_visible = focused(page)
        assert is_visible, text
        order.append(text)
    assert order == [
        "Skip to the content",
        "clusterdns",
        "Live",
        "Explain",
        "Corefile",
        "Pause",
        "name",
        "type",
        "from",
    ]
    page.goto(demo.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert focused(page) == ("Pause", True)


def test_the_focus_stays_on_a_link_whose_section_is_renewed(demo: LiveDemo, opened: Open) -> None:
    page = watched(demo, opened)
    link = page.locator("#names a").first
    link.focus()
    target = link.get_attribute("href")
    page.evaluate("document.querySelector('#names').firstChild.before('old')")
    for _ in range(100):
        demo.ask(NAME, times=5)
        if "old" not in page.locator("#names").inner_text():
            break
        page.wait_for_timeout(100)
    assert "old" not in page.locator("#names").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('href')") == target


def test_pausing_stops_the_renewal(demo: LiveDemo, opened: Open) -> None:
    page = watched(demo, opened)
    button = page.get_by_role("button", name="Pause")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.get_by_role("status").inner_text() == "Paused."
    at = page.locator("#state time").get_attribute("datetime")
    page.wait_for_timeout(1500)
    assert page.locator("#state time").get_attribute("datetime") == at
    button.click()
    page.wait_for_function("at => document.querySelector('#state time').dateTime !== at", arg=at)
    assert page.get_by_role("status").inner_text() == ""


def test_the_page_goes_on_after_a_reload_of_the_corefile(demo: LiveDemo, opened: Open) -> None:
    page = watched(demo, opened)
    before = page.locator("#process code").inner_text()
    corefile = demo.folder / "Corefile"
    corefile.write_text(f"{corefile.read_text()}\n# another one\n")
    page.wait_for_function("before => document.querySelector('#process code').textContent !== before", arg=before)
    at = page.locator("#state time").get_attribute("datetime")
    page.wait_for_function("at => document.querySelector('#state time').dateTime !== at", arg=at)
    assert page.get_by_role("status").inner_text() == ""


def test_without_javascript_the_tables_and_forms_are_there(demo: LiveDemo, opened: Open) -> None:
    watched(demo, opened)  # observes
    page = opened(demo.url, java_script_enabled=False)
    assert page.get_by_role("link", name=f"{NAME}.").count() >= 1
    assert page.get_by_role("button", name="Pause").count() == 0
    page.get_by_label("Name or address").fill(NAME)
    page.get_by_role("button", name="Explain").click()
    assert page.locator(".verdict").inner_text().startswith("resolves: ")


def test_without_javascript_the_page_reloads_itself(demo: LiveDemo, launch: Launch) -> None:
    chromium = launch("--blink-settings=scriptEnabled=false")
    page = chromium.new_page()
    page.goto(demo.url)
    with page.expect_request(f"{demo.url}/", timeout=TIMEOUT_MS):  # after 5 s
        pass
    chromium.close()


def test_hostile_names_are_shown_as_text(demo: LiveDemo, opened: Open) -> None:
    page = opened(demo.url)
    page.locator("#names").wait_for()
    for _ in range(10):
        demo.ask_labels(b"<img src=x onerror=alert(1)>", b"evil")
        demo.ask_labels(b"\x1b[31m\xe2\x80\xae", b"evil")
        demo.ask_labels(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 57, b"evil"[:4])
    page.locator("#names", has_text="onerror=alert").wait_for()
    assert page.locator("#names img").count() == 0
    assert r"\027[31m\226\128\174.evil." in page.locator("#names").inner_text()
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_token_opens_the_page(demo: LiveDemo, opened: Open) -> None:
    opened.expect("the server responded with a status of 401")  # type: ignore[attr-defined]
    page = opened(demo.token_url)
    assert findings(page) == []
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button").click()
    assert page.get_by_role("alert").inner_text() == "This is not the token."
    assert findings(page) == []
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button").click()
    page.get_by_role("heading", name="Cluster DNS, live").wait_for()
    at = page.locator("#state time").get_attribute("datetime")
    page.wait_for_function("at => document.querySelector('#state time').dateTime !== at", arg=at)


def test_pictures_of_the_docs_are_small_and_made_on_request(demo: LiveDemo, opened: Open) -> None:
    """`make pictures` sets CLUSTERDNS_PICTURES, and the test then makes them anew."""
    if os.environ.get("CLUSTERDNS_PICTURES"):
        take_pictures(demo, opened)
    sizes = {path.name: path.stat().st_size for path in PICTURES.glob("dashboard-*.png")}
    assert set(sizes) == {"dashboard-live.png", "dashboard-dark.png", "dashboard-phone.png", "dashboard-explain.png"}
    assert all(size < MAX_PICTURE_BYTES for size in sizes.values()), sizes


def take_pictures(demo: LiveDemo, opened: Open) -> None:
    PICTURES.mkdir(exist_ok=True)
    opened.expect("Applying inline style violates")  # type: ignore[attr-defined]  # that of Playwright's pictures
    size = {"width": 1120, "height": 840}
    live = opened(demo.url, **size)
    manifest = demo.folder / "demo" / "normal-nginx.yaml"
    manifest.write_text(manifest.read_text().replace("replicas: 3", "replicas: 4"))
    for _ in range(8):  # seconds
        for _ in range(6):
            ask_some(demo)
        live.wait_for_timeout(900)
    take(live, demo, "live")
    live.emulate_media(color_scheme="dark")
    take(live, demo, "dark")
    live.emulate_media(color_scheme="light")
    live.set_viewport_size({"width": 360, "height": 780})
    take(live, demo, "phone")
    take(opened(f"{demo.url}/explain?name=mysql-svc.defalt.svc.cluster.local", **size), demo, "explain")


def take(page: "Page", demo: LiveDemo, name: str) -> None:
    """Take a picture, with the paths that `make run` has."""
    settle(page)
    script = "folder => { document.body.innerHTML = document.body.innerHTML.replaceAll(folder, 'zones'); }"
    page.evaluate(script, str(demo.folder))
    page.screenshot(path=PICTURES / f"dashboard-{name}.png")
