"""How an admin listener speaks TLS: which files, who may come, and a context that follows the files.

Certificates are renewed while the process runs, so each handshake looks whether the files have changed. What reads a
configuration into `Tls` belongs to the plugin that has one.
"""

import logging
import os
import ssl
from dataclasses import dataclass

log = logging.getLogger("clusterdns")

Stamps = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Tls:
    """What a listener's certificate is and which clients it wants. Files by path; `ca` may be empty."""

    cert: str
    key: str
    ca: str = ""
    verify: ssl.VerifyMode = ssl.CERT_NONE
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def context(self) -> ssl.SSLContext:
        """What the files hold now. Raises OSError, of which ssl.SSLError is one."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version, made.maximum_version = self.minimum, self.maximum
        made.load_cert_chain(self.cert, self.key)
        if self.ca:
            made.load_verify_locations(self.ca)
        made.verify_mode = self.verify
        return made

    def stamps(self) -> Stamps:
        """What changes when a file does. Raises OSError."""
        found = [os.stat(path) for path in (self.cert, self.key)]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


def following(tls: Tls) -> ssl.SSLContext:
    """A context whose handshakes show the certificate that the files hold at that moment.

    Files that cannot be used leave the last certificate in force, with one line in the log. Raises OSError.
    """
    seen = tls.stamps()
    shown = outer = tls.context()

    def begin(handshake: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal seen, shown
        try:
            stamps = tls.stamps()
            if stamps != seen:
                seen = stamps
                shown = tls.context()
        except OSError as error:
            log.warning("%s, %s: cannot be used, the certificate stays as it was: %s", tls.cert, tls.key, error)
        handshake.context = shown

    outer.sni_callback = begin
    return outer
