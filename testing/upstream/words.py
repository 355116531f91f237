"""The words that may be labels of a name asked of the scripted upstream.

    www.example.org                  an address, TTL 300
    x.nxdomain.ttl-20.example.org    NXDOMAIN, SOA with TTL 20
    y.servfail-1.example.org         SERVFAIL the first time, an address from then on
    z.cname-3.nodata.example.org     three CNAMEs to a name without records of the type

Words match in any case and in any order. The number behind one of `RCODES` and `FAULTS` is how often it applies (`-2`:
to the first two queries for this name and type); behind the others it is what their comment says. `reply` composes the
reply that words ask for, `faults` spoils it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import dns.rcode

RCODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "formerr": dns.rcode.FORMERR,
    "notimp": dns.rcode.NOTIMP,
    "yxdomain": dns.rcode.YXDOMAIN,
    "notauth": dns.rcode.NOTAUTH,
}
FAULTS = frozenset(
    {
        "nxdomain",
        "nodata",
        "dead",  # no reply; over TCP the connection stays open
        "tc",  # over UDP an empty reply with TC
        "tcpart",  # over UDP some of the records, with TC
        "tcalways",  # over TCP as well
        "formerropt",  # FORMERR without OPT to a query with OPT
        "badvers",  # BADVERS to a query with OPT
        "wrongid",
        "wrongname",
        "wrongtype",
        "wrongclass",
        "noquestion",
        "qr0",  # the query comes back as it is
        "garbage",  # bytes that are not a message
        "runt",  # fewer bytes than a header has
        "cut",  # the message ends amid its last record
        "halfframe",  # over TCP half of the reply, then nothing
        "reset",  # over TCP
        "close",  # over TCP the connection ends in place of a reply
    }
)
NUMBERED = frozenset(
    {
        "slow",  # milliseconds until the reply
        "ttl",  # of every record
        "soattl",  # of the SOA alone
        "soamin",  # the SOA's MINIMUM
        "cname",  # how many CNAMEs lead to the end
        "many",  # how many addresses
        "ede",  # an Extended DNS Error of this code
        "forged",  # how many replies with a wrong ID before the genuine one
        "forgedname",  # how many replies with another name before the genuine one
        "twice",  # how many copies of the genuine one follow it
        "pad",  # octets of TXT in the additional section
    }
)
PLAIN = frozenset(
    {
        "held",  # the reply is not sent before `release`
        "nosoa",  # negative answers without SOA
        "only4",  # NODATA for AAAA
        "only6",  # NODATA for A
        "lower",  # the question comes back in lower case
        "upper",
        "aa",
        "ad",
        "nora",  # RA clear
        "noopt",  # no OPT in the reply
        "opt",  # an OPT even to a query without one
        "glue",  # NS in authority and its address in additional
        "foreign",  # first an address of another name in the answer
        "referral",  # nothing but NS and glue
        "mixedttl",  # the second record has half the TTL
    }
)
WORDS = frozenset(RCODES) | FAULTS | NUMBERED | PLAIN


@dataclass(frozen=True)
class Words:
    """The words that apply to one query, with their numbers; -1 where a word has none."""

    numbers: dict[str, int]

    def __contains__(self, word: str) -> bool:
        return word in self.numbers

    def number(self, word: str, default: int, bare: int | None = None) -> int:
        """Return the number of a word: `bare` where it has none, `default` where the word is absent."""
        found = self.numbers.get(word)
        if found is None:
            return default
        return found if found >= 0 else (default if bare is None else bare)


def words_of(texts: Iterable[str]) -> Words:
    """Find the words among labels, or among words that a test gives."""
    numbers = {}
    for text in texts:
        word, dash, number = text.lower().partition("-")
        if word in WORDS and (not dash or number.isdigit()):
            numbers[word] = int(number) if dash else -1
    return Words(numbers)


class CountedWords:
    """How often the words with a number have applied, for each name and type."""

    def __init__(self) -> None:
        self._used: Counter[tuple[str, str, str]] = Counter()

    def use(self, words: Words, name_text: str, qtype: str) -> Words:
        """Return the words that still apply, and count one use of each."""
        numbers = {}
        for word, number in words.numbers.items():
            if number >= 0 and (word in RCODES or word in FAULTS):
                key = (name_text, qtype, word)
                self._used[key] += 1
                if self._used[key] > number:
                    continue
            numbers[word] = number
        return Words(numbers)
