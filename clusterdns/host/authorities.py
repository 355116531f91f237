"""The system's certificate authorities, read at the first handshake that needs them and not at the start.

aiohttp makes two TLS contexts while it is imported, into each of which OpenSSL reads every authority of the system: a
tenth of a second of CPU and 3 MiB. Most servers never use either context, because a Kubernetes API server and an
upstream have contexts of their own (`tls`).
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _DeferredContext(ssl.SSLContext):
    """A TLS context that reads the system's authorities when its first connection begins."""

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection of an event loop."""
        self._read_authorities()
        return self.wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Begin a connection of a blocking socket."""
        self._read_authorities()
        return self.wrap_socket(*arguments, **options)

    def _read_authorities(self) -> None:
        self.__class__ = ssl.SSLContext  # type: ignore[assignment]  # from now on a context like any other
        self.set_default_verify_paths()


@contextmanager
def deferred_authorities() -> Iterator[None]:
    """Have TLS contexts that are made meanwhile read the system's authorities when they are first used."""

    def defer(context: ssl.SSLContext) -> None:
        context.__class__ = _DeferredContext

    ssl.SSLContext.set_default_verify_paths = defer  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths  # the method of OpenSSL's own class again
