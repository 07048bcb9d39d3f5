"""Names are shown and found as they are read, whatever their character set."""

from pathlib import Path

import pytest

from drawcli.core.dicom.elements import readable_text
from drawcli.core.dicom.encoding import encode
from drawcli.core.dicom.header import read_header
from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.identity import names_patient, patient_of, whereabouts
from drawcli.pipeline.results import delivery_path
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import Clock

LATIN = "Lindqvíst^Åsa^Margareta"
# Bytes as scanners write them, made with the codecs of Python and the tables of PS3.5 annexes H, I.
NAMES = {
    "ascii": ("", b"Doe^Jane", "Doe^Jane"),
    "latin-1 without a character set": ("", LATIN.encode("latin-1"), LATIN),
    "latin-1": ("ISO_IR 100", LATIN.encode("latin-1"), LATIN),
    "utf-8": ("ISO_IR 192", LATIN.encode("utf-8"), LATIN),
    "utf-8 without a character set": ("", LATIN.encode("utf-8"), LATIN),
    "latin-1 that is declared as utf-8": ("ISO_IR 192", LATIN.encode("latin-1"), LATIN),
    "latin-2": ("ISO_IR 101", "Wałęsa^Łucja".encode("iso8859-2"), "Wałęsa^Łucja"),
    "cyrillic": ("ISO_IR 144", "Люксембург".encode("iso8859-5"), "Люксембург"),
    "greek": ("ISO_IR 126", "Διονυσιος".encode("iso8859-7"), "Διονυσιος"),
    "arabic": ("ISO_IR 127", "قباني^لنزار".encode("iso8859-6"), "قباني^لنزار"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    "chinese gbk": ("GBK", "Wang^XiaoDong=王^小东".encode("gbk"), "Wang^XiaoDong=王^小东"),
    "japanese": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "japanese of half width": (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    "korean": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "japanese without a character set": ("", b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_read_by_its_character_set(case: str) -> None:
    character_set, raw, name = NAMES[case]

    assert readable_text(raw + b" ", character_set.encode()) == name


def test_bytes_of_no_character_set_are_shown_all_the_same() -> None:
    for raw in (b"\xff\xfe\x81", b"\x1b$B\x80", b"\x1b"):
        assert readable_text(raw, b"ISO_IR 192")
        assert readable_text(raw, b"no such set")


def renamed(paths: list[Path], character_set: str, name: bytes) -> None:
    """Give another name to a series, as bytes of its files."""
    for path in paths:
        whole = path.read_bytes()
        elements = read_header(whole, complete=True).elements
        for tag, vr, value in (
            (0x00100010, b"PN", name),
            (0x00080005, b"CS", character_set.encode()),
        ):
            begin, end = elements[tag].start, elements[tag].end
            whole = whole[:begin] + encode(tag, vr, value, explicit=True) + whole[end:]
        path.write_bytes(whole)


@pytest.mark.parametrize("case", ["latin-1 without a character set", "japanese", "cyrillic"])
def test_a_patient_is_named_from_the_scan_to_the_delivery(
    ctx: Context, clock: Clock, pelvis: list[Path], case: str
) -> None:
    character_set, raw, name = NAMES[case]
    renamed(pelvis, character_set, raw)
    run_step("scan", ctx, Selection())
    (found,) = ctx.ledger.jobs()

    assert patient_of(found, ctx).startswith(f"{name} (")
    assert whereabouts(found, ctx) == "not delivered; waits for the next run: match"

    for _ in range(2):
        list(run_once(ctx, Selection()))
        clock.advance(minutes=3)
    (done,) = ctx.ledger.jobs()

    assert done.state is State.DONE
    assert patient_of(done, ctx).startswith(f"{name} (")
    path = delivery_path(done, ctx)
    assert path is not None
    assert whereabouts(done, ctx) == f"delivered 3 min ago: {path}"
    path.unlink()
    assert whereabouts(done, ctx).endswith("; it is not there any more")


@pytest.mark.usefixtures("pelvis")
def test_a_folder_that_does_not_answer_delays_nobody(
    ctx: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> bool:
        raise TimeoutError

    for _ in range(2):
        list(run_once(ctx, Selection()))
        clock.advance(minutes=3)
    monkeypatch.setattr("drawcli.system.threads.call_with_timeout", hang)
    (done,) = ctx.ledger.jobs()

    assert "its folder does not answer now" in whereabouts(done, ctx)


@pytest.mark.parametrize(
    ("query", "patient"),
    [
        ("lindqvist", LATIN),
        ("LINDQVÍST", LATIN),
        ("Åsa Lindqvist", LATIN),
        ("lindqvist, asa", LATIN),
        ("Lindqvíst^Åsa", LATIN),
        ("1967", f"{LATIN} (SE-19670402-2384)"),
        ("SE-19670402-2384", f"{LATIN} (SE-19670402-2384)"),
        ("山田 たろう", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("yamada 太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("길동", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ohrstrom", "Øhrström^Bo"),
        ("oehrstroem", "Øhrström^Bo"),
        ("øhrstrom", "OHRSTROM^BO"),
        ("strauss", "Strauß^Eva"),
        ("ヤマダ", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ],
)
def test_a_patient_is_found_without_case_accents_and_order(query: str, patient: str) -> None:
    assert names_patient(query, patient)
    assert not names_patient(f"{query} nobody", patient)
