"""Failures of requests to the API server, as exceptions whose text is the same at each retry.

`client` and `session` raise them, `follow` decides what to do about them, and `status` logs a text once because it does
not change.
"""

from http import HTTPStatus

import msgspec

MAX_REASON_CHARS = 500
NO_CLUSTER = "not in a pod of a cluster"  # and neither kubeconfig nor endpoint is set


class ApiError(Exception):
    """A request that failed. `status` is the HTTP status where the server gave one, else 0."""

    cause = "connection"  # as the metric has it, where there is no status

    def __init__(self, reason: str, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason if len(reason) <= MAX_REASON_CHARS else reason[:MAX_REASON_CHARS] + "…")
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class CredentialsError(Exception):
    """Credentials that cannot be loaded; the text says why and what to do."""


class RequestFailed(ApiError):
    """A request without a whole response.

    `is_of_tls` if TLS failed, `is_silent` if no byte came for too long, `is_answered` if the response had begun.
    """

    def __init__(
        self, reason: str, *, is_of_tls: bool = False, is_silent: bool = False, is_answered: bool = False
    ) -> None:
        super().__init__(reason)
        self.is_of_tls = is_of_tls
        self.is_silent = is_silent
        self.is_answered = is_answered


class Expired(ApiError):
    """410 Gone: the server no longer has the resourceVersion to resume from."""


class Interrupted(ApiError):
    """A watch that the server accepted and that then broke off."""

    cause = "interrupted"


class Garbled(ApiError):
    """A watch with a line that is not an event."""

    cause = "garbled"


class TooLarge(ApiError):
    """A page of a list with more bytes than are kept."""

    cause = "too large"


class Backwards(ApiError):
    """A list or an event that is older than what was seen before."""

    cause = "backwards"


class Unstreamed(ApiError):
    """A watch with initial events from a server that does not stream lists."""


class Silent(Interrupted):
    """A watch without a byte for so long that the connection must be dead."""


class Failure(msgspec.Struct, gc=False):
    """The API's `Status` object, as a body or in an ERROR event."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None


failure_decoder = msgspec.json.Decoder(Failure)


def refusal_event(raw: msgspec.Raw) -> ApiError:
    """Make the error of an ERROR event."""
    try:
        failure = failure_decoder.decode(raw)
    except msgspec.MsgspecError:
        return Interrupted("the watch ended with an ERROR event that cannot be decoded")
    code = failure.code or 0
    if code == HTTPStatus.GONE or failure.reason in ("Expired", "Gone"):
        return Expired("410 Gone: the resourceVersion is too old", code)
    return Interrupted(f"{code} {failure.message or failure.reason or 'error without a reason'}", code)


def is_html(body: bytes | bytearray) -> bool:
    """Return whether a body is HTML."""
    return body.lstrip()[:1] == b"<"
