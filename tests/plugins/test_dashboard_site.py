"""The pages over HTTP: what is answered, to whom, and with which headers."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from fakes.pictures import document, service
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.dashboards import Dashboard, dashboard

from clusterdns.plugins.dashboard import login
from clusterdns.plugins.dashboard.views.layout import POLICY

HTML_PATHS = ("/", "/explain", "/explain?name=web.prod.svc.cluster.local", "/service/prod/web", "/corefile")
DATA_PATHS = ("/live.json", "/service.json?namespace=prod&name=web", "/events")
OPEN_PATHS = ("/style.css", "/live.js", "/favicon.ico")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Dashboard]:
    """A page without a token that hides nothing."""
    async with dashboard(tmp_path) as made:
        made.live.services["prod", "web"] = service({}, name="web")
        yield made


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Dashboard]:
    """A page with the token `secret`, in a file with white space around it."""
    (tmp_path / "token").write_text("\n secret \n")
    async with dashboard(tmp_path, f"{{\n token {tmp_path}/token\n }}") as made:
        made.live.services["prod", "web"] = service({}, name="web")
        yield made


@pytest.mark.parametrize("path", [*HTML_PATHS, *DATA_PATHS, *OPEN_PATHS, "/service/a/b"])
async def test_every_response_has_the_headers_that_protect_it(page: Dashboard, path: str) -> None:
    for method in ("GET", "HEAD") if path != "/events" else ("HEAD",):
        response = await page.get(path, method)
        assert response.status == {"/favicon.ico": 204, "/service/a/b": 404}.get(path, 200)
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert (response.text != "") == (method == "GET" and path != "/favicon.ico")


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    assert POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/live.json", "/login"])
async def test_the_page_is_read_only(page: Dashboard, path: str, method: str) -> None:
    response = await page.get(path, method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("headers", "paths"),
    [
        ({"Origin": "http://evil.example"}, (*HTML_PATHS, *DATA_PATHS)),
        ({"Origin": "null"}, (*HTML_PATHS, *DATA_PATHS)),
        ({"Sec_Fetch_Site": "cross-site"}, (*HTML_PATHS, *DATA_PATHS)),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, DATA_PATHS),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, HTML_PATHS),
        (
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
            ("/explain", "/explain?name=web.prod.svc.cluster.local", *DATA_PATHS),
        ),
        ({"Host": "evil.example"}, (*HTML_PATHS, *DATA_PATHS)),
        ({"Host": "evil.example:8053"}, ("/",)),
        ({"Host": "127.0.0.1.evil.example"}, ("/",)),
        ({"Host": ""}, ("/",)),
    ],
    ids=str,
)
async def test_other_sites_get_nothing(page: Dashboard, headers: Mapping[str, str], paths: tuple[str, ...]) -> None:
    for path in paths:
        response = await page.get(path, **headers)
        assert response.status == 403, path
        assert ("error" in response.text) is (".json" in path)
        assert "prod" not in response.text.lower()
    assert page.live.looks == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8053"},
        {"Host": "[::1]:8053"},
        {"Host": "10.1.2.3"},
        {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://127.0.0.1:8053", "Host": "127.0.0.1:8053"},
        {"Origin": "https://localhost", "Host": "localhost"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},  # a link
    ],
    ids=str,
)
async def test_the_page_itself_and_links_to_it_work(page: Dashboard, headers: Mapping[str, str]) -> None:
    assert (await page.get("/", **headers)).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/service/%2e%2e/%2e%2e%2fetc%2fpasswd", 404),
        ("/service/..%2f..%2fetc/passwd", 404),
        ("/service/prod", 404),
        ("/service/prod/", 404),
        ("/service//web", 404),
        ("/service/prod/web/", 404),
        ("/service/prod/nonexistent", 404),
        ("/service/%00/%ff", 404),
        ("/style.css/", 404),
        ("/service.json", 404),
        ("/service.json?namespace=prod&name=../web", 404),
        ("/live.json?unknown=1", 200),
        ("/?q=" + "a" * 2047, 414),
        ("/explain?name=" + "a" * 2047, 414),
        ("/explain?name=" + "a" * 300, 400),
        ("/explain?name=a&type=NONSENSE", 400),
        ("/explain?name=a&name=b&unknown=c", 200),
    ],
)
async def test_paths_and_parameters(page: Dashboard, path: str, status: int) -> None:
    response = await page.get(path)
    assert response.status == status
    assert "root:" not in response.text


PATHS = ("/", "/explain", "/service/", "/service.json", "/live.json", "/corefile", "/events", "/login")
PIECES = st.sampled_from([
    b"?", b"name=", b"&", b"namespace=", b"type=", b"from=", b"refresh=", b"%ff", b"%00", b"%2f", b"..", b"/", b"prod",
    b"web", b"web.prod.svc.cluster.local", b"A", b"%e2%80%ae", b"%3Cscript%3E", b"\\000", b"+", b"%", b"=", b"#",
])  # fmt: skip
HEADERS = st.sampled_from([
    b"Host: localhost", b"Host: \xff", b"Host: [", b"Host: [::1", b"Host: ]:1", b"Host: 1:2:3", b"Origin: \xff",
    b"Cookie: clusterdns-dashboard=\xff", b"Cookie: \xff=;;", b"Authorization: Bearer \xff\xfe", b"Authorization: x",
    b"Sec-Fetch-Site: \xff", b"Content-Length: 0", b"Content-Encoding: gzip",
])  # fmt: skip


async def test_no_request_fails_within_the_server(
    page: Dashboard, guarded: Dashboard, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()

    async def answer(served: Dashboard, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request)
        first = await reader.readline()
        writer.transport.abort()
        return first

    @settings(max_examples=150)
    @given(
        st.sampled_from([page, guarded]),
        st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT"]),
        st.sampled_from(PATHS),
        st.lists(PIECES, max_size=8),
        st.lists(HEADERS, max_size=3),
    )
    def ask(served: Dashboard, method: bytes, path: str, pieces: list[bytes], headers: list[bytes]) -> None:
        lines = [method + b" " + path.encode() + b"".join(pieces) + b" HTTP/1.1", *headers, b"Connection: close"]
        sent = asyncio.run_coroutine_threadsafe(answer(served, b"\r\n".join(lines) + b"\r\n\r\n"), loop)
        status = int(sent.result(60).split()[1])
        assert 200 <= status < 500 or status == 503

    await asyncio.to_thread(ask)
    assert "Traceback" not in caplog.text
    assert "secret" not in caplog.text


async def test_explain_shows_verdict_steps_object_and_answer(page: Dashboard) -> None:
    found = await page.get("/explain?" + urlencode({"name": "web", "type": "A", "from": "prod"}))
    assert found.status == 200
    parts = ("resolves:", "Search list</h2>", "Steps</h2>", "Service prod/web</h2>", "10.96.0.20", "Answer</h2>")
    order = [found.text.index(part) for part in parts]
    assert order == sorted(order)
    missing = await page.get("/explain?name=web.prodd.svc.cluster.local")
    assert "did you mean &quot;prod&quot;?" in missing.text


async def test_explain_says_when_too_many_are_under_way(page: Dashboard) -> None:
    responses = await asyncio.gather(*(page.get(f"/explain?name=a{one}.example&from=prod") for one in range(12)))
    assert {one.status for one in responses} == {200, 503}
    assert all(one.headers["Retry-After"] == "1" for one in responses if one.status == 503)


async def test_the_data_is_that_of_the_page(page: Dashboard) -> None:
    assert json.loads((await page.get("/live.json")).text) == document()
    assert json.loads((await page.get("/service.json?namespace=prod&name=web")).text) == service({}, name="web")
    text = (await page.get("/")).text
    for shown in ("1,835", "98.1 %", "2.1 ms", "prod/web-7d4b9c-x2x9q", "did you mean &quot;prod&quot;?", "0.4 ms"):
        assert shown in text.replace("<wbr/>", "").replace("<wbr>", ""), shown


async def test_the_first_look_has_no_rates_yet(page: Dashboard) -> None:
    empty = {"questions": 0.0, "answers": {}, "unanswered": {}, "hit_ratio": None, "cache_hit_ratio": None,
             "p50_seconds": None, "p99_seconds": None}  # fmt: skip
    page.live.shown = document(
        observed_seconds=0.0, rates=empty, history={"questions": [], "p99_seconds": []}, looked_at=1.0, names=[],
        clients=[], nxdomain=[], servfail=[], changes=[], sections={}, not_ready={"kubernetes": "no list yet"},
        warnings={"loop": "a loop"},
    )  # fmt: skip
    text = (await page.get("/")).text
    for shown in (
        "No questions in the last seconds.",
        "no list yet",
        "a loop",
        "Nothing is forwarded.",
        "No change yet.",
    ):
        assert shown in text


@pytest.mark.parametrize("path", ["/", "/live.json"])
async def test_a_configuration_that_has_ended_is_not_shown(page: Dashboard, path: str) -> None:
    page.live.shown = {}
    response = await page.get(path)
    assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_the_page_reloads_itself_without_javascript_unless_that_is_off(page: Dashboard) -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"/></noscript>' in (await page.get("/")).text
    still = (await page.get("/?refresh=off")).text
    assert "http-equiv" not in still
    assert "<script" not in still


@pytest.mark.parametrize("path", [*HTML_PATHS, *DATA_PATHS])
async def test_nothing_is_shown_without_the_token(guarded: Dashboard, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}, {"Cookie": "x=secret"}):
        response = await guarded.get(path, **headers)
        assert response.status == 401
        assert "prod" not in response.text
    assert guarded.live.looks == 0


@pytest.mark.parametrize("path", OPEN_PATHS)
async def test_style_and_script_are_for_the_form_too(guarded: Dashboard, path: str) -> None:
    assert (await guarded.get(path)).status in (200, 204)


async def test_programs_show_the_token_in_a_header(guarded: Dashboard) -> None:
    assert (await guarded.get("/live.json", Authorization="Bearer secret", Host="dns.example")).status == 200
    assert (await guarded.get("/", Authorization="bearer  secret")).status == 200


async def test_browsers_post_the_token_and_get_a_cookie(guarded: Dashboard) -> None:
    form = (await guarded.get("/")).text
    assert '<form method="post" action="/login"' in form
    wrong = await guarded.get("/login", "POST", "token=wrong")
    assert (wrong.status, "Set-Cookie" in wrong.headers) == (401, False)
    right = await guarded.get("/login", "POST", "token=+secret+")
    assert (right.status, right.headers["Location"]) == (303, "/")
    cookie, *attributes = right.headers["Set-Cookie"].split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert "secret" not in cookie
    assert (await guarded.get("/", Cookie=cookie)).status == 200
    assert (await guarded.get("/login", Cookie=cookie)).status == 303
    assert (await guarded.get("/", Cookie=cookie[:-1] + "x")).status == 401


async def test_a_form_of_another_site_logs_nobody_in(guarded: Dashboard) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        assert (await guarded.get("/login", "POST", "token=secret", **headers)).status == 403
    browser = {"Origin": "null", "Sec_Fetch_Site": "same-origin"}
    assert (await guarded.get("/login", "POST", "token=secret", **browser)).status == 303


async def test_a_long_form_is_refused(guarded: Dashboard) -> None:
    assert (await guarded.get("/login", "POST", "token=" + "x" * 10_000)).status == 413
    assert (await guarded.get("/login", "POST", "&".join("a=b" for _ in range(9)))).status == 401


async def test_wrong_tokens_are_limited_and_cookies_still_work(
    guarded: Dashboard, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = (await guarded.get("/login", "POST", "token=secret")).headers["Set-Cookie"].partition(";")[0]
    for _ in range(login.MAX_FAILURES):
        assert (await guarded.get("/", Authorization="Bearer wrong")).status == 401
    limited = await guarded.get("/", Authorization="Bearer secret")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "60")
    assert (await guarded.get("/login", "POST", "token=secret")).status == 429
    assert (await guarded.get("/", Cookie=cookie)).status == 200
    assert caplog.messages == [
        "10 wrong tokens from 127.0.0.1 within 60 s; its requests with a token are refused for a minute"
    ]


@pytest.mark.parametrize(
    ("path", "status"), [("/explain?name=web.prod.svc.cluster.local", 403), ("/service/prod/web", 403), ("/", 200)]
)
async def test_private_names_are_not_explained(tmp_path: Path, path: str, status: int) -> None:
    for option in ("private", "private prod.svc.cluster.local", "private CLUSTER.local"):
        async with dashboard(tmp_path, f"{{\n {option}\n }}") as page:
            page.live.services["prod", "web"] = service({}, name="web")
            response = await page.get(path)
            assert response.status == status
            shown = response.text.rpartition("</form>")[2]
            assert not any(word in shown for word in ("db.prod.", "prod/", "10.96.0.20"))


async def test_a_search_list_does_not_lead_to_a_private_name(tmp_path: Path) -> None:
    async with dashboard(tmp_path, "{\n private prod.svc.cluster.local\n }") as page:
        assert (await page.get("/explain?name=web&from=prod")).status == 403
        other = await page.get("/explain?name=web.other.svc.cluster.local")
        assert other.status == 200
        assert "prod" not in other.text.partition("</form>")[2].replace("product", "")


async def test_private_hides_the_names_in_the_corefile(tmp_path: Path) -> None:
    for option, shown, text_is_shown in (("private", False, False), ("private corp.example", False, True)):
        async with dashboard(tmp_path, f"{{\n {option}\n }}") as page:
            page.live.files = {"Corefile": "git.corp.example {\n hosts {\n 10.0.0.1 git.corp.example\n }\n}\n"}
            text = (await page.get("/corefile")).text
            assert ("git.corp" in text, "hosts {" in text) == (shown, text_is_shown)
