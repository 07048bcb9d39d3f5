"""Damaged files are refused with a reason, or sent whole and clean; never a traceback."""

import os
import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from tests.conftest import Site
from tests.deidentification import engine
from tests.deidentification.hard_files import COPIED_TAGS, ELEMENTS, NUMERIC
from tests.deidentification.patients import ZOERVIK
from tests.deidentification.search import Judge
from tests.deidentification.usual import MODALITIES, usual
from tests.deidentification.writing import Cell, File, element

SHORT, LONG = 800, 20_000
COUNT: Final = LONG if "TORTURE" in os.environ else SHORT
BATCH: Final = COUNT // 15
IN_STORE: Final = COUNT // 25
VRS: Final = "AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN US UT ZZ"
OUTCOMES: Final = {"refused", "blocked", "passed"}
Mutation = Callable[[File, random.Random], bytes]


def flipped(file: File, dice: random.Random) -> bytes:
    """Change some bytes."""
    raw = bytearray(file.written())
    for _ in range(dice.randint(1, 4)):
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    return bytes(raw)


def cut(file: File, dice: random.Random) -> bytes:
    """Cut off the end of the file, or a piece in the middle."""
    raw = file.written()
    start = dice.randrange(len(raw))
    return raw[:start] if dice.random() < 0.5 else raw[:start] + raw[start + dice.randint(1, 40) :]


def wrong_length(file: File, dice: random.Random) -> bytes:
    """Give an element a wrong length."""
    raw = file.written()
    tag = dice.choice([tag for tag in file.tree if isinstance(file.tree[tag].value, bytes)])
    start = raw.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    length = dice.choice([0, 1, 3, 7, 255, 0x7FFF, 0xFFFF, dice.randrange(64)])
    at, form = (start + 6, "<H") if file.explicit else (start + 4, "<I")
    if not file.explicit and length == 0xFFFF:
        length = 0xFFFFFFFF
    return raw[:at] + struct.pack(form, length) + raw[at + struct.calcsize(form) :]


def swapped(file: File, dice: random.Random) -> bytes:
    """Exchange the tags of two elements."""
    plain = [tag for tag in file.tree if tag not in COPIED_TAGS]
    one, other = dice.sample(plain, 2)
    file.tree[one], file.tree[other] = file.tree[other], file.tree[one]
    return file.written()


def other_vr(file: File, dice: random.Random) -> bytes:
    """Write an element under another VR."""
    tag = dice.choice([tag for tag in file.tree if isinstance(file.tree[tag].value, bytes)])
    file.tree[tag] = Cell(dice.choice(VRS.split()), file.tree[tag].value)
    return file.written()


def inserted(file: File, dice: random.Random) -> bytes:
    """Put an identifying element anywhere, in the order of the tags or not."""
    value = dice.choice(ZOERVIK.tokens).encode()
    tag = dice.choice([*ELEMENTS, *NUMERIC, dice.randrange(0x7FDF0000) | 0x10000])
    vr, value = dice.choice(VRS.split()), value + b" " * (len(value) % 2)
    if dice.random() < 0.5:
        file.tree[tag] = Cell(vr, value)
        return file.written()
    file.behind = element(tag, vr, value, explicit=file.explicit)
    return file.written()


MUTATIONS: Final = (flipped, cut, wrong_length, swapped, other_vr, inserted)


def damaged(seed: int, folder: Path, number: int = 0) -> list[Path]:
    """Write a series of two slices of which one is damaged; return their paths."""
    dice = random.Random(seed)  # noqa: S311 - to find damage again
    files = [usual(ZOERVIK, dice.choice(MODALITIES[:1]), number, index) for index in range(2)]
    hit, explicit = dice.randrange(2), dice.random() < 0.6
    mutation = MUTATIONS[seed % len(MUTATIONS)]
    paths = []
    for index, file in enumerate(files):
        file.explicit = explicit
        path = folder / str(number) / f"{index}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutation(file, dice) if index == hit else file.written())
        paths.append(path)
    return paths


