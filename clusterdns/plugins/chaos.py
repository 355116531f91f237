"""The `chaos` directive: the identity of this server, as TXT records of class CH (RFC 4892).

The listeners of a block with `chaos` accept queries of every class (`Handling.takes_any_class`).
"""

import random
import socket
from collections.abc import Sequence

import msgspec

import clusterdns
from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.record import MAX_STRING_BYTES

VERSION_NAMES = frozenset(map(from_text, ("version.bind.", "version.server.")))
HOST_NAMES = frozenset(map(from_text, ("hostname.bind.", "id.server.")))
AUTHORS_NAME = from_text("authors.bind.")
DEFAULT_VERSION = f"clusterdns-{clusterdns.__version__}"
DEFAULT_AUTHORS = ("the clusterdns authors",)


class ChaosSettings(msgspec.Struct, frozen=True):
    """The texts that the server names as its version and its authors."""

    version: str = DEFAULT_VERSION
    authors: tuple[str, ...] = DEFAULT_AUTHORS


def texts_by_name(settings: ChaosSettings, host_name: str) -> dict[bytes, tuple[str, ...]]:
    """Return the texts of each name that is answered."""
    texts = dict.fromkeys(VERSION_NAMES, (settings.version,))
    texts |= dict.fromkeys(HOST_NAMES, (_cut(host_name),))
    return {**texts, AUTHORS_NAME: settings.authors}


def _cut(text: str) -> str:
    """Return as much as fits into one string of a TXT record."""
    return text.encode()[:MAX_STRING_BYTES].decode(errors="ignore")


def parse(directives: Sequence[Directive], context: BlockContext) -> ChaosSettings:
    """Read `chaos [VERSION] [AUTHORS…]`; of several the first counts. Raises CorefileErrors."""
    directives[0].no_block()
    version, *authors = [_cut(word.text) for word in directives[0].args] or [DEFAULT_VERSION]
    return ChaosSettings(version, tuple(dict.fromkeys(authors)) or DEFAULT_AUTHORS)


def build(settings: ChaosSettings, context: BlockContext) -> Part:
    """Make the part."""
    by_name = texts_by_name(settings, socket.gethostname())

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            texts = by_name.get(query.name)
            if texts is None or query.qclass != codes.CH or query.qtype != codes.TXT:
                return await following(query)
            shuffled = random.sample(texts, len(texts))  # no author comes first more often than others
            answer = [record.txt(query.name, 0, text, codes.CH) for text in shuffled]
            return Reply(codes.NOERROR, answer, is_authoritative=False, reusable=len(texts) == 1)

        return handle

    return Part("chaos", handling=Handling(wrap=wrap, takes_any_class=True))


DOC = Doc(
    usage=("chaos [VERSION] [AUTHORS…]",),
    about="Answers TXT queries of class CH: `version.bind` and `version.server` with VERSION, by default the version "
    "of clusterdns, `authors.bind` with AUTHORS, `hostname.bind` and `id.server` with the host's name. The listener "
    "then accepts queries of every class.",
    example='chaos "dns of rack 7" ops@example.org\nwhoami',
    better="queries of class CH reach only `chaos`, `forward` and the plugins that observe, so none is answered with "
    "data of class IN.",
)
PLUGIN = Plugin("chaos", parse, build, doc=DOC)
