"""A pair of tokens."""

import json
from pathlib import Path

import pytest

from drawcli.adapters.server.token_file import TokenFile


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    path = tmp_path / "token.json"
    path.write_text(json.dumps({"access_token": "access-1", "refresh_token": "refresh-1"}))
    path.chmod(0o600)
    return TokenFile(path)
