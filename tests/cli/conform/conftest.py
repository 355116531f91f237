"""The suite's own objects."""

import pytest

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.served import ServedObjects, served


@pytest.fixture
def fixtures_text() -> str:
    """The objects as YAML, as `--print-fixtures` prints them."""
    return fixtures.text()


@pytest.fixture
def objects() -> ServedObjects:
    """The objects as the tables of cases get them."""
    return served(fixtures.own(), "cluster.local", "clusterset.local")
