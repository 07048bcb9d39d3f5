"""Slices as scanners write them: geometry and numbers, and identifiers in their usual places."""

from typing import Final

from tests.deidentification.patients import Patient
from tests.deidentification.writing import Cell, File, Tree, number, text

MODALITIES: Final = ["CT", "MR", "PT"]
SOP_CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
ROWS: Final = 2
_OWN: Final[dict[str, dict[int, tuple[str, str]]]] = {
    "CT": {
        0x00180060: ("DS", "120"),
        0x00181210: ("SH", "B31f"),
        0x00281054: ("LO", "HU"),
        0x00181151: ("IS", "182"),
    },
    "MR": {
        0x00180020: ("CS", "SE"),
        0x00180021: ("CS", "SK"),
        0x00180022: ("CS", "PFP"),
        0x00180080: ("DS", "450"),
        0x00180081: ("DS", "9.5"),
        0x00180085: ("SH", "1H"),
    },
    "PT": {
        0x00280051: ("CS", "DECY\\ATTN"),
        0x00541000: ("CS", "STATIC\\IMAGE"),
        0x00541001: ("CS", "BQML"),
        0x00541101: ("LO", "measured"),
        0x00541102: ("CS", "START"),
        0x00541300: ("DS", "0"),
    },
}


def usual(patient: Patient, modality: str, series: int, index: int) -> File:
    """Return one slice of a series."""
    sop_class, sop_uid = SOP_CLASSES[modality], patient.uid(f"{series}.1.{index}")
    tree = _who(patient) | _where(patient) | _when(patient) | _image(modality, index)
    tree |= {tag: text(vr, value) for tag, (vr, value) in _OWN[modality].items()}
    tree |= {
        0x00080016: text("UI", sop_class),
        0x00080018: text("UI", sop_uid),
        0x00080060: text("CS", modality),
        0x0020000D: text("UI", patient.uid(f"{series}.2")),
        0x0020000E: text("UI", patient.uid(f"{series}.3")),
        0x00200052: text("UI", patient.uid(f"{series}.4")),
        0x00081140: _reference(sop_class, patient.uid(f"{series}.5")),
        0x00082112: _reference(sop_class, patient.uid(f"{series}.6")),
    }
    if modality == "PT":
        tree[0x00540016] = _tracer(patient)
    meta = {
        0x00020002: text("UI", sop_class),
        0x00020003: text("UI", sop_uid),
        0x00020016: text("AE", "CT_ROOM_7"),
    }
    pixels = bytes(range(8 * index, 8 * index + 8))
    name = f"{patient.patient_id}_{index}.dcm"
    folder = patient.name.split("=")[0].replace("^", "_") + f"_{patient.born:%Y%m%d}"
    return File(tree, meta, pixels, folder=folder, name=name)


def _who(patient: Patient) -> Tree:
    coded = patient.encoded
    named = {
        0x00100010: ("PN", patient.name),
        0x00100020: ("LO", patient.patient_id),
        0x00101000: ("LO", patient.other_id),
        0x00080050: ("SH", patient.accession),
        0x00080090: ("PN", patient.doctor),
        0x00101040: ("LO", patient.street),
        0x00102154: ("SH", patient.phone[:16]),
        0x00080080: ("LO", patient.hospital),
        0x00104000: ("LT", f"Reach {patient.mail}"),
        0x00081030: ("LO", f"CT of {patient.name.split('=')[0]}"),
    }
    tree = {tag: Cell(vr, _even(coded(value))) for tag, (vr, value) in named.items()}
    return tree | {
        0x00080005: text("CS", patient.charset),
        0x00100040: text("CS", "F"),
        0x00101010: text("AS", "061Y"),
        0x00101030: text("DS", "61.5"),
        0x00200010: text("SH", patient.accession[:8]),
    }


def _where(patient: Patient) -> Tree:
    return {
        0x00080070: text("LO", "ACME"),
        0x00081090: text("LO", "Tomo 3000"),
        0x00081010: Cell("SH", _even(patient.encoded(patient.hospital[:16]))),
        0x00181000: text("LO", "SN4711"),
    }


def _when(patient: Patient) -> Tree:
    day = f"{patient.studied:%Y%m%d}"
    tree = {tag: text("DA", day) for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023)}
    tree |= {tag: text("TM", "083000.5") for tag in (0x00080030, 0x00080031, 0x00080033)}
    return tree | {
        0x0008002A: text("DT", f"{day}083001.25+0200"),
        0x00100030: text("DA", f"{patient.born:%Y%m%d}"),
        0x00181200: text("DA", day),
        0x00080201: text("SH", "+0200"),
    }


def _image(modality: str, index: int) -> Tree:
    tree = {
        0x00080008: text("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00180050: text("DS", "3.000"),
        0x00185100: text("CS", "HFS"),
        0x00200011: text("IS", "3"),
        0x00200012: text("IS", "1"),
        0x00200013: text("IS", str(index + 1)),
        0x00200032: text("DS", f"-1\\-1\\{3 * index}.0"),
        0x00200037: text("DS", "1\\0\\0\\0\\1\\0"),
        0x00201041: text("DS", f"{3 * index}.0"),
        0x00280004: text("CS", "MONOCHROME2"),
        0x00280030: text("DS", "0.9765625\\0.9765625"),
        0x00281052: text("DS", "-1024" if modality == "CT" else "0"),
        0x00281053: text("DS", "1"),
    }
    numbers = ((0x0002, 1), (0x0010, ROWS), (0x0011, 2), (0x0100, 16), (0x0101, 12), (0x0102, 11))
    return tree | {0x00280000 + tag: number(value) for tag, value in (*numbers, (0x0103, 0))}


def _reference(sop_class: str, uid: str) -> Cell:
    return Cell("SQ", [{0x00081150: text("UI", sop_class), 0x00081155: text("UI", uid)}])


def _tracer(patient: Patient) -> Cell:
    """Return Radiopharmaceutical Information (PS3.3 C.8.9.2), as written by PET scanners."""
    day = f"{patient.studied:%Y%m%d}"
    nuclide = {0x00080100: text("SH", "C-111A1"), 0x00080102: text("SH", "SRT")}
    return Cell(
        "SQ",
        [
            {
                0x00180031: Cell("LO", _even(patient.encoded(f"FDG {patient.name[:20]}"))),
                0x00181072: text("TM", "072500"),
                0x00181074: text("DS", "370000000"),
                0x00181075: text("DS", "6586.2"),
                0x00181078: text("DT", f"{day}072500"),
                0x00540300: Cell("SQ", [nuclide | {0x00080104: text("LO", "^18^Fluorine")}]),
            }
        ],
    )


def _even(raw: bytes) -> bytes:
    return raw + b" " * (len(raw) % 2)