def outcome(paths: list[Path], package: Path) -> str:
    """Return the result of a series: refused, blocked, or passed whole and clean."""
    try:
        engine.packaged(paths, package)
        found = engine.found_by_gate(package, paths)
    except engine.REFUSED:
        return "refused"
    if found:
        return "blocked"
    assert Judge(ZOERVIK).zipped(package) == set()
    return "passed"


@pytest.fixture
def taking(site: Site) -> Site:
    """A site that sends every scan of two slices and more; to be named before `ctx`."""
    engine.take_everything(site)
    return site


@pytest.mark.parametrize("batch", range(COUNT // BATCH))
def test_a_damaged_slice_is_refused_or_sent_clean(batch: int, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        paths = damaged(seed, tmp_path)
        try:
            outcomes[outcome(paths, tmp_path / "package.zip")] += 1
        except Exception as err:
            raise AssertionError(
                f"seed {seed}, {MUTATIONS[seed % len(MUTATIONS)].__name__}"
            ) from err

    assert outcomes["passed"] > 0
    assert outcomes["refused"] > 0


@pytest.mark.parametrize(
    ("tag", "vr"),
    [(0x00080060, "SQ"), (0x00080016, "SQ"), (0x00080020, "SQ"), (0x00280008, "FD")],
    ids=["Modality", "SOPClassUID", "StudyDate", "NumberOfFrames"],
)
def test_an_element_that_cannot_be_decoded_raises_nothing(
    tag: int, vr: str, tmp_path: Path
) -> None:
    file = usual(ZOERVIK, "CT", 0, 0)
    file.tree[tag] = Cell(vr, b"GHP482210957")
    path = tmp_path / "1.dcm"
    path.write_bytes(file.written())

    assert outcome([path], tmp_path / "package.zip") in OUTCOMES


@pytest.mark.parametrize("undefined", [True, False], ids=["undefined length", "defined length"])
def test_a_number_of_a_wrong_length_in_an_item_is_a_finding_or_refused(
    *, undefined: bool, tmp_path: Path
) -> None:
    file = usual(ZOERVIK, "CT", 0, 0)
    inside = {0x00180074: Cell("FD", f"#{ZOERVIK.born:%Y.%m.%d}#".encode())}
    file.tree[0x00480120] = Cell("SQ", [inside], undefined=undefined)
    path = tmp_path / "1.dcm"
    path.write_bytes(file.written())

    assert outcome([path], tmp_path / "package.zip") in OUTCOMES


def test_the_steps_take_a_store_of_damaged_series(taking: Site, ctx: Context) -> None:
    for seed in range(IN_STORE):
        damaged(seed, taking.store, seed)

    jobs = engine.through_steps(ctx)

    states = Counter(job.state for job in jobs)
    assert states[State.PACKAGED] > IN_STORE // 4
    assert states[State.PACKAGED] < len(jobs)
    assert [job.reason for job in jobs if job.reason_code == "bug"] == []
    for job in jobs:
        package = engine.package_of(ctx, job)
        if package is not None:
            assert len(engine.members(package)) == len(ctx.crosswalk(job).files)
            assert Judge(ZOERVIK).zipped(package) == set()


@pytest.mark.parametrize("share", [0.97, 0.9, 0.5, 0.1, 0])
def test_a_series_with_a_slice_that_ends_early_is_not_sent_in_part(
    share: float, taking: Site, ctx: Context
) -> None:
    for index in range(5):
        raw = usual(ZOERVIK, "CT", 0, index).written()
        length = int(len(raw) * share) if index == 2 else len(raw)
        (taking.store / f"{index}.dcm").write_bytes(raw[:length])

    jobs = engine.through_steps(ctx)

    assert {job.state for job in jobs} == {State.WAITING}
    assert list(taking.state.rglob("*.zip")) == []


def test_the_same_series_is_sent_where_no_slice_is_damaged(taking: Site, ctx: Context) -> None:
    for index in range(5):
        (taking.store / f"{index}.dcm").write_bytes(usual(ZOERVIK, "CT", 0, index).written())

    (job,) = engine.through_steps(ctx)

    package = engine.package_of(ctx, job)
    assert package is not None
    assert len(engine.members(package)) == 5
