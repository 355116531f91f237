"""deploy/krew: the manifest fits the archive and the version, and the script runs the package by uv or pipx."""

import os
import re
import runpy
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

import clusterdns

FOLDER = Path(__file__).parents[2] / "deploy" / "krew"


def test_the_manifest_is_of_this_version_and_this_archive(tmp_path: Path) -> None:
    manifest = yaml.safe_load((FOLDER / "dns.yaml").read_text())
    spec = manifest["spec"]
    assert (manifest["apiVersion"], manifest["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    assert spec["version"] == f"v{clusterdns.__version__}"
    assert len(spec["shortDescription"]) <= 50
    assert f'package="clusterdns=={clusterdns.__version__}"' in (FOLDER / "kubectl-dns").read_text()
    (platform,) = spec["platforms"]
    archive = tmp_path / "kubectl-dns.zip"
    assert runpy.run_path(str(FOLDER / "archive.py"))["write_archive"](archive) == platform["sha256"]
    with zipfile.ZipFile(archive) as opened:
        (entry,) = opened.infolist()
    assert entry.filename == platform["bin"] == manifest["metadata"]["name"].join(("kubectl-", ""))
    assert entry.external_attr >> 16 & 0o111
    assert re.fullmatch(r"https://\S+/kubectl-dns\.zip", platform["uri"])


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("uvx", "uvx --quiet --from clusterdns==VERSION kubectl-dns explain a.b --json"),
        ("pipx", "pipx run --quiet --spec clusterdns==VERSION kubectl-dns explain a.b --json"),
    ],
)
def test_the_script_runs_the_package(tmp_path: Path, runner: str, expected: str) -> None:
    stand_in = tmp_path / runner
    stand_in.write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
    stand_in.chmod(0o755)
    done = run_script(tmp_path, "explain", "a.b", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, expected.replace("VERSION", clusterdns.__version__))


def test_the_script_says_what_it_needs(tmp_path: Path) -> None:
    done = run_script(tmp_path, "explain")
    assert done.returncode == 2
    assert done.stderr.startswith("kubectl dns: needs uv")


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a PATH that has this folder, and the system's programs but neither uv nor pipx."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "basename"):
        found = next(Path(one) / name for one in ("/bin", "/usr/bin") if (Path(one) / name).exists())
        (tools / name).symlink_to(found)
    path = f"{folder}{os.pathsep}{tools}"
    return subprocess.run(
        [FOLDER / "kubectl-dns", *arguments], env={"PATH": path}, capture_output=True, text=True, check=False
    )
