"""Asks a server for its picture again and again, in a thread, so that keys work while the server is silent."""

import threading
import time
from typing import NamedTuple

from clusterdns.cli.admin_page import NoPageError
from clusterdns.cli.top.document import TopPicture, fetch


class FollowedPicture(NamedTuple):
    """The last picture and when it came (monotonic seconds), and why there is none since; empty while there is."""

    picture: TopPicture
    received_at: float
    failure: str = ""


class Follower:
    """Keeps the last picture; `latest` is replaced as a whole."""

    def __init__(self, url: str, token: str, interval_seconds: float, first: TopPicture) -> None:
        self.latest = FollowedPicture(first, time.monotonic())
        self._url = url
        self._token = token
        self._interval_seconds = interval_seconds
        self._ended = threading.Event()
        # a daemon, because a silent server may hold it when the user quits
        self._thread = threading.Thread(target=self._run, name="top", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a request that is under way is abandoned."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            try:
                picture = fetch(self._url, self._token).picture
            except NoPageError as error:
                self.latest = self.latest._replace(failure=str(error))
            else:
                self.latest = FollowedPicture(picture, time.monotonic())
