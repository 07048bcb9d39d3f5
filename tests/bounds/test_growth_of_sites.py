"""The work for a site grows no faster than its folders, files and rules."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from drawcli.adapters.datastore import element_texts
from drawcli.adapters.rulebook import rules_file
from drawcli.adapters.rulebook.rulebook import check_rules
from drawcli.authoring import rule_edits
from drawcli.authoring.former_export import FormerExport
from drawcli.config.sections import Scan
from drawcli.core.qa.candidates import DeliveredSeries, StructureSetFacts, _descendants
from drawcli.core.rtstruct.presentation import presentation_of
from drawcli.core.templates.template import Model, Template
from drawcli.errors import ConfigError
from drawcli.pipeline.survey.folder_settings import FolderSettings
from drawcli.pipeline.survey.judge import Judge
from drawcli.pipeline.survey.update import Update, WalkOptions
from drawcli.system.records import nearest
from drawcli.system.yaml_read import MOST_PROBLEMS, parse_yaml
from tests.bounds.test_growth import MOST, growth

pytestmark = pytest.mark.sweep
ROOT = Path("/dicom")
JOINER = "ruleset_combination_type"


class GoneFolders:
    """An index whose folders are all gone."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = dict(enumerate(paths))

    def folders_except(self, _seen: set[int]) -> dict[int, str]:
        return self._paths

    def series_in(self, folder: int) -> set[int]:
        return {folder}

    def drop_folder(self, folder: int, _now: int) -> None:
        del self._paths[folder]


class FlatFolder:
    """An index of one folder that holds every series, and unreadable files."""

    def __init__(self, count: int) -> None:
        self.unread = list(range(count))
        self.asked = 0

    def first_and_folders(self, series: int) -> tuple[int, list[int]]:
        return series, [7]

    def unread_since(self, _folder: int, _reasons: Iterable[str]) -> list[int]:
        self.asked += 1
        return self.unread


def update_of(count: int) -> Update:
    """Return a walk that could not list some folders whose subfolders the index knows."""
    index = GoneFolders(f"/dicom/{n}/a/b" for n in range(count))
    update = Update(cast("Any", index), WalkOptions(), lambda: 0, lambda _files: None)
    update._troubled = [f"/dicom/{n}" for n in range(count)]
    return update


def test_known_folders_below_many_that_cannot_be_listed() -> None:
    one = update_of(5)
    one._forget()

    assert one.unlistable == set(range(5))
    assert growth(update_of, Update._forget, 200) < MOST


def test_many_folders_with_settings_of_their_own() -> None:
    def make(count: int) -> tuple[FolderSettings, list[str]]:
        names = [f"ward/{n}" for n in range(count)]
        own = Scan.read({"folders": {name: {"min_slices": 4} for name in names}})
        return FolderSettings(own, [ROOT]), [f"/dicom/{name}/x/" for name in names]

    def read(made: tuple[FolderSettings, list[str]]) -> int:
        return sum(map(made[0].number_of, made[1]))

    assert growth(make, read, 100) < MOST


def test_unreadable_files_of_a_folder_are_listed_once_for_all_series() -> None:
    index = FlatFolder(100)
    judge = Judge(
        index=cast("Any", index),
        wishes=FolderSettings(Scan(), []),
        pulled=cast("Any", None),
        known_under=cast("Any", None),
    )

    counts = [judge._count_unread(series, patience=10) for series in (0, 50, 100, 200)]

    assert counts == [100, 60, 10, 0]
    assert index.asked == 1


def test_only_the_problems_that_are_shown_are_searched_for_what_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched = list[object]()

    def search(name: object, known: Iterable[object]) -> str:
        searched.append(name)
        return nearest(name, known) if len(searched) == 1 else ""

    monkeypatch.setattr(rules_file, "nearest", search)
    monkeypatch.setattr(rules_file, "suggest", search)
    monkeypatch.setattr(rules_file, "suggest_key", search)
    entry = "- {name: a%d, template: b%d, when: {Modalit%d: CT}, key%d: 1}\n"
    source = "rules:\n" + "".join(entry.replace("%d", str(n)) for n in range(200))

    with pytest.raises(ConfigError) as caught:
        check_rules(parse_yaml(Path("rules.yaml"), source.encode()), {"t"})

    assert "and 550 further errors" in str(caught.value)
    assert MOST_PROBLEMS <= len(searched) <= MOST_PROBLEMS + 1


def test_an_export_with_numbers_of_one_hash(tmp_path: Path) -> None:
    path = tmp_path / "export.json"

    def make(count: int) -> FormerExport:
        rules = [
            {"model": "draw.ruleset", "pk": n, "fields": {"rulegroup": 1, JOINER: n * (2**61 - 1)}}
            for n in range(count)
        ]
        path.write_text(json.dumps([{"model": "draw.rulegroup", "pk": 1, "fields": {}}, *rules]))
        return FormerExport(path)

    assert growth(make, lambda export: list(export.rules()), 300) < MOST


def test_values_of_all_items_of_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"ImageType": ("A",) * 1000}
    monkeypatch.setattr(element_texts, "_decoded", lambda _item, _depth: values)

    def read(items: range) -> int:
        return len(element_texts._of_items("Sequence", items, 0)["Sequence.*.ImageType"])

    assert read(range(3)) == 3000
    assert growth(range, read, 100) < MOST


def test_structures_that_the_template_does_not_have_are_ranked_behind_its_own() -> None:
    model = Model(name="M", config="2d", trainer_name="T", postprocess=None, map={1: "B", 2: "A"})
    template = Template(models={720: model})

    ranks = presentation_of(template, {1: "X", 2: "A", 3: "B", 4: "X", 5: "Y"}).ranks

    assert sorted(ranks, key=ranks.__getitem__) == [3, 2, 1, 4, 5]


def test_structure_sets_made_from_each_other() -> None:
    delivered = DeliveredSeries(
        instance="0", patient="", series="", delivered_at=datetime(2026, 1, 1, tzinfo=UTC)
    )

    def make(count: int) -> list[StructureSetFacts]:
        chain = [
            StructureSetFacts(
                digest="",
                instance=f"{n + 1}",
                contours="",
                patient="",
                predecessors=frozenset({f"{n}"}),
            )
            for n in range(count)
        ]
        random.Random(7).shuffle(chain)  # noqa: S311
        return chain

    assert _descendants(make(9), delivered) == {f"{n}" for n in range(10)}
    assert growth(make, lambda fit: _descendants(fit, delivered), 100) < MOST


def test_a_line_of_blanks_in_a_rule_that_is_edited() -> None:
    counted = "  KVP: 120   # 3 of 4 series known when this was written"

    assert rule_edits._COUNTED.sub("", counted) == "  KVP: 120"
    assert growth(lambda n: " " * n + "x", rule_edits._COUNTED.search, 1000) < MOST
