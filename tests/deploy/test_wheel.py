"""The wheel: its metadata, its files, and that pip installs it into an environment where its programs run."""

import email
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.message import Message
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from deploy.image import make_wheel
from peers import need

import clusterdns
from clusterdns.cli.commands import COMMANDS
from clusterdns.version import banner
from docs import generate

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("clusterdns", "coredns", "kubectl-dns")
DATA = f"clusterdns-{clusterdns.__version__}.data/data/share/"
INFO = f"clusterdns-{clusterdns.__version__}.dist-info/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as the Dockerfile does."""
    folder = tmp_path_factory.mktemp("wheel")
    make_wheel(folder / "source", folder)
    (found,) = folder.glob("clusterdns-*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The metadata, as package registries read it."""
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{INFO}METADATA"))


def test_its_metadata_are_complete(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("clusterdns", clusterdns.__version__)
    assert metadata["Summary"].startswith("The DNS server of a Kubernetes cluster")
    assert metadata["Author"] == "The clusterdns maintainers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert {"dns", "kubernetes", "coredns"} <= set(metadata["Keywords"].split(","))
    assert str(metadata.get_payload()).startswith("# clusterdns\n")


def test_its_classifiers_name_every_python_that_it_says_it_runs_on(metadata: Message) -> None:
    classifiers = metadata.get_all("Classifier", [])
    assert {"Typing :: Typed", "Topic :: Internet :: Name Service (DNS)"} <= set(classifiers)
    assert not [one for one in classifiers if one.startswith("License ::")], "the license is an expression"
    versions = sorted(one.rpartition(".")[2] for one in classifiers if "Python :: 3." in one)
    assert versions == [str(minor) for minor in range(11, 11 + len(versions))]
    assert len(versions) >= 3


def test_it_has_the_man_pages_and_completion_scripts_of_every_command_and_program(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name.removeprefix(DATA): archive.read(name).decode() for name in archive.namelist() if DATA in name}
    assert found == generate.shared_files()
    assert {f"man/man1/clusterdns-{row.name}.1" for row in COMMANDS} <= set(found)
    assert [f"bash-completion/completions/{program}" in found for program in PROGRAMS] == [True] * 3


def test_it_has_the_mark_of_types_and_every_file_that_the_program_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = [path for path in (ROOT / "clusterdns").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in ours} <= names
    assert "clusterdns/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "testing", "bench", "docs"))]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment into which pip has installed the wheel; its libraries are those of the tests' environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet"]
    subprocess.run([*pip, "install", "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return folder


def run(installed: Path, program: str, *arguments: str) -> str:
    environ = {"PATH": f"{installed}/bin:{os.defpath}", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(installed / "bin" / program), *arguments], cwd="/", env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_its_programs_run_after_pip_install(installed: Path) -> None:
    where = run(installed, "python", "-c", "import clusterdns; print(clusterdns.__file__)")
    assert where.startswith(str(installed)), "not the checkout"
    for arguments in (["--version"], ["version"]):
        assert run(installed, "clusterdns", *arguments).splitlines()[0] == banner().splitlines()[0]
    assert run(installed, "coredns", "-version").splitlines()[0] == banner().splitlines()[0]
    assert run(installed, "clusterdns", "man", "check") == generate.shared_files()["man/man1/clusterdns-check.1"]
    assert "kubectl dns COMMAND" in run(installed, "kubectl-dns")
    assert run(installed, "kubectl-dns", "version").splitlines()[0] == banner().splitlines()[0]


def test_its_pages_and_scripts_are_where_man_and_shells_look(installed: Path) -> None:
    for name, text in generate.shared_files().items():
        assert (installed / "share" / name).read_text(encoding="utf-8") == text


def shell(installed: Path, *words: str, **environ: str) -> str:
    """Run a shell in which the programs are installed."""
    found = {"PATH": f"{installed}/bin:{os.defpath}", "TERM": "dumb", **environ}
    done = subprocess.run(words, env=found, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_finds_its_function(installed: Path, tmp_path: Path, program: str) -> None:
    find = f"fpath=({installed}/share/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D"
    function = f"_{program.replace('-', '_')}"
    show = f"print $_comps[{program}]; autoload +X -U {function}; which {function}"
    found = shell(installed, need("zsh"), "-f", "-c", f"{find}; {show}", HOME=str(tmp_path))
    assert found.startswith(f"{function}\n{function} () {{")
    assert f"$funcstack[1] == {function} ]]" in found, "the first call completes"
    assert "_describe -t commands command commands" in found


def test_fish_finds_its_completions(installed: Path, tmp_path: Path) -> None:
    share, find = f"{installed}/share", "complete -C'clusterdns conf'"
    found = shell(installed, need("fish"), "-c", find, XDG_DATA_DIRS=share, HOME=str(tmp_path))
    assert [line.partition("\t")[0] for line in found.splitlines()] == ["config", "conform"]


def test_what_pip_has_installed_is_what_pyproject_says(installed: Path) -> None:
    (info,) = installed.glob("lib/python3.*/site-packages/clusterdns-*.dist-info")
    found = PathDistribution(info)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(found.metadata.get_all("Classifier") or []) == sorted(project["classifiers"])
    assert {one.name: one.value for one in found.entry_points} == project["scripts"]
    required = [text for text in found.requires or [] if "extra ==" not in text]
    assert len(required) == len(project["dependencies"])
