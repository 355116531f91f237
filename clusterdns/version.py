"""What the program says it is, at `-version` and when it starts."""

import platform

import clusterdns


def banner() -> str:
    """Two lines: name and version, then the platform and the interpreter."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return (
        f"clusterdns-{clusterdns.__version__}\n{platform.system().lower()}/{machine}, python{platform.python_version()}"
    )
