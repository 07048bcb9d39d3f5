"""Each target holds for the inputs of its corpus, and for many that are like them."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import dicom_tree, json_values
from tests.fuzz.image_files import SCRATCH, scratch
from tests.fuzz.mutations import mutated, rearranged
from tests.fuzz.targets import CORPUS, COSTLY, READ, UNITS, Units, corpus, targets

FEW, MANY = 1_500, 30_000
INPUTS = MANY if int(os.environ.get("TORTURE", "1")) > 1 else FEW
CASES = [(name, one) for name in targets() for one in corpus(name)]

WHOLE = {  # valid inputs that are read to the end; others are refused on purpose
    "image_header": 7,
    "header_difference": 2,
    "rule_header": 2,
    "jpeg_stream": 5,
    "jpeg_lossless_stream": 4,
    "jpeg_ls_stream": 5,
    "jpeg_2000_stream": 5,
    "rle_stream": 5,
    "functional_groups": 4,
    "structure_set": 3,
    "acceptance_gate": 3,
    "one_off_zip": 3,
    "package_gate": 1,
    "settings_file": 1,
    "rules_file": 2,
    "templates_file": 2,
    "server_answer": 8,
    "server_answer_http_2": 4,
    "server_download": 6,
    "former_export": 2,
    "former_patients": 1,
    "former_history": 1,
}


DEEP_ITEMS = [  # a header with 300 sequences of unknown length, each in an item of the former
    b"\0" * 128 + b"DICM\x02\0\0\0UL\x04\0\x1c\0\0\0\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0",
    *[b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"] * 300,
    b"\x08\0\x60\0CS\x02\0CT",
    *[b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"] * 300,
]


@pytest.mark.parametrize(
    ("alter", "data"),
    [
        (dicom_tree.altered, b"".join(DEEP_ITEMS)),
        *((json_values.altered, b"[" * depth + b"1" + b"]" * depth) for depth in (400, 900, 9000)),
    ],
)
def test_an_input_with_many_levels_is_changed_or_stays_as_it_is(
    alter: Callable[[bytes, Random], bytes], data: bytes
) -> None:
    for number in range(60):
        changed = rearranged(data, [data], Units(alter=alter), Random(number))  # noqa: S311
        assert isinstance(changed, bytes)


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(targets())
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 250_000


def test_files_of_a_target_lie_in_the_folder_of_its_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path))

    assert scratch().parent == tmp_path


@pytest.mark.parametrize(("name", "one"), CASES)
def test_what_was_found_once_stays_fixed(name: str, one: str) -> None:
    targets()[name](corpus(name)[one])


@pytest.mark.parametrize("name", WHOLE)
def test_valid_inputs_are_read_to_the_end(name: str) -> None:
    inputs, before = corpus(name), READ[name]
    for one in inputs:
        if one.startswith("valid-"):
            targets()[name](inputs[one])
    assert READ[name] - before == WHOLE[name]


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore")  # of pydicom and zipfile, about what the mutator made
@pytest.mark.parametrize("name", targets())
def test_what_is_like_a_valid_input_breaks_nothing(name: str) -> None:
    run, many = targets()[name], INPUTS // COSTLY.get(name, 1)
    for number, data in enumerate(mutated([*corpus(name).values()], many, UNITS.get(name))):
        try:
            run(data)
        except Exception as err:
            raise AssertionError(f"input {number}: {data.hex()}") from err
