"""The live picture of `top` in a terminal: what is on the screen, keys, sizes, and how the terminal is left."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.live_server import PICTURE, LiveServer

from clusterdns.cli.top.document import TopPicture, TopRates
from clusterdns.cli.top.follower import FollowedPicture
from clusterdns.cli.top.session import late_note
from testing.peers import clusterdns
from testing.terminal import ProgramTerminal

ALTERNATE_SCREEN, NORMAL_SCREEN, SHOWN_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
INTERRUPT, SUSPEND = "\x03", "\x1a"


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with LiveServer() as found:
        yield found


@contextlib.contextmanager
def top(
    server: LiveServer, columns: int = 80, lines: int = 24, *flags: str, **environ: str
) -> Iterator[ProgramTerminal]:
    command = [str(clusterdns()), "top", "--server", server.address, "--interval", "0.5", *flags]
    with ProgramTerminal(command, columns, lines, environ) as terminal:
        yield terminal


def is_restored(terminal: ProgramTerminal) -> bool:
    """Return whether modes, cursor and screen are as before the program."""
    received = terminal.received
    return (
        terminal.modes() == terminal.modes_before
        and received.count(ALTERNATE_SCREEN) == received.count(NORMAL_SCREEN) > 0
        and received.rfind(NORMAL_SCREEN) > received.rfind(ALTERNATE_SCREEN)
        and received.rfind(SHOWN_CURSOR) > received.rfind(b"\x1b[?25l")
    )


VIEWS = {
    "1": [
        "1,234/s",
        "NOERROR 1,200/s",
        "EndpointSlice 0.4 s",
        "120 MiB of 170 MiB",
        "1 of 2 up",
        "did you mean",
        "prod/db: endpoint",
    ],
    "2": ["names asked most", "400/s A     db.prod.svc.cluster.local."],
    "3": ["612/s 10.1.2.3 pod prod/web-0", "shed", "10.1.2.9"],
    "4": ["SERVFAIL", "x.example.", "NXDOMAIN", "db.prodd.svc.cluster.local.", 'did you mean "prod"?'],
    "5": ["up   9.9.9.9:53", "down 192.0.2.9:53", "kubernetes 10.96.0.1:443", "Service             90   12 s"],
    "6": ["19:20:10 prod/db: endpoint 10.1.2.3 ready, answered 0.4 ms later"],
}  # fmt: skip


def test_each_view_fits_into_80_by_24_and_q_quits(server: LiveServer) -> None:
    with top(server) as terminal:
        for key, texts in VIEWS.items():
            terminal.type(key)
            for text in texts:
                terminal.wait_for(text)
            terminal.wait_for(lambda: terminal.rows[-1].startswith(" q quit"))
            assert terminal.rows[0].startswith("clusterdns 0.1.0 current  127.0.0.1:")
            assert terminal.rows[0].endswith("19:20:11")
            assert "1 Overview  2 Names  3 Clients  4 Errors  5 Upstreams  6 Changes" in terminal.rows[1]
            assert " of " not in terminal.rows[-1], "all of it is seen"
        terminal.type("q")
        assert terminal.end() == 0
        assert is_restored(terminal)


def test_the_picture_is_renewed(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("1,234/s")
        server.document = {**PICTURE, "rates": {**PICTURE["rates"], "questions": 77.0}, "state": "stale"}
        terminal.wait_for("77.0/s")
        assert "clusterdns 0.1.0 stale" in terminal.rows[0]


def test_keys_walk_through_the_views(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        for key, text in (
            ("\t", "names asked most"), ("\x1b[C", "clients that ask most"), ("\x1b[D", "names asked most"),
            ("\x1b[Z", "questions"), ("\x1bOD", "changes, the latest first"), ("?", "PgUp, PgDn"),
            ("?", "changes, the latest first"), ("xyz\x1b[15~\x1b[200~1", "questions"),
        ):  # fmt: skip
            terminal.type(key)
            terminal.wait_for(text)


def test_p_pauses_and_goes_on(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("1,234/s")
        terminal.type("p")
        terminal.wait_for("PAUSED")
        seen = server.requests
        server.document = {**PICTURE, "rates": {"questions": 77.0}}
        terminal.wait_for(lambda: server.requests > seen + 1)
        assert "1,234/s" in terminal.text
        terminal.type("p")
        terminal.wait_for("77.0/s")
        terminal.wait_for(lambda: "PAUSED" not in terminal.text)


@pytest.mark.parametrize(("columns", "lines"), [(40, 24), (20, 10), (200, 60), (80, 5), (3, 2)])
def test_every_size_is_drawn(server: LiveServer, columns: int, lines: int) -> None:
    with top(server, columns, lines) as terminal:
        terminal.wait_for(lambda: bool(terminal.text.strip()))
        for key in "123456?":
            terminal.type(key)
        terminal.type("q")
        assert terminal.end() == 0
        assert is_restored(terminal)


def test_forty_columns_show_the_same(server: LiveServer) -> None:
    with top(server, 40, 24) as terminal:
        terminal.wait_for("1 Overview (of 6)")
        for key, text in (
            ("1", "NOERROR 1,200/s"), ("2", "  db.prod.svc.cluster.local."), ("3", "612/s 10.1.2.3 pod prod/web-0"),
            ("4", "namespace"), ("5", "9.9.9.9:53"), ("6", "prod/db: endpoint 10.1.2.3"),
        ):  # fmt: skip
            terminal.type(key)
            terminal.wait_for(text)


def test_a_resize_draws_again_for_the_new_size(server: LiveServer) -> None:
    with top(server, COLUMNS="80", LINES="24") as terminal:
        terminal.wait_for("6 Changes")
        terminal.resize(40, 12)
        terminal.wait_for("1 Overview (of 6)")
        terminal.wait_for(lambda: terminal.rows[11].startswith("1-9 of"))
        terminal.resize(100, 30)
        terminal.wait_for(lambda: "6 Changes" in terminal.rows[1] and terminal.rows[29].startswith(" q quit"))


def test_a_long_view_is_scrolled(server: LiveServer) -> None:
    rows = [{"name": f"n{number}.example.", "type": "A", "per_second": 1.0} for number in range(60)]
    server.document = {**PICTURE, "names": rows}
    with top(server) as terminal:
        terminal.type("2")
        terminal.wait_for("1-21 of 61")
        for key, text, absent in (
            ("\x1b[B", "2-22 of 61", "names asked"), ("\x1b[6~", "22-42 of 61", "n5."), ("\x1b[F", "n59.", "n38."),
            ("\x1b[6~", "41-61 of 61", "n38."), ("\x1b[5~", "21-41 of 61", "n59."), ("\x1b[H", "names asked", "n59."),
        ):  # fmt: skip
            terminal.type(key)
            terminal.wait_for(text)
            assert absent not in terminal.text


def test_a_server_that_goes_is_reported_and_found_again(server: LiveServer) -> None:
    with top(server, 100) as terminal:
        terminal.wait_for("1,234/s")
        server.close()
        terminal.wait_for("the last one is shown; asking again")
        terminal.wait_for("connection refused")
        assert "1,234/s" in terminal.text
        with server.reopened() as again:
            again.document = {**PICTURE, "rates": {"questions": 77.0}}
            terminal.wait_for("77.0/s")
            terminal.wait_for(lambda: "asking again" not in terminal.text)
            again.body = b"{}"
            terminal.wait_for("Object missing required field")


SIGNALS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGQUIT: 131, signal.SIGINT: 0}


@pytest.mark.parametrize(("number", "code"), SIGNALS.items())
def test_a_signal_restores_the_terminal(server: LiveServer, number: int, code: int) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        assert terminal.modes() != terminal.modes_before
        terminal.send(number)
        assert terminal.end() == code
        assert is_restored(terminal)


def test_ctrl_c_quits(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        terminal.type(INTERRUPT)
        assert terminal.end() == 0
        assert is_restored(terminal)


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        terminal.type(SUSPEND)
        terminal.wait_until_stopped()
        assert terminal.modes() == terminal.modes_before
        terminal.wait_for(lambda: terminal.received.rfind(NORMAL_SCREEN) > terminal.received.rfind(ALTERNATE_SCREEN))
        terminal.send(signal.SIGCONT)
        terminal.type("2")
        terminal.wait_for("names asked most")
        terminal.type("q")
        assert terminal.end() == 0
        assert is_restored(terminal)


def test_a_terminal_that_is_closed_ends_it(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        terminal.hang_up()
        assert terminal.end() == 129


def test_an_error_restores_the_terminal(server: LiveServer) -> None:
    """The error is one that no picture makes: the views are made to fail."""
    code = (
        "import sys; from clusterdns.cli.top import screen; from clusterdns.cli import main\n"
        "def fail(*_): raise RuntimeError('drawn no more')\n"
        "sys.argv = ['clusterdns']\n"
        "screen.VIEWS = (screen.VIEWS[0], screen.VIEWS[1]._replace(draw=fail))\n"
        f"main(['top', '--server', {server.address!r}])"
    )
    python = clusterdns().parent / "python"
    with ProgramTerminal([python, "-c", code], 80, 24) as terminal:
        terminal.wait_for("questions")
        terminal.type("2")
        assert terminal.end() == 1
        assert is_restored(terminal)
        assert b"RuntimeError: drawn no more" in terminal.received[terminal.received.rfind(NORMAL_SCREEN) :]


def test_colours_are_left_out_where_they_are_not_wanted(server: LiveServer) -> None:
    with top(server) as terminal:
        terminal.wait_for("questions")
        assert {"green", "red"} <= terminal.colours()
    with top(server, NO_COLOR="1") as terminal:
        terminal.wait_for("questions")
        terminal.type("4")
        terminal.wait_for("SERVFAIL")
        assert terminal.colours() == set()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_has_one_picture_as_text(server: LiveServer, term: str) -> None:
    with top(server, TERM=term) as terminal:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.received
        assert b"db.prod.svc.cluster.local." in terminal.received
        assert max(map(len, terminal.received.decode().splitlines())) <= 80


HOSTILE = "<b>\x1b[2J\x1b]0;t\x07\u202e\u200b\r\n\x9b3J[bold]:boom:\u65e5\u672c"
SHOWN = "<b>\\x1b[2J\\x1b]0;t\\x07\\u202e\\u200b\\r\\n\\x9b3J[bold]:boom:\u65e5\u672c"


def test_texts_of_a_server_do_not_control_the_terminal(server: LiveServer) -> None:
    document: dict[str, Any] = {**PICTURE, "version": HOSTILE, "state": HOSTILE, "at": HOSTILE}
    document["clients"] = [{"address": HOSTILE, "name": HOSTILE, "per_second": 1}]
    document["names"] = [{"name": HOSTILE, "type": HOSTILE, "per_second": 1}] * 3
    document["changes"] = [{"at": HOSTILE, "object": HOSTILE, "text": HOSTILE}]
    document["sections"] = {"upstreams": [{"to": HOSTILE, HOSTILE: HOSTILE}]}
    server.document = document
    with top(server, 160) as terminal:
        terminal.wait_for("questions")
        for key in "123456":
            terminal.type(key)
            terminal.wait_for(lambda: SHOWN in terminal.text.replace("\n", "") or key in "14")  # noqa: B023
        terminal.type("q")
        assert terminal.end() == 0
        assert is_restored(terminal)
        for sequence in (
            b"\x1b]0",
            b"\x1b[2J",
            b"\x1b[3J",
            b"\x07",
            "\x9b".encode(),
            "\u202e".encode(),
            "\u200b".encode(),
        ):
            assert sequence not in terminal.received


def test_wide_characters_take_two_columns(server: LiveServer) -> None:
    server.document = {**PICTURE, "names": [{"name": "\u65e5" * 60, "type": "A", "per_second": 1.0}]}
    with top(server, 50) as terminal:
        terminal.type("2")
        terminal.wait_for("\u65e5")
        terminal.wait_for(lambda: terminal.rows[-1].startswith(" q quit"))
        assert terminal.text.count("\u65e5") == 60


def test_a_locale_without_unicode_has_plain_characters(server: LiveServer) -> None:
    server.document = {**PICTURE, "names": [{"name": "\u65e5\u672c", "type": "A", "per_second": 1.0}]}
    with top(server, PYTHONIOENCODING="ascii") as terminal:
        terminal.wait_for("questions  1,234/s     _:+#")
        terminal.type("2")
        terminal.wait_for("1.0/s A     ??")
        terminal.type("q")
        assert terminal.end() == 0
        assert is_restored(terminal)


LATE = {
    "the picture is of now": ("", 1.0, ""),
    "the server is silent": ("", 5.0, "no picture for 5.0 s, the last one is shown; asking again"),
    "for long": ("", 3_700.0, "no picture for 1 h 1 min, the last one is shown; asking again"),
    "a failure is said at once": ("refused", 1.0, "no picture for 1.0 s, the last one is shown; asking again; refused"),
    "a hostile reason": ("\x1b[2J", 1.0, "no picture for 1.0 s, the last one is shown; asking again; \\x1b[2J"),
}  # fmt: skip


@pytest.mark.parametrize(("failure", "seconds", "note"), LATE.values(), ids=LATE)
def test_the_age_of_the_picture_is_said_where_it_is_not_of_now(failure: str, seconds: float, note: str) -> None:
    latest = FollowedPicture(TopPicture("", 1.0, TopRates()), 100.0, failure)
    assert late_note(latest, 100.0 + seconds, late_seconds=4.0) == note
