"""The cached catalogue of a server."""

from datetime import UTC, datetime
from pathlib import Path

from drawcli.adapters.server.catalogue_cache import Catalogue, load_catalogue, save_catalogue
from drawcli.sandbox.catalogue import as_json

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def _saved(folder: Path, version: int) -> Catalogue:
    save_catalogue(folder, as_json(version=version), NOW)
    catalogue = load_catalogue(folder)
    assert catalogue is not None
    return catalogue


def test_the_digest_changes_with_the_entry_of_one_of_the_models(tmp_path: Path) -> None:
    first, second = _saved(tmp_path, 1), _saved(tmp_path, 2)

    assert first.digest_of([720, 730]) == first.digest_of([730, 720])
    assert first.digest_of([720]) != second.digest_of([720])
    assert first.digest_of([730]) == second.digest_of([730])
    assert first.digest_of([730]) != first.digest_of([730, 740])


def test_a_model_that_is_no_longer_offered_changes_the_digest(tmp_path: Path) -> None:
    whole = _saved(tmp_path, 1)
    save_catalogue(tmp_path, as_json()[1:], NOW)
    after = load_catalogue(tmp_path)

    assert after is not None
    assert whole.digest_of([720]) != after.digest_of([720])
