"""docs/writing-a-directive.md works: the tests load its module, start it from its Corefile and query it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dns.rdatatype
import pytest
from plugins.serving import Running, question

from clusterdns.chain import Plugin
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.corefile.load import parse
from clusterdns.plugins import order
from clusterdns.server import assembly
from clusterdns.server.instance import Instance
from clusterdns.telemetry.metrics import Registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "writing-a-directive.md").read_text(encoding="utf-8")
NAME = "clusterdns.plugins.sinkhole"


def code(language: str) -> str:
    """Return the page's only code block in a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture
def sinkhole(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Install the page's directive as the page says: a module of `plugins`, and a name in the order."""
    module = ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, module)
    exec(compile(code("python"), "docs/writing-a-directive.md", "exec"), module.__dict__)
    monkeypatch.setattr(assembly, "ORDER", ("sinkhole", *order.ORDER))
    yield module.PLUGIN
    order.plugin.cache_clear()


@pytest.mark.usefixtures("sinkhole")
async def test_the_directive_answers_and_its_answers_are_compiled() -> None:
    registry = Registry()
    instance = Instance(assembly.assemble(parse(code("corefile"), "Corefile", {}), registry, dns_port=53), "")
    await instance.start()
    server = Running(instance)
    first = await server.ask("www.ads.example")
    assert [str(rrset) for rrset in first.answer] == ["www.ads.example. 60 IN A 192.0.2.1"]
    assert not (await server.ask("www.ads.example", "AAAA")).answer
    elsewhere = await server.ask("www.example")
    assert [rrset.rdtype for rrset in elsewhere.additional] == [dns.rdatatype.A, dns.rdatatype.SRV], "whoami's"
    assert question("www.ads.example", "A").to_wire()[2:] in server.udp.answers.entries
    await instance.stop()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sinkhole", "Corefile:2: Wrong argument count or unexpected line ending after 'sinkhole'"),
        ("sinkhole a {\n ttl 1h\n}", "Corefile:3: "),
        ("sinkhole a {\n adress 192.0.2.1\n}", "Corefile:3: unknown property 'adress'"),
    ],
)
@pytest.mark.usefixtures("sinkhole")
def test_its_errors_name_file_and_line(text: str, error: str) -> None:
    with pytest.raises(CorefileErrors) as raised:
        assembly.assemble(parse(f". {{\n{text}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert str(raised.value).startswith(error)


def test_it_is_documented_as_the_page_says(sinkhole: Plugin) -> None:
    assert [option.name for option in sinkhole.doc.options] == ["ttl", "address"]
    assert sinkhole.doc.usage == ("sinkhole DOMAIN…",)


def test_its_code_passes_the_checks_of_the_project(tmp_path: Path) -> None:
    """The checks are those of `make lint`."""
    root = Path(__file__).resolve().parents[2]
    module = tmp_path / "sinkhole.py"
    module.write_text(code("python"), encoding="utf-8")
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--strict"]):
        checked = subprocess.run(
            [sys.executable, "-m", *command, "--config-file" if command[0] == "mypy" else "--config",
             str(root / "pyproject.toml"), str(module)],
            capture_output=True, text=True, check=False, cwd=root,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout
