"""The `tls` directive: the certificate of the block's `tls://` zones (DNS over TLS, RFC 7858).

The files are read when the configuration is loaded, so a reload uses a renewed certificate; a file that cannot be used
is an error of the Corefile. Plain zones of the same block are not affected.
"""

import ssl
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.tls import AuthorityError, KeyPairError, UnreadableFileError, server_context

_CLIENT_AUTH = {
    "nocert": ssl.CERT_NONE,
    "request": ssl.CERT_NONE,  # CoreDNS requests a certificate and ignores it; clients without one are equal
    "verify_if_given": ssl.CERT_OPTIONAL,
    "require_and_verify": ssl.CERT_REQUIRED,
}
_UNVERIFIED = "require"


class TlsSettings(msgspec.Struct, frozen=True):
    """The lines of the block."""

    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    keylog: Token | None = None


def _client_auth(settings: TlsSettings, line: Line) -> TlsSettings:
    word = line.one_argument("|".join(_CLIENT_AUTH))
    if word.text == _UNVERIFIED:
        text = f"client_auth {_UNVERIFIED} accepts any certificate unverified"
        raise word.error(text, "write require_and_verify, with the CA as third file")
    return replace(settings, client_auth=_CLIENT_AUTH[values.choice(word, tuple(_CLIENT_AUTH))])


def _keylog(settings: TlsSettings, line: Line) -> TlsSettings:
    return replace(settings, keylog=line.one_argument("FILE"))


OPTIONS = (
    Option("client_auth " + "|".join(_CLIENT_AUTH), "nocert", "Whether clients need a certificate that the CA has "
           "signed. `request` is as `nocert`. CoreDNS's `require` is refused: it verifies nothing.", _client_auth),
    Option("keylog FILE", "", "The file to which the keys of connections are written, for decrypting captured packets. "
           "For debugging only: anyone with the file can read all traffic.", _keylog),
)  # fmt: skip


def parse(directives: Sequence[Directive], context: BlockContext) -> ssl.SSLContext:
    """Read `tls CERT KEY [CA] { client_auth MODE; keylog FILE }`, of several the last one. Raises CorefileError."""
    directive = directives[-1]
    words = directive.arguments_between(2, 3, "CERT KEY [CA]")
    settings = read_block(TlsSettings(), [directive], OPTIONS)
    cert, key, *ca = (context.path(word.text) for word in words)
    try:
        made = server_context(cert, key, ca=ca[0] if ca else "", verify=settings.client_auth)
    except UnreadableFileError as error:
        word = words[(cert, key, *ca).index(error.path)]
        raise word.error(f"{word} cannot be read: {error}", "name a readable PEM file") from error
    except KeyPairError as error:
        hint = "both must be PEM; the key must belong to the certificate and have no passphrase"
        raise words[0].error(f"{words[0]} and {words[1]} cannot be used: {error}", hint) from error
    except AuthorityError as error:
        raise words[2].error(f"{words[2]} contains no usable CA certificate: {error}", "use PEM") from error
    if settings.keylog is not None:
        try:
            made.keylog_filename = context.path(settings.keylog.text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise settings.keylog.error(f"{settings.keylog} cannot be written: {reason}") from error
    return made


def configure_block(made: ssl.SSLContext, context: BlockContext) -> BlockContext:
    """Serve the block's tls:// zones with this context."""
    return replace(context, listener=replace(context.listener, tls=made))


def build(made: ssl.SSLContext, context: BlockContext) -> Part:
    """Make a part without a handler."""
    return Part("tls")


DOC = Doc(
    usage=("tls CERT KEY [CA]",),
    about="The certificate and key (PEM) for zones with the scheme `tls://`, port 853 unless another is named; TLS 1.2 "
    "or later. CA must have signed the certificates of clients, where `client_auth` requires them. The files are read "
    "again at each reload.",
    options=OPTIONS,
    better="A `tls://` zone without a certificate is an error; CoreDNS serves it in clear text. A renewed certificate "
    "is used after SIGHUP without a refused connection.",
)
PLUGIN = Plugin("tls", parse, build, doc=DOC, configure_block=configure_block)
