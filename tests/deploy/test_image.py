"""The image, as far as tests without a container engine can check it: its declarations and its pip steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.image import make_wheel

import clusterdns

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instruction(word: str) -> list[str]:
    """Return the arguments of each instruction of this name, in order."""
    return re.findall(rf"^{word} +(.+)$", DOCKERFILE, flags=re.MULTILINE)


def test_instructions_that_deployments_rely_on() -> None:
    assert len(instruction("FROM")) == 2
    assert instruction("USER") == ["65532:65532"], "numeric, so that runAsNonRoot is admitted"
    assert instruction("ENTRYPOINT") == ['["/usr/local/bin/coredns"]'], "deployments give args only"
    assert instruction("WORKDIR")[-1] == "/"
    assert {"53/udp", "53/tcp"} <= set(instruction("EXPOSE")[0].split())
    assert any("PYTHONDONTWRITEBYTECODE=1" in line for line in instruction("ENV"))


def test_the_build_context_holds_what_the_build_copies() -> None:
    copied = {word for line in instruction("COPY") if "--from" not in line for word in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    assert copied == allowed


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the program into a folder as the Dockerfile does."""
    wheels, made = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("prefix")
    make_wheel(made / "source", wheels)
    (wheel,) = wheels.glob("clusterdns-*.whl")
    # --ignore-installed, because pip would uninstall the program from the tests' environment otherwise
    into = ["--no-deps", "--no-compile", "--ignore-installed", "--prefix", str(made)]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "install", *into, str(wheel)], check=True)
    return made


@pytest.mark.parametrize("program", ["coredns", "clusterdns"])
def test_program_runs_from_the_prefix_alone(prefix: Path, program: str) -> None:
    """Without a home folder, a folder for temporary files, or bytecode."""
    (packages,) = prefix.glob("lib/python3.*/site-packages")
    environment = {
        "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent", "TMPDIR": "/nonexistent",
        "PATH": os.defpath,
    }  # fmt: skip
    done = subprocess.run(
        [str(prefix / "bin" / program), "-version"], env=environment, cwd="/", capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith(clusterdns.__version__)
    assert list(packages.rglob("__pycache__")) == []


def test_the_license_is_installed_with_the_program(prefix: Path) -> None:
    (license_file,) = prefix.glob("lib/python3.*/site-packages/clusterdns-*.dist-info/licenses/LICENSE")
    assert "Apache License" in license_file.read_text(encoding="utf-8")
