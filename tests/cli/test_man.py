"""Man pages: each command has one, with all that its help says, in roff that its readers accept."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import need
from program import Program

from clusterdns.cli.commands import COMMANDS
from clusterdns.cli.flags import Flag
from clusterdns.cli.generated.man import page
from clusterdns.cli.generated.pages import CommandPage, pages
from clusterdns.cli.generated.roff import command_page, escaped, sections
from clusterdns.cli.usage import CommandHelp

NAMES = ["", *(row.name for row in COMMANDS)]
HEADINGS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"]
WIDE = ("-rLL=300n", "-rLT=300n")
HOSTILE = "a\\fB b\\n .x 'y' \"z\" `q` ~ ^ -- \\"  # instructions of roff, were they not escaped
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), min_size=1)


def shown(text: str) -> str:
    """Return what groff shows of a page, without fonts; a warning is an error."""
    command = [need("groff"), "-man", "-Kutf8", "-Tutf8", "-P-cbou", "-ww", *WIDE]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r" +", " ", done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_each_command_and_the_program_have_a_page(program: Program, name: str) -> None:
    code, out, err = program("man", *filter(None, [name]))
    assert (code, err) == (0, "")
    assert out == page("clusterdns", name)
    title = f"clusterdns-{name}" if name else "clusterdns"
    assert out.startswith(f".TH {title.upper()} 1 ".replace("-", "\\-"))
    headings = re.findall(r'^\.SH "(.*)"$', out, re.MULTILINE)
    assert [heading for heading in headings if heading not in ("EXAMPLES", "COMMANDS")] == HEADINGS


@pytest.mark.parametrize("command", pages(), ids=lambda command: command.name)
def test_a_page_has_every_flag_with_its_value_and_text(command: CommandPage) -> None:
    text = page("clusterdns", command.name)
    for flag in command.flags:
        names = ", ".join(f"\\fB{escaped(command.dashed(name))}\\fR" for name in flag.names)
        value = f" \\fI{escaped(flag.value)}\\fR" if flag.value else ""
        assert f".TP\n{names}{value}\n{escaped(flag.text)}\n" in text


@pytest.mark.parametrize("command", pages(), ids=lambda command: command.name)
def test_a_reader_sees_all_that_the_help_says(command: CommandPage) -> None:
    found = " ".join(shown(page("clusterdns", command.name)).split())
    for word in re.sub(r"^Examples:$|\bExit code\b", "", command.help.about, flags=re.MULTILINE).split():
        assert word in found
    for flag in command.flags:
        assert " ".join(flag.text.split()) in found


@pytest.mark.parametrize("command", pages(), ids=lambda command: command.name)
def test_a_page_has_examples_that_begin_with_the_program(command: CommandPage) -> None:
    examples = shown(page("clusterdns", command.name)).partition("\nEXAMPLES\n")[2].partition("\n\n")[0].splitlines()
    assert len(examples) == len(sections(command.help.about).examples.splitlines()) > 0
    assert all("clusterdns" in line for line in examples)


def test_the_program_s_page_lists_the_commands_and_the_server_s_flags() -> None:
    text = shown(page("clusterdns"))
    for row in COMMANDS:
        assert f"{row.summary}." in text
        assert f"clusterdns-{row.name}(1)" in text
    assert "-dns.port, -p PORT" in text


@pytest.mark.parametrize("name", NAMES)
def test_mandoc_has_no_error(name: str) -> None:
    command = [need("mandoc"), "-T", "lint", "-W", "error"]
    done = subprocess.run(command, input=page("clusterdns", name), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_instructions_of_roff_in_a_text_are_shown() -> None:
    about = f"{HOSTILE}\n.de x\n'br\n\nExamples:\n  hostile .TP \\d"
    command = CommandPage("hostile", HOSTILE, CommandHelp("hostile [FLAGS]", about, (Flag("x", HOSTILE, False),)))
    text = shown(command_page("clusterdns", command, []))
    assert text.count(HOSTILE) == 3
    assert " .de x 'br\n" in text
    assert " clusterdns hostile .TP \\d\n" in text


@given(st.lists(WORDS, min_size=1, max_size=6).map(" ".join))
def test_an_escaped_line_is_no_request_and_has_no_bare_dash(text: str) -> None:
    found = escaped(text)
    assert found.isascii()
    assert not found.startswith((".", "'"))
    assert re.sub(r"\\\[u[0-9A-F]{4}\]|\\\((?:aq|ga|ha|ti|dq)|\\[-e&]", "", found).find("\\") == -1
    assert not re.search(r"(?<!\\)-", found)


EXIT_TEXTS = {
    "at the end": ("Do it. Exit code 0: yes.", ("Do it.", "", "0: yes.")),
    "in a paragraph of its own": ("Do it.\n\nExit code 0: yes.\n1: no.", ("Do it.", "", "0: yes.\n1: no.")),
    "before examples": ("Do.\n\nExit code 1: no.\n\nExamples:\n  do x\n  do y", ("Do.", "  do x\n  do y", "1: no.")),
    "none": ("Do it.", ("Do it.", "", "0: success. 2: the command line is wrong.")),
}  # fmt: skip


@pytest.mark.parametrize(("about", "expected"), EXIT_TEXTS.values(), ids=EXIT_TEXTS.keys())
def test_exit_codes_and_examples_are_sections(about: str, expected: tuple[str, str, str]) -> None:
    assert sections(about) == expected


@pytest.mark.parametrize(("arguments", "error"), [
    (["chek"], "clusterdns: unknown command 'chek'; did you mean 'check'?"),
    (["check", "x"], "clusterdns man: unexpected argument 'x'"),
])  # fmt: skip
def test_a_command_without_a_page_is_an_error(program: Program, arguments: list[str], error: str) -> None:
    code, out, err = program("man", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(error)
