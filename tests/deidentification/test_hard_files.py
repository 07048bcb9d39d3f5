"""Identifiers planted anywhere are all removed.

Alone, the engine answers for everything outside the words and numbers of the scanner that it
copies; together with the gate, for those too.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from tests.conftest import Site
from tests.deidentification import engine
from tests.deidentification.hard_files import (
    COPIED_TAGS,
    ELEMENTS,
    OUTSIDE,
    REBUILT,
    WITHIN,
    Case,
    cases,
)
from tests.deidentification.patients import CHARSETS
from tests.deidentification.search import Judge, pixels_of
from tests.deidentification.test_midi_b import PERSON
from tests.deidentification.usual import MODALITIES, usual
from tests.deidentification.writing import Cell, text

TIMES = int(os.environ.get("TORTURE", "1"))  # the long form: make torture
IN_STORE = 24 * min(TIMES, 10)
# What a failing example shrinks to takes minutes to find; the long form takes them.
PHASES = [Phase.explicit, Phase.generate, *([Phase.shrink] if TIMES > 1 else [])]


def many(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return settings of hypothesis: so many examples, always the same ones in the short form."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )


def drawn(strategy: st.SearchStrategy[Case], count: int) -> list[Case]:
    """Return examples of a strategy, always the same ones in the short form."""
    found: list[Case] = []

    @many(count)
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hard")


def written(case: Case, folder: Path, number: int = 0) -> list[Path]:
    """Write the slices of a case into a folder that may name the patient; return their paths."""
    paths = []
    for file in case.files(number):
        path = folder / str(number) / file.folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.written())
        paths.append(path)
    return paths


@many(500)
@given(case=cases(OUTSIDE))
def test_the_engine_leaves_identifiers_only_within_words_of_scanners(
    case: Case, folder: Path
) -> None:
    copied = any(p.is_copied(t) for p, t in zip(case.plants, case.texts(), strict=True))
    (path,) = written(case, folder)

    try:
        raw = engine.one(path)
    except engine.REFUSED:
        event("refused")
        return

    event("copied" if copied else "looked at")
    assert pixels_of(raw) == case.files()[0].pixels
    if not copied:
        assert Judge(case.patient).leaks(raw, pixels_of(raw)) == set()


@many(250)
@given(case=cases(st.one_of(WITHIN, OUTSIDE), slices=2))
def test_nothing_of_the_patient_passes_engine_and_gate(case: Case, folder: Path) -> None:
    paths = written(case, folder)

    try:
        package = engine.packaged(paths, folder / "package.zip")
        found = engine.found_by_gate(package, paths)
    except engine.REFUSED:
        event("refused")
        return

    event("blocked" if found else "passed")
    if not found:
        assert Judge(case.patient).zipped(package) == set()


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "implicit"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_no_element_of_the_dictionary_identifies_the_patient(
    modality: str,
    explicit: bool,  # noqa: FBT001 - a parameter
    folder: Path,
) -> None:
    """All elements without words of scanners at once, also in items of sequences."""
    file = usual(PERSON, modality, 0, 0)
    file.explicit = explicit
    said = {tag: text("LO", PERSON.hospital) for tag in ELEMENTS}
    said |= {group << 16 | 0x1001: text("LO", PERSON.hospital) for group in range(9, 0x7FDF, 2)}
    for sequence in REBUILT:
        file.tree[sequence] = Cell("SQ", [dict(said)])
    file.tree = said | file.tree
    path = folder / "1.dcm"
    path.write_bytes(file.written())

    assert Judge(PERSON).leaks(engine.one(path), file.pixels) == set()


CODE_STRINGS = [tag for tag in COPIED_TAGS if DicomDictionary[tag][0] == "CS"]


@pytest.mark.parametrize("said", ["uid", "born", "patient_id", "accession"])
def test_nothing_of_the_patient_hides_in_a_code_string(said: str, folder: Path) -> None:
    hidden = {
        "uid": PERSON.uid("9.9"),
        "born": f"20240102{PERSON.born:%d.%m.%Y}",
        "patient_id": PERSON.patient_id,
        "accession": PERSON.accession,
    }[said]
    left = set()
    for tag in CODE_STRINGS:
        file = usual(PERSON, "PT" if tag >> 16 == 0x0054 else "CT", 0, 0)
        file.tree[tag] = text("CS", hidden)
        path = folder / "1.dcm"
        path.write_bytes(file.written())
        try:
            package = engine.packaged([path], folder / "package.zip")
            found = engine.found_by_gate(package, [path])
        except engine.REFUSED:
            continue
        if not found and Judge(PERSON).zipped(package):
            left.add(f"{tag:08X}")

    assert left == set()


def test_hard_series_pass_through_the_steps_clean(taking: Site, ctx: Context) -> None:
    hard = drawn(cases(st.one_of(OUTSIDE, OUTSIDE, WITHIN), slices=2), IN_STORE)
    for number, case in enumerate(hard):
        written(case, taking.store, number)

    jobs = engine.through_steps(ctx)

    states = Counter(job.state for job in jobs)
    assert states[State.PACKAGED] > len(hard) // 3
    assert [job.reason for job in jobs if job.reason_code == "bug"] == []
    for job in jobs:
        package = engine.package_of(ctx, job)
        if package is not None:
            # Of its own patient: a day of another's may be this one's shifted day by chance.
            number = int(ctx.crosswalk(job).series_uid.split(".")[-2])
            assert Judge(hard[number].patient).zipped(package) == set()


@pytest.fixture
def taking(site: Site) -> Site:
    """A site that sends every scan of two slices and more; to be named before `ctx`."""
    engine.take_everything(site)
    return site


# --- the generator and the judge themselves -------------------------------------------------


def test_the_cases_reach_everywhere() -> None:
    hard = drawn(cases(st.one_of(OUTSIDE, WITHIN)), 400)
    plants = [plant for case in hard for plant in case.plants]

    assert len({case.patient.charset for case in hard}) > 0.8 * len(CHARSETS)  # drawn unevenly
    assert {len(case.patient.name.split("=")) for case in hard} == {1, 2, 3}
    assert {len(plant.path) for plant in plants} == set(range(6))
    assert {plant.place for plant in plants} == {
        *("element", "private", "meta", "directory", "icon", "length"),
        *("behind", "padding", "preamble", "garbage"),
    }
    assert {plant.tag >> 24 for plant in plants} >= {0x50, 0x60}
    assert any(plant.place == "private" and plant.path for plant in plants)
    assert any(plant.hidden for plant in plants)
    tokens = {plant.token % len(case.patient.tokens) for case in hard for plant in case.plants}
    assert len(tokens & {*range(30)}) > 25


def test_the_judge_sees_every_token_of_every_patient() -> None:
    for case in drawn(cases(), 60):
        judge = Judge(case.patient)
        for token in case.patient.tokens:
            assert judge.said(f"see {token}, please"), token


def test_the_judge_sees_what_the_sources_say(folder: Path) -> None:
    for case in drawn(cases(), 60):
        (path,) = written(case, folder)
        assert len(Judge(case.patient).leaks(path.read_bytes())) > 5


def test_a_plain_hard_series_is_sent_and_not_refused(folder: Path) -> None:
    """Otherwise an engine that refuses everything would pass."""
    outcomes = Counter[str]()
    for case in drawn(cases(), 60):
        try:
            engine.one(written(case, folder)[0])
        except engine.REFUSED:
            outcomes["refused"] += 1
        else:
            outcomes["sent"] += 1

    assert outcomes["sent"] > 40
