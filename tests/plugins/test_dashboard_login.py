"""The token in its file: changes, faults, and the number of wrong tokens by address."""

import os
from pathlib import Path

import pytest

from clusterdns.admin.page import PageRequest
from clusterdns.plugins.dashboard import login
from clusterdns.plugins.dashboard.access import Refusal
from clusterdns.plugins.dashboard.directive import MAX_TOKEN_BYTES
from clusterdns.plugins.dashboard.login import Login


class Clock:
    """Time that the test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def showing(token: str, client: str = "10.0.0.1") -> PageRequest:
    return PageRequest("/", headers={"Authorization": f"Bearer {token}"}, client=client)


def write(path: Path, text: str | None) -> None:
    """Write a file as if it were old, so that it counts as complete; None removes it."""
    if text is None:
        path.unlink()
        return
    path.write_text(text)
    os.utime(path, (1, path.stat().st_ino))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "token"
    write(found, "first")
    return found


async def test_a_new_token_counts_and_the_old_one_does_not(path: Path, clock: Clock) -> None:
    made = Login(str(path), MAX_TOKEN_BYTES, clock)
    assert await made.is_known(showing("first"))
    cookie = PageRequest("/", headers={"Cookie": f"{login.COOKIE}={made._cookie()}"})
    assert await made.is_known(cookie)
    write(path, "\tsecond\n")
    clock.now += login.POLL_SECONDS
    assert await made.is_known(showing("second"))
    assert not await made.is_known(showing("first"))
    assert not await made.is_known(cookie)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("", "is empty"), (None, "no such file or directory"), ("x" * 2_000_000, "is larger than 1 MiB")],
)
async def test_a_file_that_cannot_be_used_leaves_the_token(
    path: Path, clock: Clock, fault: str | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = Login(str(path), MAX_TOKEN_BYTES, clock)
    assert await made.is_known(showing("first"))
    write(path, fault)
    for _ in range(3):
        clock.now += login.POLL_SECONDS
        assert await made.is_known(showing("first"))
    assert caplog.messages == [f"token file '{path}': {reason}; the last token stays valid"]
    write(path, "again")
    clock.now += login.POLL_SECONDS
    assert await made.is_known(showing("again"))


async def test_an_empty_token_is_never_right(tmp_path: Path, clock: Clock) -> None:
    made = Login(str(tmp_path / "missing"), MAX_TOKEN_BYTES, clock)
    assert not await made.is_known(showing(""))
    assert not await made.is_known(PageRequest("/", headers={"Cookie": f"{login.COOKIE}={made._cookie()}"}))


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fd00::1", "fd00::2", True),
        ("fd00::1", "fd00:0:0:1::1", False),
    ],
)
async def test_wrong_tokens_are_counted_by_address(
    path: Path, clock: Clock, first: str, second: str, is_same: bool
) -> None:
    made = Login(str(path), MAX_TOKEN_BYTES, clock)
    for _ in range(login.MAX_FAILURES):
        assert not await made.is_known(showing("wrong", first))
    if is_same:
        with pytest.raises(Refusal, match="10 wrong tokens"):
            await made.is_known(showing("first", second))
        clock.now += login.FAILURE_SECONDS
    assert await made.is_known(showing("first", second))


@pytest.mark.parametrize("token", ["\udcff\udcfe", "\0", "x" * 8000, "\u00e9"])
async def test_tokens_of_any_characters_are_wrong(path: Path, clock: Clock, token: str) -> None:
    assert not await Login(str(path), MAX_TOKEN_BYTES, clock).is_known(showing(token))


async def test_counting_takes_a_bounded_amount_of_memory(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "MAX_ADDRESSES", 8)
    made = Login(str(path), MAX_TOKEN_BYTES, clock)
    for number in range(100):
        await made.is_known(showing("wrong", f"10.0.1.{number}"))
    assert len(made._failures) == 8


@pytest.mark.parametrize(
    "header", ["", "=", ";;", "x=y", 'clusterdns-dashboard="', "clusterdns-dashboard=\u00e9", "a" * 9000]
)
async def test_cookies_that_are_none(path: Path, clock: Clock, header: str) -> None:
    assert not await Login(str(path), MAX_TOKEN_BYTES, clock).is_known(PageRequest("/", headers={"Cookie": header}))
