"""TLS of an admin listener: its files and policy, and a context that reloads the files when they change.

Certificates are renewed while the process runs, so each handshake checks whether the files have changed. `prometheus`
reads its web configuration into `AdminTls`.
"""

import logging
import ssl

import msgspec

from clusterdns.host.followed_file import FollowedFile
from clusterdns.host.tls import TlsError, server_context

log = logging.getLogger("clusterdns")


class AdminTls(msgspec.Struct, frozen=True):
    """The certificate of a listener and the clients that it accepts; files by path, `ca` may be empty."""

    cert: str
    key: str
    ca: str = ""
    verify: ssl.VerifyMode = ssl.CERT_NONE
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def context(self) -> ssl.SSLContext:
        """Make a context from the files as they are now. Raises TlsError, whose text names the certificate and key."""
        try:
            return server_context(
                self.cert, self.key, ca=self.ca, verify=self.verify, minimum=self.minimum, maximum=self.maximum
            )
        except TlsError as error:
            raise TlsError(f"{self.cert}, {self.key}: cannot be used: {error}") from error


def renewing_context(tls: AdminTls) -> ssl.SSLContext:
    """Make a context whose handshakes use the certificate that is in the files at that moment. Raises TlsError.

    While the files cannot be used, the last certificate stays in use; each reason is logged once.
    """
    files = FollowedFile(tls.cert), FollowedFile(tls.key)
    problem = ""
    _have_changed(files)
    shown = outer = tls.context()

    def begin(handshake: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal shown, problem
        if _have_changed(files):
            try:
                shown = tls.context()
                problem = ""
            except TlsError as error:
                if str(error) != problem:
                    problem = str(error)
                    log.warning("%s; the certificate stays as it was", problem)
        handshake.context = shown

    outer.sni_callback = begin
    return outer


def _have_changed(files: tuple[FollowedFile, ...]) -> bool:
    """Return whether one of the files may have changed or cannot be found; each is polled."""
    changed = False
    for file in files:
        try:
            changed |= file.has_changed()
        except OSError:
            changed = True  # the context reports why
    return changed
