"""A distribution's Corefile, edited to run on loopback beside a hundred others, and its questions.

A folder holds a Corefile as found in a cluster, the files that are mounted beside it, `environment` (NAME=VALUE) and
`questions` (in addition to those for every Corefile). The copy replaces these parts of the Corefile and of its imports,
and nothing else:

* ports (`PORTS`) by free ones; `health` and `ready` without an address get an explicit one;
* every target of `forward`, `/etc/resolv.conf` included, by the scripted upstream, `tls://` by its TLS address;
* addresses of a node (`ADDRESSES`) by loopback addresses; mounted folders by the copy's own;
* `kubeconfig` is added to `kubernetes`, since no service account is mounted.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from differential.resolving import Step, read_step

from testing.ports import free_ports
from testing.upstream.scripted import ScriptedUpstream

HERE = Path(__file__).parent
FILES = ("Corefile", "*.override", "*.server", "*.conf", "*.inc", "*.inner", "Corefile-*")
PORTS = ("53", "853", "1053", "5353", "8053", "9254", "8080", "8181", "9153", "9253", "3989", "8099", "9154", "9155",
         "9156", "18080")  # fmt: skip
ALWAYS = ("53", "8080", "8181")
ADDRESSES = {
    "169.254.20.10": "127.0.0.10",
    "169.254.25.10": "127.0.0.11",
    "169.254.10.10": "127.0.0.12",
    "169.254.10.11": "127.0.0.13",
    "10.96.0.10": "127.0.0.14",
    "fd00:90a2::1": "::1",
}
MOUNTS = ("/etc/coredns/", "/rootfs/", "/tmp/hosts/", "/etc/pki/dns.corp.example-ca/")
FORWARD = re.compile(r'(?m)^([^\S\n]*forward[^\S\n]+\S+)((?:[^\S\n]+"?[^\s{#]+"?)+)')
CERTIFICATES = "/etc/pki/dns.corp.example-ca/"


@dataclass(frozen=True)
class Surroundings:
    """The cluster and the upstream that a copy uses."""

    kubeconfig: Path
    upstream: ScriptedUpstream
    certificates: Path  # folder of the upstream's authority


class Distribution:
    """A folder of a Corefile with its files and questions."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = HERE / name

    @cached_property
    def text(self) -> str:
        """The Corefile as found in a cluster, with the files that it may import."""
        return "\n".join(path.read_text() for path in self._configuration(self.folder))

    @cached_property
    def words(self) -> set[str]:
        """The first word of each line, directives among them."""
        return {line.split()[0] for line in self.text.splitlines() if line.split()}

    @property
    def environment(self) -> dict[str, str]:
        """The pod's environment."""
        path = self.folder / "environment"
        lines = path.read_text().splitlines() if path.exists() else []
        return dict(line.split("=", 1) for line in lines)

    def copy(self, folder: Path, surroundings: Surroundings) -> "RunnableCopy":
        """Write a copy to `folder` that one server can run."""
        shutil.copytree(self.folder, folder)
        seen = [port for port in PORTS if port in ALWAYS or re.search(rf"\b{port}\b", self.text)]
        ports = dict(zip(seen, map(str, free_ports(len(seen))), strict=True))
        for path in self._configuration(folder):
            path.write_bytes(_replace(path.read_bytes().decode(), folder, ports, surroundings).encode())
        environment = {
            name: ports.get(value, value) if name == "PORT" else value for name, value in self.environment.items()
        }
        return RunnableCopy(folder / "Corefile", ports, environment, self._first())

    def questions(self) -> list["RoutedQuestion"]:
        """Read the questions for every Corefile and its own."""
        own = self.folder / "questions"
        texts = (HERE / "questions").read_text().splitlines() + (own.read_text().splitlines() if own.exists() else [])
        return [_question(text) for text in texts if text.strip() and not text.startswith("#")]

    def _first(self) -> tuple[str, str]:
        """Return the address and port that questions go to: those of the block for `.`, or of the first block."""
        text = (self.folder / "Corefile").read_text()
        for name, value in self.environment.items():
            text = text.replace(f"{{${name}}}", value)
        keys = re.findall(r'(?m)^\s*"?(?:dns://)?\.:(\d+)', text) + re.findall(r"(?m)^[^\s#(][^\n]*?:(\d+)", text)
        bound = re.search(r"(?m)^\s*bind (\S+)", text)
        return ADDRESSES.get(bound.group(1), "127.0.0.1") if bound else "127.0.0.1", keys[0] if keys else "53"

    @staticmethod
    def _configuration(folder: Path) -> list[Path]:
        return sorted({path for pattern in FILES for path in folder.rglob(pattern) if path.is_file()})


