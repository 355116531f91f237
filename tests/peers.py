"""The real programs that tests need.

If a program is missing, the test is skipped with a message how to get it; with CLUSTERDNS_REQUIRE_PEERS=1, as in CI,
it fails instead.
"""

import os
from typing import NoReturn

import pytest

from testing.peers import MissingPeer, find

IS_MISSING = " is missing: "  # marks these lines in the summary of skipped tests


def need(program: str) -> str:
    """Return the path of a program; skip or fail the test if it is missing."""
    try:
        return str(find(program))
    except MissingPeer as error:
        skip_or_fail(error)


def missing(what: str, how_to_get: str) -> NoReturn:
    """Skip or fail the test because something is missing."""
    skip_or_fail(MissingPeer(what, how_to_get))


def skip_or_fail(error: MissingPeer) -> NoReturn:
    """Skip the test, or fail it if peers are required."""
    if os.environ.get("CLUSTERDNS_REQUIRE_PEERS") == "1":
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))
