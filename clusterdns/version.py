"""The program's name and version, as printed for `-version` and at the start."""

import platform

import clusterdns


def banner() -> str:
    """Return two lines: name and version, then the platform and the interpreter."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return (
        f"clusterdns-{clusterdns.__version__}\n{platform.system().lower()}/{machine}, python{platform.python_version()}"
    )
