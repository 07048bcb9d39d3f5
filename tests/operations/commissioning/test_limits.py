"""Limits set by hand: read with their reasons, or refused with the place of each mistake."""

from pathlib import Path

import pytest

from drawcli.errors import ConfigError
from drawcli.operations.commissioning.limits import given_limits, limits_by_hand
from tests.conftest import Site

GOOD = """
Pelvis:
  Bladder:
    dice: {centre: 0.94, limit: 0.88, reason: audit}
    hd95_mm: {centre: 3, limit: 8, reason: audit}
"""


def test_limits_are_read_with_their_reason(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(GOOD)

    found = limits_by_hand(path)

    dice, hd95 = found["Pelvis", "Bladder", "dice", ""], found["Pelvis", "Bladder", "hd95_mm", ""]
    assert [dice.centre, dice.lower, hd95.centre, hd95.upper] == pytest.approx([0.94, 0.88, 3, 8])
    assert (dice.source, dice.reason) == ("by hand", "audit")


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("Pelvis: 3", ":1:1", "expected an ROI"),
        ("- Pelvis", ":1:1", "expected a template"),
        ("Pelvis:\n  Bladder: dice", ":2:3", "expected a metric"),
        ("Pelvis: {Bladder: {dise: {}}}", ":1:20", "did you mean 'dice'"),
        ("Pelvis: {Bladder: {dice: {centre: 0.9, limit: 0.8}}}", ":1:20", "a reason"),
        ("Pelvis: {Bladder: {dice: {centre: 0.9, limit: x, reason: a}}}", ":1:20", "a number"),
        ("Pelvis: {Bladder: {dice: {centre: 0.9, limit: 0.95, reason: a}}}", ":1:20", "below"),
        ("Pelvis: {Bladder: {hd95_mm: {centre: 5, limit: 4, reason: a}}}", ":1:20", "above"),
        ("Pelvis: {Bladder: {dice: {centre: 94, limit: 88, reason: a}}}", ":1:20", "from 0 to 1"),
        ("Pelvis: {Bladder: {hd95_mm: {centre: 5, limit: .inf, reason: a}}}", ":1:20", "from 0 to"),
        ("Pelvis: {Bladder: {dice: {center: 0.9}}}", ":1:20", "did you mean 'centre'"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, where: str, why: str) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        limits_by_hand(path)

    assert f"limits.yaml{where}" in str(caught.value)
    assert why in str(caught.value)


def test_limits_set_by_hand_hold_for_every_version_and_before_all_others(site: Site) -> None:
    (site.folder / "limits.yaml").write_text(GOOD)
    site.add_line("qa: {limits: limits.yaml}")
    folder = site.state / "qa"
    folder.mkdir()
    commissioned = (
        '{"template": "Pelvis", "roi": "%s", "metric": "dice", "version": "v1", "limits": '
        '{"centre": 0.5, "lower": 0.4, "upper": 0.6, "sigma": 0.1, "n": 20, "later": 1}}\n'
    )
    lines = commissioned % "Bladder" + commissioned % "Rectum" + '{"template": 1}\n{"torn'
    (folder / "baselines.jsonl").write_text(lines)

    give = given_limits(site.settings())

    bladder, rectum = (give("Pelvis", roi, "dice", "v1") for roi in ("Bladder", "Rectum"))
    assert (bladder and bladder.source, rectum and rectum.centre) == ("by hand", 0.5)
    assert give("Pelvis", "Bladder", "dice", "v2") == bladder
    assert give("Pelvis", "Rectum", "dice", "v2") is None
