"""TLS contexts from PEM files, for servers and for clients.

Each file is opened first, because OpenSSL's errors do not name the file and it blocks on a named pipe. Which directive
named a file, and what its user reads, is the caller's business:

    TlsError
    ├── UnreadableFileError   one of the files cannot be read
    ├── KeyPairError          certificate and key do not make a pair
    └── AuthorityError        the file of authorities holds no certificate
"""

import ssl
from collections.abc import Sequence

from clusterdns.host.files import open_file


class TlsError(Exception):
    """A TLS context cannot be made; the text is the reason, in lower case and without a path."""


class UnreadableFileError(TlsError):
    """A file cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


class KeyPairError(TlsError):
    """A certificate and its key cannot be used."""


class AuthorityError(TlsError):
    """A file of certificate authorities cannot be used."""


def server_context(
    cert: str,
    key: str,
    *,
    ca: str = "",
    verify: ssl.VerifyMode = ssl.CERT_NONE,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLContext:
    """Make the context of a server that shows `cert` and asks clients for certificates as `verify` says.

    Clients' certificates must be signed by an authority in `ca`, or by one that the host trusts where `ca` is empty.
    Raises TlsError.
    """
    _check_readable(cert, key, ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = minimum, maximum
    context.options |= ssl.OP_NO_RENEGOTIATION  # a handshake costs the server more than the client; Go refuses it, too
    _load_pair(context, cert, key)
    if ca:
        _load_authorities(context, ca)
    elif verify is not ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = verify
    _verify_as_go(context)
    return context


def client_context(
    cert: str = "", key: str = "", *, ca: str = "", verifies: bool = True, protocols: Sequence[str] = ()
) -> ssl.SSLContext:
    """Make the context of a client that verifies the server: TLS 1.2 or later, names by subjectAltName alone.

    The server's certificate must be signed by an authority in `ca`, or by one that the host trusts where `ca` is empty.
    The client shows `cert` where it is given, and offers the application protocols (ALPN). Raises TlsError.
    """
    _check_readable(cert, key, ca)
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise AuthorityError(_reason(error)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    _verify_as_go(context)
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    if cert:
        _load_pair(context, cert, key)
    return context


def _verify_as_go(context: ssl.SSLContext) -> None:
    """Accept the chains that Go's programs accept, whatever the defaults of this Python are.

    Python 3.13 refuses authorities without keyUsage or without key identifiers, which private ones often lack; Python
    3.12 and older refuse a trusted authority that another one has signed.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _load_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise KeyPairError(_reason(error)) from error


def _load_authorities(context: ssl.SSLContext, ca: str) -> None:
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise AuthorityError(_reason(error)) from error


def _check_readable(*paths: str) -> None:
    for path in filter(None, paths):
        try:
            with open_file(path) as file:
                file.read(1)
        except OSError as error:
            raise UnreadableFileError(path, _reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (error.strerror or str(error)).lower()
