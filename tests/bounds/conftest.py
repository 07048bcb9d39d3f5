"""Runs of the program, as the tests of its commands have them."""

from tests.cli.conftest import drawcli

__all__ = ["drawcli"]
