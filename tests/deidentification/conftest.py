"""pydicom tells of every odd value that it reads; these tests are made of odd values."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Keep what pydicom has to say of damaged files out of the way."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    yield
    logger.disabled = before
