"""The image's file system, made by the Dockerfile's own commands in a bubblewrap sandbox instead of a container engine.

Two things differ from a build: the base is the interpreter that runs the tests, laid out as in python:slim, and the
dependencies are copied from the tests' environment instead of fetched from a registry. The commands are read from the
Dockerfile, so the tests cover its text.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from peers import missing, need

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
LEFT_OUT = ("test", "tests", "idlelib", "lib2to3", "ensurepip", "turtledemo", "tkinter", "config-*", "site-packages")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
LINKER_PATHS = "/usr/local/lib\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n/lib/aarch64-linux-gnu\n/usr/lib\n"


class Image:
    """A folder that holds the image's /usr/local and /etc; /usr and /lib are the machine's."""

    def __init__(self, folder: Path) -> None:
        self.local = folder / "local"
        self.etc = folder / "etc"

    @property
    def mounts(self) -> list[str]:
        """bubblewrap's options for a read-only root of these folders and the machine's /usr and /lib."""
        machine = [word for path in ("/usr", "/lib", "/lib64", "/bin", "/sbin") for word in _machine_mount(path)]
        return [*machine, "--ro-bind", str(self.local), "/usr/local", "--ro-bind", str(self.etc), "/etc"]


def commands() -> list[str]:
    """Return the shell commands of the Dockerfile, in order, continuation lines joined."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", "")
    return re.findall(r"^RUN (?!\[)(.+)$", text, flags=re.MULTILINE)


def build(folder: Path) -> Image:
    """Make the image; `folder` must be on a file system that keeps file capabilities."""
    stage, prefix, wheels = Image(folder / "build"), folder / "prefix", folder / "wheels"
    for made in (stage.etc, prefix, wheels):
        made.mkdir(parents=True)
    _lay_out_base(stage.local)
    _, _, copy, install, compile_all = _commands()
    make_wheel(folder / "source", wheels)
    binds = ["--bind", str(prefix), "/prefix", "--ro-bind", str(wheels), "/wheels"]
    writable = ["--bind", str(stage.local), "/usr/local"]
    _write_etc(stage)
    _in_sandbox(stage, [*writable, *binds], copy)
    _in_sandbox(stage, [*writable, *binds], install.replace("pip install", "pip install --no-index --no-deps"))
    image = Image(folder / "image")
    image.etc.mkdir(parents=True)
    _lay_out_base(image.local)
    shutil.rmtree(image.local / "lib" / PYTHON / "site-packages")
    _copy_distributions(prefix / "lib" / PYTHON / "site-packages")
    subprocess.run(["cp", "-a", f"{prefix}/.", str(image.local)], check=True)  # extended attributes too, as COPY does
    _write_etc(image)
    _in_sandbox(image, ["--bind", str(image.local), "/usr/local"], compile_all)
    return image


def _commands() -> tuple[str, str, str, str, str]:
    found = commands()
    assert len(found) == 5, "the Dockerfile has steps that these tests do not know"
    tools, wheel, copy, install, compile_all = found
    assert [tools[:7], wheel[:9], copy[:3], install.split()[0], compile_all.split()[2]] == [
        "apt-get", "pip wheel", "cp ", "clusterdns-python", "compileall",
    ]  # fmt: skip
    return tools, wheel, copy, install, compile_all


def _lay_out_base(local: Path) -> None:
    """Lay out the tests' interpreter as in python:slim; files are hard links where possible."""
    base = Path(sys.base_prefix)
    (local / "bin").mkdir(parents=True)
    interpreter = Path(sys.base_exec_prefix) / "bin" / PYTHON
    shutil.copy(interpreter, local / "bin" / PYTHON)
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to(PYTHON)
    (local / "lib").mkdir()
    for library in base.glob("lib/libpython*.so*"):
        _link(str(library), str(local / "lib" / library.name))
    ignored = shutil.ignore_patterns("__pycache__", *LEFT_OUT)
    shutil.copytree(base / "lib" / PYTHON, local / "lib" / PYTHON, ignore=ignored, copy_function=_link)
    packages = local / "lib" / PYTHON / "site-packages"
    packages.mkdir()
    pip = Path(str(distribution("pip").locate_file("pip")))
    shutil.copytree(pip, packages / "pip", copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def make_wheel(source: Path, wheels: Path) -> None:
    """Build the wheel outside the sandbox, because pip fetches setuptools. Skips the test without a registry."""
    _, command, *_ = _commands()
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("clusterdns", "share"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = command.replace("/wheels", str(wheels)).split()
    words[0:1] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True)
    if "No matching distribution found for setuptools" in done.stderr:
        missing("a package registry", "let pip reach one, for setuptools")
    assert done.returncode == 0, done.stderr


def _copy_distributions(packages: Path) -> None:
    """Copy the program's dependencies, with theirs, into the prefix, as pip would have installed them."""
    (program,) = packages.glob("clusterdns-*.dist-info")
    for found in _required(Distribution.at(program), set()):
        for file in found.files or ():
            source, target = Path(str(found.locate_file(file))), packages / file
            if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(str(source), str(target))


def _required(root: Distribution, seen: set[str]) -> Iterator[Distribution]:
    for text in root.requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = canonicalize_name(requirement.name)
        if wanted and name not in seen:
            seen.add(name)
            found = distribution(name)
            yield found
            yield from _required(found, seen)


def _write_etc(image: Image) -> None:
    """Write users and the loader's cache, through which a file with capabilities finds its libraries."""
    (image.etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (image.etc / "nsswitch.conf").write_text("hosts: files dns\n")
    (image.etc / "ld.so.conf").write_text(LINKER_PATHS)
    for mount_point in ("coredns", "hosts", "resolv.conf"):
        path = image.etc / mount_point
        path.mkdir() if mount_point == "coredns" else path.touch()
    _in_sandbox(image, ["--bind", str(image.etc), "/etc"], "/usr/sbin/ldconfig")


def _in_sandbox(image: Image, binds: list[str], command: str) -> None:
    """Run a command of the Dockerfile as root, with only the bound folders writable."""
    sandbox = [need("bwrap"), *image.mounts, *binds, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
    done = subprocess.run(
        [*sandbox, "--chdir", "/", "/bin/sh", "-ec", command], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


def _machine_mount(path: str) -> list[str]:
    if os.path.islink(path):
        return ["--symlink", os.readlink(path), path]
    return ["--ro-bind", path, path] if os.path.isdir(path) else []
