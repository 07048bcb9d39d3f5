"""The archive of the pull tests, for commands."""

from tests.pipeline.pull.conftest import pacs, pelvic, pulling_site, scans, server

__all__ = ["pacs", "pelvic", "pulling_site", "scans", "server"]
