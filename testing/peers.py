"""Where the real programs are that tests and benchmarks run, and how to get one that is missing.

`make peers` builds CoreDNS into the user's cache and checks the rest. Nothing here builds or starts a program; only our
own bytecode is made.
"""

import compileall
import os
import shutil
import sysconfig
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1] / "clusterdns"

HOW_TO_GET = {
    "coredns": "run `make peers` (needs Go)",
    "kustomize": "run `make peers` (needs Go)",
    "knotd": "install the Debian package knot",
    "dnsperf": "install the Debian package dnsperf",
    "dig": "install the Debian package bind9-dnsutils",
    "nslookup": "install the Debian package bind9-dnsutils",
    "kubectl": "install kubectl (kubernetes.io/docs/tasks/tools)",
    "busybox": "install the Debian package busybox",
    "bwrap": "install the Debian package bubblewrap",
    "setcap": "install the Debian package libcap2-bin",
    "getcap": "install the Debian package libcap2-bin",
    "nsenter": "install the Debian package util-linux",
    "unshare": "install the Debian package util-linux",
    "ip": "install the Debian package iproute2",
    "openssl": "install the Debian package openssl",
    "go": "install Go 1.24 or later",
    "script": "install the Debian package bsdutils",
    "zsh": "install the Debian package zsh",
    "fish": "install the Debian package fish",
    "groff": "install the Debian package groff",
    "mandoc": "install the Debian package mandoc",
    "chromium": "install the Debian package chromium",
}


class MissingPeer(RuntimeError):
    """A program that is not on this machine; the text says how to get it."""

    def __init__(self, name: str, how_to_get: str) -> None:
        super().__init__(f"{name} is missing: {how_to_get}")


def cache_folder() -> Path:
    """Return the folder below which the peers and the control plane are built, once per user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusterdns"


def find(name: str) -> Path:
    """Find a program: built by `make peers`, on PATH, or where Debian puts servers; $COREDNS names another CoreDNS.

    Raises MissingPeer.
    """
    if name == "coredns" and (named := os.environ.get("COREDNS")):
        return Path(named)
    folders = (str(cache_folder() / "peers" / "bin"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise MissingPeer(name, HOW_TO_GET.get(name, f"install {name}"))
    return Path(found)


@cache
def clusterdns() -> Path:
    """Find our own console script, installed beside the running Python, with its bytecode. Raises MissingPeer."""
    path = Path(sysconfig.get_path("scripts")) / "clusterdns"
    if not path.exists():
        raise MissingPeer("clusterdns", "run `make test` or `make bench`, which install it, or `pip install -e .`")
    compileall.compile_dir(_PACKAGE, quiet=1)  # as in the image, also where PYTHONDONTWRITEBYTECODE is set
    return path
