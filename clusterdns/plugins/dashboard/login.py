"""The token of the page: who has shown it, and how often others may try.

Programs send it in `Authorization: Bearer`; a browser posts it once and then has a cookie, which is derived from the
token and from a key of this process, so that neither a new token nor a new process accepts an old cookie.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from time import monotonic
from urllib.parse import parse_qs

from cachetools import TTLCache

from clusterdns.admin.page import PageRequest
from clusterdns.host.admission import address_of, network_of
from clusterdns.host.followed_file import FollowedFile
from clusterdns.plugins.dashboard.access import Refusal

COOKIE = "clusterdns-dashboard"
MAX_FAILURES = 10  # of one address, or one IPv6 /64, in FAILURE_SECONDS
FAILURE_SECONDS = 60
MAX_ADDRESSES = 4096  # with failures; the one whose first failure is oldest makes room
MAX_FORM_BYTES = 8192
POLL_SECONDS = 1.0
_PROCESS_KEY = secrets.token_bytes(32)

log = logging.getLogger("clusterdns.plugin.dashboard")


class Login:
    """The token in a file, which is polled while there are requests."""

    def __init__(self, path: str, max_bytes: int, clock: Callable[[], float] = monotonic) -> None:
        self._file = FollowedFile(path)
        self._max_bytes = max_bytes
        self._clock = clock
        self._token = b""  # none yet: nothing is accepted
        self._polled: float | None = None
        self._polling = asyncio.Lock()  # the first request reads the token, and the next ones wait for it
        self._problem = ""
        self._failures: TTLCache[str, int] = TTLCache(MAX_ADDRESSES, FAILURE_SECONDS, timer=clock)

    async def is_known(self, request: PageRequest) -> bool:
        """Return whether the request has the token or a cookie of it. Raises Refusal after too many wrong tokens."""
        await self._poll()
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._is_right(request.client, shown.strip().encode(errors="surrogateescape"))
        return self._has_cookie(request.headers.get("Cookie", ""))

    async def log_in(self, request: PageRequest) -> str | None:
        """Return the header that sets the cookie, where the posted form has the token; else None.

        Raises Refusal after too many wrong tokens, and BodyError.
        """
        await self._poll()
        form = parse_qs((await request.read_body(MAX_FORM_BYTES)).decode(errors="replace"))
        shown = form.get("token", [""])[0].strip().encode()
        if not self._is_right(request.client, shown):
            return None
        return f"{COOKIE}={self._cookie()}; Path=/; HttpOnly; SameSite=Strict"

    def _is_right(self, client: str, shown: bytes) -> bool:
        """Compare a token in constant time, and count it where it is wrong. Raises Refusal."""
        key = address_of(client)
        key = network_of(key) if ":" in key else key
        failures = self._failures.get(key, 0)
        if failures >= MAX_FAILURES:
            text = f"{MAX_FAILURES} wrong tokens from this address; wait a minute, then try again."
            raise Refusal(429, text, Retry_After=str(FAILURE_SECONDS))
        if self._token and hmac.compare_digest(_digest(shown), _digest(self._token)):
            return True
        self._failures[key] = failures + 1
        if failures + 1 == MAX_FAILURES:
            log.warning(
                "%d wrong tokens from %s within %d s; its requests with a token are refused for a minute",
                MAX_FAILURES, key, FAILURE_SECONDS,
            )  # fmt: skip
        return False

    def _has_cookie(self, header: str) -> bool:
        try:
            morsel = SimpleCookie(header).get(COOKIE)
        except CookieError:
            return False
        return (
            morsel is not None
            and bool(self._token)
            and hmac.compare_digest(morsel.value.encode(errors="replace"), self._cookie().encode())
        )

    def _cookie(self) -> str:
        return hmac.digest(_PROCESS_KEY, self._token, "sha256").hex()

    async def _poll(self) -> None:
        """Read the file where it may have changed; a file that cannot be used leaves the token as it is."""
        async with self._polling:
            now = self._clock()
            if self._polled is None or now - self._polled >= POLL_SECONDS:
                self._polled = now
                await self._read()

    async def _read(self) -> None:
        try:
            content = await asyncio.to_thread(self._file.read, self._max_bytes, skip_recent=bool(self._token))
        except OSError as error:
            reason = error.strerror or str(error)
            self._note(reason[:1].lower() + reason[1:])
            return
        if content is not None:
            token = content.raw.strip()
            self._token = token or self._token
            self._note("" if token else "is empty")

    def _note(self, problem: str) -> None:
        """Log a problem of the file once."""
        if problem and problem != self._problem:
            log.warning("token file '%s': %s; the last token stays valid", self._file.path, problem)
        self._problem = problem


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
