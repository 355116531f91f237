"""The loop of the live picture: it draws when the picture, the user's choice, the size or a note has changed."""

import errno
import signal
import sys
import time

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from clusterdns.cli.top.figures import age
from clusterdns.cli.top.follower import FollowedPicture, Follower
from clusterdns.cli.top.screen import TopScreen
from clusterdns.cli.top.terminal import KeyTerminal, terminal_size
from clusterdns.telemetry.printable import one_line

LATE_SECONDS = 3.0  # without a picture, beyond the interval, before that is said
MAX_NOTE = 400  # characters
_OF_SIGNAL = 128
_BY_THE_USER = (0, signal.SIGINT)


def follow(follower: Follower, server: str, interval_seconds: float) -> int:
    """Show the live picture until the user quits or a signal comes; returns the exit code."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # in a locale without Unicode
    screen = TopScreen(server, follower.latest.picture)
    follower.start()
    try:
        with KeyTerminal() as terminal:
            _show(terminal, screen, follower, interval_seconds + LATE_SECONDS)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return _OF_SIGNAL + signal.SIGHUP  # the terminal is gone
    finally:
        follower.stop()
    return 0 if terminal.ended_by in _BY_THE_USER else _OF_SIGNAL + terminal.ended_by


def _show(terminal: KeyTerminal, screen: TopScreen, follower: Follower, late_seconds: float) -> None:
    """Draw and read keys until the end is asked for."""
    console = Console(file=sys.stdout, force_terminal=True, force_interactive=True)
    live = Live(screen, console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    drawn: tuple[object, ...] = ()
    with live:
        while not terminal.ended_by:
            latest = follower.latest
            if not screen.is_paused:
                screen.picture = latest.picture
            screen.note = late_note(latest, time.monotonic(), late_seconds)
            console.size = ConsoleDimensions(*terminal_size())
            wanted = (id(screen.picture), screen.note, console.size)
            if wanted != drawn:
                live.refresh()
                drawn = wanted
            keys = terminal.keys()
            if any(map(screen.press, keys)):
                return
            if keys:
                drawn = ()
            if terminal.is_suspend_asked:
                _suspend(terminal, live)
                drawn = ()


def _suspend(terminal: KeyTerminal, live: Live) -> None:
    """Give the terminal back while the process is stopped."""
    live.stop()
    terminal.end()
    terminal.stop_process()
    terminal.begin()
    live.start()


def late_note(latest: FollowedPicture, now: float, late_seconds: float) -> str:
    """Say that the server does not answer, since when and why; empty where the picture is of now."""
    seconds = now - latest.received_at
    if not latest.failure and seconds < late_seconds:
        return ""
    why = f"; {latest.failure}" if latest.failure else ""
    return one_line(f"no picture for {age(round(seconds))}, the last one is shown; asking again{why}", MAX_NOTE)
