"""The image, as far as it can be checked without a container engine: its declarations, and its pip steps run here."""

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
    """What follows each instruction of this name, in order."""
    return re.findall(rf"^{word} +(.+)$", DOCKERFILE, flags=re.MULTILINE)


def test_declarations() -> None:
    assert len(instruction("FROM")) == 2
    assert instruction("USER") == ["65532:65532"], "numeric, so that runAsNonRoot is admitted"
    assert instruction("ENTRYPOINT") == ['["/usr/local/bin/coredns"]'], "deployments give args only"
    assert instruction("WORKDIR")[-1] == "/"
    assert {"53/udp", "53/tcp"} <= set(instruction("EXPOSE")[0].split())
    assert any("PYTHONDONTWRITEBYTECODE=1" in line for line in instruction("ENV"))


def test_build_context_is_what_the_build_copies() -> None:
    copied = {word for line in instruction("COPY") if "--from" not in line for word in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    assert copied == allowed


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program in it, made as the image makes it."""
    wheels, made = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("prefix")
    make_wheel(made / "source", wheels)
    (wheel,) = wheels.glob("clusterdns-*.whl")
    # --ignore-installed: pip would otherwise take the program out of the environment that runs this test
    into = ["--no-deps", "--no-compile", "--ignore-installed", "--prefix", str(made)]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "install", *into, str(wheel)], check=True)
    return made


@pytest.mark.parametrize("program", ["coredns", "clusterdns"])
def test_program_runs_from_the_prefix_alone(prefix: Path, program: str) -> None:
    """With nothing to write to: no home, the folder of temporary files missing, no bytecode."""
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


def test_license_travels_with_the_program(prefix: Path) -> None:
    (license_file,) = prefix.glob("lib/python3.*/site-packages/clusterdns-*.dist-info/licenses/LICENSE")
    assert "Apache License" in license_file.read_text(encoding="utf-8")
