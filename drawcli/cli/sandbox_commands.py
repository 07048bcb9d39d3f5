"""sandbox: a DRAW server on this machine. demo: the whole cycle on it, with phantom scans."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    _ = app
