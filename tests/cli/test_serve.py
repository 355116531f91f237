"""The server's command up to the start of the server: exit codes, output, and the choice of the Corefile."""

import io
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from program import Program, run_script

import clusterdns
from clusterdns.chain import StartError
from clusterdns.corefile.errors import ErrorList
from clusterdns.server import run as server_run
from clusterdns.server.assembly import Configuration, assemble
from clusterdns.server.reloading import Load
from clusterdns.telemetry.metrics import Registry
from clusterdns.version import banner


class Started:
    """A stand-in for the server that records what it was to run."""

    def __init__(self) -> None:
        self.configuration: Configuration | None = None
        self.quiet = False
        self.pidfile: str | None = None
        self.fails_with: StartError | None = None
        self.code = 0
        self.state_folder = ""
        self.load: Load | None = None

    def run(self, load: Load, *, dns_port: int, quiet: bool, pidfile: str | None, state_folder: str) -> NoReturn:
        errors = ErrorList()
        configuration = assemble(load(errors), Registry(), dns_port=dns_port, errors=errors)
        if self.fails_with is not None:
            raise self.fails_with
        self.configuration, self.quiet, self.pidfile = configuration, quiet, pidfile
        self.state_folder, self.load = state_folder, load
        sys.exit(self.code)

    @property
    def listening(self) -> list[str]:
        """The listen points with their zones."""
        assert self.configuration is not None
        return [f"{point.server_text} {' '.join(point.zones_text)}" for point in self.configuration.listen_points]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    started = Started()
    monkeypatch.setattr(server_run, "run", started.run)
    return started


def test_version(program: Program) -> None:
    assert program("-version") == (0, f"{banner()}\n", "")
    assert banner().splitlines()[0] == f"clusterdns-{clusterdns.__version__}"


def test_plugins_are_listed_by_name_with_an_empty_line_after_them(program: Program) -> None:
    code, out, err = program("-plugins")
    names = out.split("\n")
    assert (code, err, names[-2:]) == (0, "", ["", ""])
    assert names[:-2] == sorted(names[:-2])
    assert {"errors", "kubernetes", "prometheus"} <= set(names)


