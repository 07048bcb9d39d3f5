"""The settings section `pull`."""

from pathlib import Path

import pytest

from drawcli.config.load import Settings, load_settings
from drawcli.errors import ConfigError

GOOD = "{node: 'PACS@10.1.2.9:104', folder: store/pulled, keys: {Modality: CT}}"


def read(folder: Path, source: str, more: str = "") -> Settings:
    path = folder / "drawcli.yaml"
    path.write_text(
        "datastore: store\nstate_dir: state\n"
        "receive: {folder: store/in, callers: [CT1@10.1.2.0/24]}\n"
        f"pull:\n  sources:\n    - {source}\n{more}",
        encoding="utf-8",
    )
    return load_settings(path, {})


def test_a_source_is_read(tmp_path: Path) -> None:
    (source,) = read(tmp_path, GOOD).pull.sources

    assert source.name == "PACS@10.1.2.9:104"
    assert source.folder == tmp_path / "store" / "pulled"
    assert [key.keyword for key in source.query_keys] == ["Modality"]
    assert source.window is None


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ("{StudyDate: -1d}", ["-1d"]),
        ("{StudyDate: 20260131}", ["20260131"]),
        ("{StudyDate: 2026-01-31}", ["2026-01-31"]),
        ("{SeriesNumber: 3}", ["3"]),
        ("{Modality: [CT, MR]}", ["CT", "MR"]),
    ],
)
def test_values_of_keys_are_texts(tmp_path: Path, keys: str, values: list[str]) -> None:
    (source,) = read(tmp_path, GOOD.replace("{Modality: CT}", keys)).pull.sources

    assert list(source.keys.values()) == [values]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{folder: store/p, keys: {Modality: CT}}", "exactly one of node, dicomweb"),
        (GOOD.replace("node:", "dicomweb: 'https://a/b', node:"), "exactly one of"),
        (GOOD.replace("folder: store/pulled, ", ""), "folder is missing"),
        (GOOD.replace("store/pulled", "elsewhere"), "is not in the datastore"),
        (GOOD.replace("store/pulled", "store/in"), "that of 'receive'"),
        (GOOD.replace("store/pulled", "store/in/deeper"), "that of 'receive'"),
        (GOOD.replace(", keys: {Modality: CT}", ""), "the whole archive would be pulled"),
        (GOOD.replace("Modality: CT", "Modalty: CT"), "did you mean 'Modality'"),
        (GOOD.replace("Modality: CT", "SOPInstanceUID: 1.2"), "is no key"),
        (GOOD.replace("Modality: CT", "StudyDate: soon"), "StudyDate: should be days"),
        (GOOD.replace("PACS@10.1.2.9:104", "PACS"), "AE_TITLE@host:port"),
        (GOOD.replace("}}", "}, between: '20:00'}"), "two times of day"),
        (GOOD.replace("}}", "}, between: '20:00-20:00'}"), "begins when it ends"),
        (GOOD.replace("}}", "}, by: store}"), "'get' or 'move'"),
        (GOOD.replace("}}", "}, by: move}"), "folder is not for C-MOVE"),
        (GOOD.replace("}}", "}, token_file: t}"), "token_file is for dicomweb only"),
        (GOOD.replace("}}", "}, bwlimit: 5K}"), "bwlimit"),
        (
            "{dicomweb: 'http://10.1.2.9/dicom-web', folder: store/p, keys: {Modality: CT}}",
            "plain http is not encrypted",
        ),
        (GOOD + f"\n    - {GOOD}", "names one source twice"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(tmp_path: Path, source: str, why: str) -> None:
    with pytest.raises(ConfigError, match="pull") as err:
        read(tmp_path, source)

    assert why in str(err.value)


def test_a_move_needs_the_receiver(tmp_path: Path) -> None:
    moved = "{node: 'PACS@10.1.2.9:104', by: move, keys: {Modality: CT}}"
    path = tmp_path / "drawcli.yaml"
    read(tmp_path, moved)
    path.write_text(path.read_text().replace("receive:", "#"))

    with pytest.raises(ConfigError, match="C-MOVE needs 'receive'"):
        load_settings(path, {})
