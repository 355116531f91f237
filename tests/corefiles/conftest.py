"""The fixture of the command line's tests, which runs the program in the test's own process."""

from cli.conftest import program

__all__ = ["program"]
