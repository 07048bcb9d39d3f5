"""How fast rules are: 1,000 of them against 10,000 headers, beside reading those headers once.

    python bench/rules.py [--rules 1000] [--headers 10000] [--repeat 3] [--json]

The headers are of phantoms with the words of a department in them: 200 protocols, 40 descriptions,
another date for each.
"""

import random
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from measure import beside, options, tell
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.core.rules.conditions import Compare, Either, Every, Negation, Rule, RuleHeader
from drawcli.core.rules.decision import decide
from drawcli.core.rules.prefilter import Rules

FIRST_DAY = date(2026, 1, 1)


def made(folder: Path, count: int, dice: random.Random) -> list[Path]:
    """Write so many small CT headers."""
    paths = []
    for number in range(count):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.StudyDate = f"{FIRST_DAY + timedelta(days=number % 365):%Y%m%d}"
        one.ProtocolName = f"protocol {dice.randrange(200)}"
        one.SeriesDescription = f"description {dice.randrange(40)}"
        one.SliceThickness, one.Rows, one.Columns = dice.choice(("1", "2", "3")), 512, 512
        one.PatientName, one.PatientID = "Phantom^A", str(number)
        one.SeriesInstanceUID, one.StudyInstanceUID = generate_uid(), generate_uid()
        one.FrameOfReferenceUID, one.Manufacturer = generate_uid(), "ACME"
        one.PixelSpacing, one.ImagePositionPatient = [1, 1], [0, 0, number]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        path = folder / f"{number}.dcm"
        one.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def rules_of(count: int) -> Rules:
    """Return rules as departments write them: modality, protocol, thickness, some alternatives."""
    return Rules(
        Rule(
            name=f"rule {n}",
            template=f"T{n % 50}",
            when=Every(
                (
                    Compare("Modality", "equals", "CT"),
                    Compare("ProtocolName", "contains", f"protocol {n % 400}"),
                    Compare("SliceThickness", "at_most", 1 + n % 3),
                    Compare("StudyDate", "after", "-90d"),
                    Negation(Compare("SeriesDescription", "contains", f"n {n % 40}")),
                    Either((Compare("Rows", "equals", 512), Compare("Rows", "equals", 256))),
                )
            ),
        )
        for n in range(count)
    )


def read(paths: list[Path]) -> list[RuleHeader]:
    """Read the headers."""
    return [shared_elements([str(path)]) for path in paths]


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options(__doc__, rules=1000, headers=10_000, repeat=3).parse_args()
    dice = random.Random(5)  # noqa: S311 - phantoms
    rules, pairs, chosen = rules_of(given.rules), [], set()
    with tempfile.TemporaryDirectory() as folder:
        paths = made(Path(folder), given.headers, dice)
        for _ in range(given.repeat):
            begun = time.perf_counter()
            headers = read(paths)
            reading = time.perf_counter() - begun
            today = FIRST_DAY + timedelta(days=365)
            headers = [replace(header, today=today) for header in headers]
            begun = time.perf_counter()
            chosen |= {decide(one, rules, on_many="first").choice for one in headers}
            pairs.append((time.perf_counter() - begun, reading))
    assert "matched" in chosen  # noqa: S101 - else nothing was asked
    name = f"{given.rules:,} rules, {given.headers:,} headers / reading those"
    return tell([beside(name, pairs, target=1)], as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
