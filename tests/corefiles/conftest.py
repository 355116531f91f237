"""Running the program inside the test's own process, as the tests of the command line do."""

from cli.conftest import program

__all__ = ["program"]
