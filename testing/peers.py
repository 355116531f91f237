"""Where the programs that we are compared with are, and what to do when one is missing.

`make peers` puts CoreDNS into the user's cache folder and checks the rest. Nothing here builds or starts anything.
"""

import os
import shutil
import sys
from pathlib import Path


class MissingPeer(RuntimeError):
    """A program that a benchmark needs is not on this machine; the text says how to get it."""


_PACKAGES = {"knotd": "knot", "dnsperf": "dnsperf", "dig": "bind9-dnsutils", "busybox": "busybox", "openssl": "openssl"}


def coredns() -> Path:
    """The CoreDNS binary: $COREDNS, or what `make peers` built."""
    named = os.environ.get("COREDNS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(named) if named else cache / "clusterdns" / "peers" / "bin" / "coredns"
    if not os.access(path, os.X_OK):
        raise MissingPeer(f"CoreDNS is not at {path}: run `make peers`, or name it in COREDNS")
    return path


def clusterdns() -> Path:
    """Our own server, as installed beside the running Python."""
    path = Path(sys.executable).with_name("clusterdns")
    if not path.exists():
        raise MissingPeer(f"{path} is missing: run `make bench`, which installs it, or `pip install -e .`")
    return path


def program(name: str) -> Path:
    """A program of the distribution. Raises MissingPeer with the Debian package that brings it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if found is None:
        raise MissingPeer(f"{name} is missing: apt-get install {_PACKAGES.get(name, name)}")
    return Path(found)
