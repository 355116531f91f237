"""Real programs that tests ask for by name.

A missing one skips the test with how to get it; with CLUSTERDNS_REQUIRE_PEERS=1, as in CI, it fails instead.
"""

import os
from typing import NoReturn

import pytest

from testing.peers import MissingPeer, find

IS_MISSING = " is missing: "  # how the summary's lines about skipped tests are told from others


def need(program: str) -> str:
    """Find a program. Skips or fails the test where it is missing."""
    try:
        return str(find(program))
    except MissingPeer as error:
        skip_or_fail(error)


def missing(what: str, how_to_get: str) -> NoReturn:
    """Skip or fail the test for want of something."""
    skip_or_fail(MissingPeer(what, how_to_get))


def skip_or_fail(error: MissingPeer) -> NoReturn:
    """Skip the test, or fail it where peers are required."""
    if os.environ.get("CLUSTERDNS_REQUIRE_PEERS") == "1":
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))
