"""pydicom warns of every irregular value; these tests consist of them."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Ignore warnings of pydicom on damaged files."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    yield
    logger.disabled = before