@dataclass(frozen=True)
class RoutedQuestion:
    """A step, and the host and port that it is sent to; empty for those of `first`."""

    step: Step
    host: str
    port: str


@dataclass(frozen=True)
class RunnableCopy:
    """A copy of a distribution for one server."""

    path: Path
    ports: Mapping[str, str]
    environment: Mapping[str, str]
    first: tuple[str, str]

    def address(self, question: RoutedQuestion) -> tuple[str, int]:
        """Return the host and port that a question is sent to."""
        host = question.step.over if question.step.over != "127.0.0.1" else self.first[0]
        return ADDRESSES.get(question.host, host), int(self.ports[question.port or self.first[1]])


def names() -> list[str]:
    """List all folders."""
    return sorted(path.parent.name for path in HERE.glob("*/Corefile"))


def _question(text: str) -> RoutedQuestion:
    words = text.split()
    places = dict(word.split("=") for word in words[2:] if "=" in word)
    step = read_step(" ".join(word for word in words if "=" not in word), origin="")
    return RoutedQuestion(step, places.get("at", ""), places.get("port", ""))


def _replace(text: str, folder: Path, ports: Mapping[str, str], surroundings: Surroundings) -> str:
    upstream = surroundings.upstream
    text = re.sub(
        r'(?m)^([^\S\n]*forward[^\S\n]+\S+)((?:[^\S\n]+"?[^\s{#]+"?)+)',
        lambda found: _with_upstream(found, upstream),
        text,
    )
    for found, loopback in ADDRESSES.items():
        text = text.replace(found, loopback)
    text = re.sub(r"(?m)^([^\S\n]*)(health|ready)(?=[^\S\n]*(?:\{|#|\r?$))", _with_port, text)
    text = re.sub(
        rf":({'|'.join(ports)})\b(?![:.\]])", lambda found: f":{ports.get(found.group(1), found.group(1))}", text
    )
    text = re.sub(
        r"(?m)^([^\S\n]*)kubernetes\b([^{}#\n\r]*)(\{?)([^\n]*)$",
        lambda found: _with_kubeconfig(found, surroundings.kubeconfig),
        text,
    )
    text = text.replace(CERTIFICATES, f"{surroundings.certificates}/")
    for mount in MOUNTS:
        text = text.replace(mount, f"{folder}{mount if mount == '/tmp/hosts/' else '/'}")
    return text


def _with_upstream(found: re.Match[str], upstream: ScriptedUpstream) -> str:
    targets = [
        '"' * target.startswith('"') + (upstream.tls_address if "tls://" in target else upstream.address)
        + '"' * target.startswith('"')
        for target in found.group(2).split()
    ]  # fmt: skip
    blanks = re.match(r"\s+", found.group(2))
    return found.group(1) + (blanks.group() if blanks else " ") + " ".join(targets)


def _with_port(found: re.Match[str]) -> str:
    return f"{found.group(1)}{found.group(2)} :{'8080' if found.group(2) == 'health' else '8181'}"


def _with_kubeconfig(found: re.Match[str], kubeconfig: Path) -> str:
    indent, zones, brace, rest = found.groups()
    option = f"\n{indent}  kubeconfig {kubeconfig}"
    if brace:
        return f"{indent}kubernetes{zones}{{{rest}{option}"
    return f"{indent}kubernetes{zones} {{{rest}{option}\n{indent}}}"
