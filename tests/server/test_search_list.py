"""The walks of glibc and musl through a search list; tests/journeys compares them with the libraries."""

from collections.abc import Generator

import pytest
from server.search_lists import NXDOMAIN, ROWS, SearchRow

from clusterdns.server.explaining.explanation import SearchWalk
from clusterdns.server.explaining.searching.search_list import Results, glibc_walk, musl_walk


def walked(walking: Generator[str, Results, SearchWalk], known: dict[str, Results]) -> tuple[list[str], str]:
    """The names that were tried, and the name found or the error."""
    tried = [next(walking)]
    while True:
        try:
            tried.append(walking.send(known.get(tried[-1], NXDOMAIN)))
        except StopIteration as ended:
            found: SearchWalk = ended.value
            assert [step.name for step in found.steps] == tried
            assert [step.effect for step in found.steps[:-1]] == ["tries the next name"] * (len(tried) - 1)
            return tried, found.found or found.failure


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_stub_resolver_tries_and_ends_as_the_table_says(row: SearchRow) -> None:
    assert walked(glibc_walk(row.name, row.search), row.known) == row.glibc
    assert walked(musl_walk(row.name, row.search), row.known) == row.musl
