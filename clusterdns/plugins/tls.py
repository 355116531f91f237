"""The `tls` directive: the certificate with which the block's `tls://` zones are served (DNS over TLS, RFC 7858).

The files are read when the configuration is loaded, so a reload takes a renewed certificate over; what is wrong with
them is an error of the Corefile. Plain zones of the same block are not concerned.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.tls import AuthorityError, KeyPairError, UnreadableFileError, server_context

_CLIENT_AUTH = {
    "nocert": ssl.CERT_NONE,
    "request": ssl.CERT_NONE,  # CoreDNS then asks and looks at nothing: whoever may come with it may come here
    "verify_if_given": ssl.CERT_OPTIONAL,
    "require_and_verify": ssl.CERT_REQUIRED,
}
_UNVERIFIED = "require"


@dataclass(frozen=True)
class Settings:
    """What the block's lines say; the files are those of the first line."""

    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    keylog: Token | None = None


def _client_auth(settings: Settings, line: Line) -> Settings:
    word = line.one_argument("|".join(_CLIENT_AUTH))
    if word.text == _UNVERIFIED:
        told = f"client_auth {_UNVERIFIED} asks for a certificate that nobody looks at"
        raise word.error(told, "write require_and_verify, with the CA as third file")
    return replace(settings, client_auth=_CLIENT_AUTH[values.choice(word, tuple(_CLIENT_AUTH))])


def _keylog(settings: Settings, line: Line) -> Settings:
    return replace(settings, keylog=line.one_argument("FILE"))


OPTIONS = (
    Option("client_auth " + "|".join(_CLIENT_AUTH), "nocert", "Whether clients need a certificate that the CA has "
           "signed. `request` is as `nocert`. CoreDNS's `require` is refused: it verifies nothing.", _client_auth),
    Option("keylog FILE", "", "Where the keys of connections are written, to read captured packets. Only for finding "
           "faults: who has the file can read everything.", _keylog),
)  # fmt: skip


def parse(directives: Sequence[Directive], context: BlockContext) -> ssl.SSLContext:
    """`tls CERT KEY [CA] { client_auth MODE; keylog FILE }`; of several the last counts. Raises CorefileError."""
    directive = directives[-1]
    words = directive.arguments_between(2, 3, "CERT KEY [CA]")
    settings = read_block(Settings(), [directive], OPTIONS)
    cert, key, *ca = (context.path(word.text) for word in words)
    try:
        made = server_context(cert, key, ca=ca[0] if ca else "", verify=settings.client_auth)
    except UnreadableFileError as error:
        word = words[(cert, key, *ca).index(error.path)]
        raise word.error(f"{word} cannot be read: {error}", "name a readable PEM file") from error
    except KeyPairError as error:
        hint = "both must be PEM, the key without a passphrase and the one of the certificate"
        raise words[0].error(f"{words[0]} and {words[1]} cannot be used: {error}", hint) from error
    except AuthorityError as error:
        raise words[2].error(f"{words[2]} holds no usable CA certificate: {error}", "use PEM") from error
    if settings.keylog is not None:
        try:
            made.keylog_filename = context.path(settings.keylog.text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise settings.keylog.error(f"{settings.keylog} cannot be written: {reason}") from error
    return made


def configure_block(made: ssl.SSLContext, context: BlockContext) -> BlockContext:
    """The block's tls:// zones are served with this."""
    return replace(context, listener=replace(context.listener, tls=made))


def build(made: ssl.SSLContext, context: BlockContext) -> Part:
    """Nothing in the chain."""
    return Part("tls")


DOC = Doc(
    usage=("tls CERT KEY [CA]",),
    about="The certificate and key (PEM) for zones with the scheme `tls://`, port 853 unless another is named; TLS 1.2 "
    "or later. CA is what clients' certificates must be signed by, where they are asked for. The files are read again "
    "at each reload.",
    options=OPTIONS,
    better="A `tls://` zone without a certificate is an error; CoreDNS serves it in clear text. A renewed certificate "
    "is taken over by SIGHUP without a connection being refused.",
)
PLUGIN = Plugin("tls", parse, build, doc=DOC, configure_block=configure_block)
