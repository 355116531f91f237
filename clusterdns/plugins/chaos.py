"""The `chaos` directive: which server this is, for questions of class CH and type TXT (RFC 4892).

A block that holds it has its listener take queries of every class (see server.assembly).
"""

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import clusterdns
from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.record import MAX_STRING_BYTES

VERSION_NAMES = frozenset(map(from_text, ("version.bind.", "version.server.")))
HOST_NAMES = frozenset(map(from_text, ("hostname.bind.", "id.server.")))
AUTHORS_NAME = from_text("authors.bind.")


@dataclass(frozen=True)
class Settings:
    """What is told."""

    version: str = f"clusterdns-{clusterdns.__version__}"
    authors: tuple[str, ...] = ("the clusterdns authors",)


def telling(settings: Settings, host_name: str) -> dict[bytes, tuple[str, ...]]:
    """The texts of each name."""
    texts = dict.fromkeys(VERSION_NAMES, (settings.version,))
    texts |= dict.fromkeys(HOST_NAMES, (_cut(host_name),))
    return {**texts, AUTHORS_NAME: settings.authors}


def _cut(text: str) -> str:
    """What fits into one string of a TXT record."""
    return text.encode()[:MAX_STRING_BYTES].decode(errors="ignore")


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`chaos [VERSION] [AUTHORS…]`; of several the first counts. Raises CorefileError."""
    directives[0].no_block()
    version, *authors = [_cut(word.text) for word in directives[0].args] or [Settings.version]
    return Settings(version, tuple(dict.fromkeys(authors)) or Settings.authors)


def build(settings: Settings, context: BlockContext) -> Part:
    """The handler."""
    texts = telling(settings, socket.gethostname())

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            told = texts.get(query.name)
            if told is None or query.qclass != codes.CH or query.qtype != codes.TXT:
                return await following(query)
            in_turn = random.sample(told, len(told))  # no author is named first more often than others
            answer = [record.txt(query.name, 0, text, codes.CH) for text in in_turn]
            return Reply(codes.NOERROR, answer, is_authoritative=False, reusable=len(told) == 1)

        return handle

    return Part("chaos", handling=Handling(wrap=wrap, takes_any_class=True))


DOC = Doc(
    usage=("chaos [VERSION] [AUTHORS…]",),
    about="Answers TXT of class CH: `version.bind`, `version.server` (VERSION, or clusterdns and its own), "
    "`authors.bind`, `hostname.bind` and `id.server` (the host's name). The listener then takes queries of every "
    "class.",
    example='chaos "dns of rack 7" ops@example.org\nwhoami',
    better="class CH reaches only `chaos`, `forward` and what watches, so that no plugin answers it with data of class "
    "IN.",
)
PLUGIN = Plugin("chaos", parse, build, doc=DOC)
