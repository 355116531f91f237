"""The command line reads as Go's flag package reads it; the rows were checked against CoreDNS 1.15.0."""

from typing import NamedTuple

import pytest

from clusterdns.cli import serve
from clusterdns.cli.flags import Flag, FlagError, Given, HelpAsked, choice, number, read
from clusterdns.cli.serve import usage


class ServeFlags(NamedTuple):
    """The flags of the server as values, so that rows can name those that are set."""

    conf: str = ""
    dns_port: int = 53
    pidfile: str = ""
    plugins: bool = False
    quiet: bool = False
    state: str = ""
    version: bool = False
    log_format: str = "text"
    extra: tuple[str, ...] = ()


def parse(arguments: list[str]) -> ServeFlags:
    given = read(arguments, serve.FLAGS, is_command=False)
    return ServeFlags(
        given[serve.CONF], given[serve.DNS_PORT], given[serve.PIDFILE], given[serve.PLUGINS], given[serve.QUIET],
        given[serve.STATE], given[serve.VERSION], given[serve.LOG_FORMAT], given.arguments,
    )  # fmt: skip


ACCEPTED = {
    "no flags": ([], ServeFlags()),
    "one dash, space": (["-conf", "a"], ServeFlags(conf="a")),
    "one dash, equals sign": (["-conf=a"], ServeFlags(conf="a")),
    "two dashes, space": (["--conf", "a"], ServeFlags(conf="a")),
    "two dashes, equals sign": (["--conf=a"], ServeFlags(conf="a")),
    "a value with an equals sign": (["-conf=a=b"], ServeFlags(conf="a=b")),
    "an empty value": (["-conf="], ServeFlags()),
    "a value that looks like a flag": (["-conf", "-quiet"], ServeFlags(conf="-quiet")),
    "a flag with a dot": (["-dns.port", "1053"], ServeFlags(dns_port=1053)),
    "its short form": (["-p=1053"], ServeFlags(dns_port=1053)),
    "the last port wins": (["-p", "1", "-dns.port", "2"], ServeFlags(dns_port=2)),
    "the last port wins, the other way": (["-dns.port", "2", "-p", "1"], ServeFlags(dns_port=1)),
    "the last Corefile wins": (["-conf", "a", "-conf", "b"], ServeFlags(conf="b")),
    "port 0": (["-p", "0"], ServeFlags(dns_port=0)),
    "a switch": (["-quiet"], ServeFlags(quiet=True)),
    "a switch takes no separate value": (["-quiet", "false"], ServeFlags(quiet=True, extra=("false",))),
    "a switch turned off": (["-quiet=false"], ServeFlags()),
    "a switch turned off later": (["-quiet", "--quiet=F"], ServeFlags()),
    "a switch turned on by number": (["-quiet=1"], ServeFlags(quiet=True)),
    "the flags of Kubernetes manifests": (["-conf", "/etc/coredns/Corefile"], ServeFlags(conf="/etc/coredns/Corefile")),
    "all flags": (
        ["-plugins", "-version", "-pidfile", "/p", "-quiet=t", "-p", "54"],
        ServeFlags(plugins=True, version=True, pidfile="/p", quiet=True, dns_port=54),
    ),
    "a flag with a dash in its name": (["--log-format=json"], ServeFlags(log_format="json")),
    "flags end at the first other argument": (["x", "-version"], ServeFlags(extra=("x", "-version"))),
    "a single dash is not a flag": (["-", "-quiet"], ServeFlags(extra=("-", "-quiet"))),
    "two dashes end the flags": (["-quiet", "--", "-version"], ServeFlags(quiet=True, extra=("-version",))),
    "an empty argument is not a flag": (["", "-quiet"], ServeFlags(extra=("", "-quiet"))),
}


