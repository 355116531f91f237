"""Real programs that tests ask for by name, and what to do where one is missing.

A missing one skips the test with how to get it; with CLUSTERDNS_REQUIRE_PEERS=1, as in CI, it fails instead.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

IS_MISSING = " is missing: "  # how the summary's lines about skipped tests are told from others
HOW_TO_GET = {
    "coredns": "run `make peers` (needs Go)",
    "knotd": "install the Debian package knot",
    "dnsperf": "install the Debian package dnsperf",
    "dig": "install the Debian package bind9-dnsutils",
    "nslookup": "install the Debian package bind9-dnsutils",
    "busybox": "install the Debian package busybox",
    "bwrap": "install the Debian package bubblewrap",
    "setcap": "install the Debian package libcap2-bin",
    "getcap": "install the Debian package libcap2-bin",
    "nsenter": "install the Debian package util-linux",
    "ip": "install the Debian package iproute2",
    "openssl": "install the Debian package openssl",
    "go": "install Go 1.24 or later",
    "script": "install the Debian package bsdutils",
}


def need(tool: str) -> str:
    """The path of a program: built by `make peers`, on PATH, or where Debian puts servers."""
    built = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusterdns" / "peers" / "bin"
    places = os.pathsep.join((str(built), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = shutil.which(tool, path=places)
    return found or missing(tool, HOW_TO_GET.get(tool, f"install {tool}"))


def missing(what: str, how_to_get: str) -> NoReturn:
    """Skip the test, or fail it where peers are required."""
    text = f"{what}{IS_MISSING}{how_to_get}"
    if os.environ.get("CLUSTERDNS_REQUIRE_PEERS") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