def test_version_goes_before_plugins_and_both_before_the_corefile(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("{{{")
    assert program("-plugins", "-version").out == f"{banner()}\n"
    assert program("-plugins", "-conf", "nowhere").code == 0


def test_an_unknown_flag_shows_the_usage_on_standard_error(program: Program) -> None:
    code, out, err = program("-nosuch")
    assert (code, out) == (2, "")
    assert err.startswith("flag provided but not defined: -nosuch\nUsage of clusterdns:\n")


def test_help_goes_to_standard_error_with_exit_code_0_as_in_coredns(program: Program) -> None:
    code, out, err = program("--help", name="coredns")
    assert (code, out) == (0, "")
    assert err.startswith("Usage of coredns:\n")


def test_help_of_serve_has_its_exit_codes_and_examples(program: Program) -> None:
    code, out, err = program("serve", "--help")
    assert (code, err) == (0, "")
    assert "Exit code 0: the server has ended" in out
    assert "\nExamples:\n  clusterdns -conf Corefile " in out
    assert "\n  -dns.port, -p PORT\n" in out


@pytest.mark.parametrize(("name", "expected"), [("coredns", 1), ("clusterdns", 2)])
def test_other_arguments_are_an_error_before_anything_else(program: Program, name: str, expected: int) -> None:
    code, out, err = program("-version", "stray", "-quiet", name=name)
    assert (code, out) == (expected, "")
    assert err.startswith("extra command line arguments: [stray -quiet];")


@pytest.mark.parametrize(("name", "expected"), [("coredns", 1), ("clusterdns", 2)])
@pytest.mark.parametrize("text", ["xml", "JSON", ""])
def test_an_unknown_log_format_is_an_error_before_the_version(
    program: Program, name: str, expected: int, text: str
) -> None:
    assert program(f"-log-format={text}", "-version", name=name) == (
        expected, "", f'unknown log format "{text}": expected text or json\n',
    )  # fmt: skip


def test_errors_of_the_start_are_json_objects_where_log_lines_are(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n nosuch\n also\n}\n")
    code, out, err = program("-log-format", "json", name="coredns")
    found = [json.loads(line) for line in err.splitlines()]
    assert (code, out, [one["level"] for one in found]) == (1, "", ["FATAL", "FATAL"])
    assert [one["msg"].split(" ")[0] for one in found] == ["Corefile:2:", "Corefile:3:"]
    stray = json.loads(program("-log-format", "json", "stray", name="coredns").err)
    assert stray["msg"].startswith("extra command line arguments: [stray]")


def test_a_missing_file_is_an_error(program: Program) -> None:
    code, out, err = program("-conf", "nowhere")
    assert (code, out) == (1, "")
    assert err.startswith("nowhere: cannot be read: no such file or directory; ")


def test_without_any_corefile_the_built_in_one_is_used(program: Program, started: Started) -> None:
    assert program(name="coredns").code == 0
    assert started.listening == ["dns://:53 ."]
    assert started.configuration is not None
    assert {part.name for part in started.configuration.parts} == {"whoami", "log"}


def test_the_default_port_is_for_keys_without_one(program: Program, started: Started, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("a. {\n whoami\n}\nb.:99 {\n whoami\n}\n")
    program("-dns.port", "1053")
    assert started.listening == ["dns://:1053 a.", "dns://:99 b."]


def test_the_corefile_of_the_working_directory_is_used_where_none_is_named(
    program: Program, started: Started, tmp_path: Path
) -> None:
    (tmp_path / "Corefile").write_text("here. {\n whoami\n}\n")
    (tmp_path / "other").write_text("there. {\n whoami\n}\n")
    program("-conf=")
    assert started.listening == ["dns://:53 here."]
    program("-conf", "other")
    assert started.listening == ["dns://:53 there."]


def test_quiet_and_pidfile_are_passed_on_and_the_exit_code_is_returned(program: Program, started: Started) -> None:
    started.code = 4
    assert program("-quiet", "-pidfile", "p").code == 4
    assert (started.quiet, started.pidfile) == (True, "p")
    program(name="coredns")
    assert (started.quiet, started.pidfile) == (False, None)


def test_the_environment_fills_the_corefile(
    program: Program, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZONE_OF_TEST", "from.env")
    (tmp_path / "Corefile").write_text("{$ZONE_OF_TEST} {\n whoami\n}\n")
    program(name="coredns")
    assert started.listening == ["dns://:53 from.env."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Corefile:1: this Corefile has no server block; "),
        ("# nothing\n", "Corefile:1: this Corefile has no server block; "),
        ("(snippet) {\n whoami\n}\n", "Corefile:1: this Corefile has no server block; "),
        ("\n {\n whoami\n}\n", "Corefile:2: this server block has no key; write '.' or a zone before '{'"),
        ("{$UNSET} {\n whoami\n}\n", "Corefile:1: this server block has no key; "),
    ],
)
def test_a_corefile_without_a_block_does_not_mean_the_built_in_one(
    program: Program, started: Started, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "Corefile").write_text(text)
    code, _, err = program(name="coredns")
    assert (code, started.configuration) == (1, None)
    assert err.startswith(message)


def test_a_corefile_that_is_a_dangling_link_does_not_mean_the_built_in_one(
    program: Program, started: Started, tmp_path: Path
) -> None:
    (tmp_path / "Corefile").symlink_to("gone")
    assert program(name="coredns").code == 1
    assert started.configuration is None


def test_standard_input_is_read(program: Program, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped. {\n whoami\n}\n"))
    program("-conf", "stdin")
    assert started.listening == ["dns://:53 piped."]


def test_a_terminal_as_standard_input_is_an_error(
    program: Program, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = os.openpty()
    with os.fdopen(far) as terminal, os.fdopen(near):
        monkeypatch.setattr(sys, "stdin", terminal)
        code, _, err = program("-conf", "stdin")
    assert (code, started.configuration) == (1, None)
    assert err.startswith("stdin: standard input is a terminal; ")


def test_errors_of_grammar_and_of_meaning_are_reported_together(
    program: Program, started: Started, tmp_path: Path
) -> None:
    (tmp_path / "Corefile").write_text(". {\n nosuch\n ready nowhere:at:all\n}\na:b:c:99999 {\n whoami\n}\n")
    code, out, err = program(name="coredns")
    assert (code, out, started.configuration) == (1, "", None)
    assert {line.split(" ")[0] for line in err.splitlines()} == {"Corefile:2:", "Corefile:3:", "Corefile:5:"}


def test_a_failed_start_is_reported_on_standard_error(program: Program, started: Started) -> None:
    started.fails_with = StartError("listen udp :53: permission denied; do this")
    assert program(name="coredns") == (1, "", "listen udp :53: permission denied; do this\n")


# Real processes


def test_version_is_printed_without_loading_the_libraries(tmp_path: Path) -> None:
    heavy = "aiohttp", "kubernetes_asyncio", "uvloop", "msgspec", "yaml", "click", "rich", "asyncio"
    ended = run_script(["-version"], tmp_path, environ={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert (ended.code, ended.out) == (0, f"{banner()}\n")
    assert "clusterdns.cli.serve" in imported
    assert not imported.intersection(heavy)


@pytest.mark.parametrize("flag", ["-version", "-plugins"])
@pytest.mark.parametrize("environ", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_output_that_cannot_be_written_is_an_error(tmp_path: Path, flag: str, environ: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        ended = run_script([flag], tmp_path, environ=environ, stdout=full)
    assert ended == (1, "", "standard output: no space left on device\n")


def test_exit_codes_of_the_console_script(tmp_path: Path) -> None:
    assert run_script(["-nosuch"], tmp_path).code == 2
    ended = run_script(["-conf", "stdin"], tmp_path, stdin="{$EMPTY} {\n nosuch\n}\n. {\n also\n}\n")
    assert (ended.code, ended.out) == (1, "")
    assert [line.split(" ")[0] for line in ended.err.splitlines()] == ["stdin:5:"]


def test_a_reload_reads_the_file_again_and_standard_input_only_once(
    program: Program, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").write_text("a. {\n whoami\n}\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("import more\n"))
    assert program("-conf", "stdin").code == 0
    assert started.load is not None
    first = started.load(ErrorList())
    (tmp_path / "more").write_text("b. {\n whoami\n}\n")
    second = started.load(ErrorList())
    assert [block.zones_text for block in (*first.blocks, *second.blocks)] == [("a.",), ("b.",)]
    assert first.sha512 != second.sha512


def test_without_conf_each_reload_looks_for_a_corefile_anew(program: Program, started: Started, tmp_path: Path) -> None:
    assert program(name="coredns").code == 0
    assert started.load is not None
    (tmp_path / "Corefile").write_text("here. {\n whoami\n}\n")
    assert started.load(ErrorList()).blocks[0].zones_text == ("here.",)
    (tmp_path / "Corefile").unlink()
    assert started.load(ErrorList()).blocks[0].zones_text == (".",)


def test_the_state_folder_is_a_flag_or_a_variable(
    program: Program, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(name="coredns")
    assert started.state_folder == ""
    monkeypatch.setenv("CLUSTERDNS_STATE", "variable")
    program(name="coredns")
    assert started.state_folder == "variable"
    program("-state", "flag")
    assert started.state_folder == "flag"
    assert "$CLUSTERDNS_STATE" in program("-help", name="coredns").err