@pytest.mark.parametrize(("arguments", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_flags_read_as_in_go(arguments: list[str], expected: ServeFlags) -> None:
    assert parse(arguments) == expected


ERRORS = {
    "unknown": (["-nosuch"], "flag provided but not defined: -nosuch"),
    "unknown, two dashes and a value": (["--nosuch=1"], "flag provided but not defined: -nosuch"),
    "a flag of another program": (["-validate"], "flag provided but not defined: -validate"),
    "several in one": (["-pquiet"], "flag provided but not defined: -pquiet; did you mean -quiet?"),
    "in capitals": (["-Quiet"], "flag provided but not defined: -Quiet; did you mean -quiet?"),
    "three dashes": (["---conf"], "bad flag syntax: ---conf"),
    "no name": (["-=x"], "bad flag syntax: -=x"),
    "no name after two dashes": (["--=x"], "bad flag syntax: --=x"),
    "no value": (["-conf"], "flag needs an argument: -conf"),
    "no value at the end": (["-quiet", "-pidfile"], "flag needs an argument: -pidfile"),
    "a switch with another value": (["-quiet=maybe"], 'invalid boolean value "maybe" for -quiet: parse error'),
    "a switch with an empty value": (["-version="], 'invalid boolean value "" for -version: parse error'),
    "a port that is a word": (["-p", "dns"], 'invalid value "dns" for flag -p: not a port from 0 to 65535'),
    "a port out of range": (["-p", "65536"], 'invalid value "65536" for flag -p: not a port from 0 to 65535'),
    "a negative port": (["-p=-1"], 'invalid value "-1" for flag -p: not a port from 0 to 65535'),
    "no port": (["-dns.port="], 'invalid value "" for flag -dns.port: not a port from 0 to 65535'),
    "digits of another script": (["-p", "٥٣"], 'invalid value "٥٣" for flag -p: not a port from 0 to 65535'),
}


@pytest.mark.parametrize(("arguments", "text"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_those_of_go(arguments: list[str], text: str) -> None:
    with pytest.raises(FlagError) as error:
        parse(arguments)
    assert str(error.value) == text


@pytest.mark.parametrize(("word", "hint"), [("-cnof", "-conf"), ("--verison", "-version"), ("-quite", "-quiet")])
def test_a_mistyped_flag_has_a_hint(word: str, hint: str) -> None:
    with pytest.raises(FlagError, match=rf"not defined: {word.replace('--', '-')}; did you mean {hint}\?"):
        parse([word])


@pytest.mark.parametrize("arguments", [["-h"], ["-help"], ["--help"], ["-h=x"], ["-quiet", "-h", "-nosuch"]])
def test_help(arguments: list[str]) -> None:
    with pytest.raises(HelpAsked):
        parse(arguments)


def test_an_error_before_the_help_flag_is_raised() -> None:
    with pytest.raises(FlagError):
        parse(["-nosuch", "-h"])


@pytest.mark.parametrize("flag", ["log-format", "conf", "dns.port", "p", "pidfile", "plugins", "quiet", "version"])
def test_the_usage_names_every_flag(flag: str) -> None:
    assert f" -{flag}" in usage("coredns")
    assert usage("coredns").startswith("Usage of coredns:\n")


# Flags of commands, which may follow arguments as in kubectl

FORM = Flag("output o", "", "", value="FORM", read=choice("wide", "name", "yaml"))
PATHS: Flag[tuple[str, ...]] = Flag("path f", "", (), value="PATH", many=True)
SWITCH = Flag("all A", "", False)
COUNT = Flag("count", "", 1, value="N", read=number(1, 20, "not from 1 to 20"))


def command(*arguments: str) -> Given:
    return read(arguments, (FORM, PATHS, SWITCH, COUNT), is_command=True)


@pytest.mark.parametrize(
    "arguments", [["-o", "wide"], ["-o=wide"], ["-owide"], ["--o", "wide"], ["-output", "wide"], ["--output=wide"]]
)
@pytest.mark.parametrize("is_last", [False, True])
def test_flags_of_commands_have_every_spelling_and_any_place(arguments: list[str], is_last: bool) -> None:
    given = command(*(["x", *arguments] if is_last else [*arguments, "x"]))
    assert (given[FORM], given.arguments, given.has(FORM), given.has(COUNT)) == ("wide", ("x",), True, False)


def test_repeated_flags_switches_and_defaults() -> None:
    given = command("-f", "a", "--path=b", "-A", "--", "-o")
    assert (given[PATHS], given[SWITCH], given[COUNT], given.arguments) == (("a", "b"), True, 1, ("-o",))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "wied"], 'invalid value "wied" for flag -o: expected wide, name or yaml'),
        (["--count", "21"], 'invalid value "21" for flag -count: not from 1 to 20'),
        (["x", "-f"], "flag needs an argument: -f"),
        (["--ouput", "x"], "flag provided but not defined: -ouput; did you mean --output?"),
        (["-Axy"], "flag provided but not defined: -Axy"),
        (["-all=maybe"], 'invalid boolean value "maybe" for -all: parse error'),
    ],
)
def test_errors_of_commands(arguments: list[str], text: str) -> None:
    with pytest.raises(FlagError) as error:
        command(*arguments)
    assert str(error.value) == text


@pytest.mark.parametrize("arguments", [["x", "-h"], ["--help", "--nosuch"]])
def test_help_of_commands(arguments: list[str]) -> None:
    with pytest.raises(HelpAsked):
        command(*arguments)
