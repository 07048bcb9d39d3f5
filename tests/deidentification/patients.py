"""Invented patients: names in many scripts, ids, addresses, days and UIDs, drawn at random."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

from hypothesis import strategies as st
from pydicom.charset import convert_encodings, encode_string
from pydicom.valuerep import PersonName

LATIN: Final = "zor vik qua mel dun brax ule tny osk gher pfi jom".split()
WESTERN: Final = "zör vík quà mël dûn brax üle tñy øsk gher".split()
EASTERN: Final = "żor vík čua měl dun řax üle tny ősk śer".split()
CYRILLIC: Final = "жор вик щуа мел дун брах юле".split()  # noqa: RUF001 - Cyrillic is the point
GREEK: Final = "ζορ βικ θυα μελ δυν ξρα".split()
ARABIC: Final = "قبا نيف مرز حسك".split()
HEBREW: Final = "קבא ניף מרז חסך".split()
THAI: Final = "กขค นมย รลว สหอ".split()
KANJI: Final = "山田 太郎 鈴木 次郎 佐藤 花子".split()
KANA: Final = "やま すず きき さと はな".split()
HALF_KANA: Final = "ﾔﾏ ｽｽ ｷｷ ｻﾄ ﾊﾅ".split()
HANGUL: Final = "김희 중동 홍길 박서".split()
HANZI: Final = "王小 东张 李伟 刘洋".split()
# The value of Specific Character Set (0008,0005), and the scripts of the three component groups.
CHARSETS: Final[dict[str, tuple[list[str], ...]]] = {
    "": (LATIN,),
    "ISO_IR 100": (WESTERN,),
    "ISO_IR 101": (EASTERN,),
    "ISO_IR 144": (CYRILLIC,),
    "ISO_IR 126": (GREEK,),
    "ISO_IR 127": (ARABIC,),
    "ISO_IR 138": (HEBREW,),
    "ISO_IR 166": (THAI,),
    "ISO_IR 192": (WESTERN, KANJI, KANA),
    "\\ISO 2022 IR 87": (LATIN, KANJI, KANA),
    "ISO 2022 IR 13\\ISO 2022 IR 87": (HALF_KANA, KANJI, KANA),
    "\\ISO 2022 IR 149": (LATIN, HANGUL, HANGUL),
    "\\ISO 2022 IR 58": (LATIN, HANZI),
    "GB18030": (LATIN, HANZI),
    "GBK": (LATIN, HANZI),
}
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


@dataclass(frozen=True)
class Patient:
    """A patient with everything that must not be sent."""

    charset: str
    name: str  # component groups apart by =, components by ^
    doctor: str
    patient_id: str
    other_id: str
    accession: str
    phone: str
    street: str
    hospital: str
    born: date
    studied: date
    root: str  # of all UIDs

    @property
    def mail(self) -> str:
        return f"{self.hospital.lower()}.{self.other_id.lower()}@kh-zorvik.example"

    @cached_property
    def personal(self) -> list[str]:
        """Names and ids of the patient."""
        parts = self.name.replace("=", "^").split("^")
        long = [part for part in parts if len(part) >= 4 or not part.isascii()]
        return [
            self.name,
            self.name.split("=")[0].replace("^", " "),
            self.name.split("=")[0].replace("^", "_").upper(),
            *long,
            self.patient_id,
            self.other_id,
            self.accession,
            self.phone,
            self.mail,
        ]

    @cached_property
    def beside(self) -> list[str]:
        """Other identifying texts."""
        return [self.doctor, self.street, self.hospital]

    @cached_property
    def days(self) -> list[str]:
        """Dates of birth and study in common spellings."""
        return [one for day in (self.born, self.studied) for one in spellings(day)]

    @cached_property
    def tokens(self) -> list[str]:
        """All of it, in a fixed order."""
        return [*self.personal, *self.beside, *self.days, self.uid("9.9")]

    def uid(self, last: object) -> str:
        return f"{self.root}.{last}"

    def encoded(self, text: str) -> bytes:
        """Return a text in the character set of the patient's files, else in UTF-8."""
        encodings = convert_encodings(self.charset.split("\\"))
        try:
            if "^" in text or "=" in text:
                return PersonName(text, encodings).encode(encodings)
            return encode_string(text, encodings)
        except (UnicodeError, ValueError):
            return text.encode("utf-8")


def spellings(day: date) -> Iterator[str]:
    """Yield a date in the spellings of headers."""
    month = _MONTHS[day.month - 1]
    yield f"{day:%Y%m%d}"
    yield f"{day:%Y-%m-%d}"
    yield f"{day:%Y.%m.%d}"
    yield f"{day:%Y/%m/%d}"
    yield f"{day:%d.%m.%Y}"
    yield f"{day.day}.{day.month}.{day.year}"
    yield f"{day:%m/%d/%Y}"
    yield f"{day:%d%m%Y}"
    yield f"{day:%d}-{month}-{day.year}"
    yield f"{day:%d}{month.upper()}{day.year}"
    yield f"{month} {day.day}, {day.year}"


def _digits(count: int) -> st.SearchStrategy[str]:
    return st.integers(10 ** (count - 1), 10**count - 1).map(str)


@st.composite
def _names(draw: st.DrawFn, scripts: tuple[list[str], ...], most: int) -> str:
    """Draw a name with every component group of the scripts, of up to `most` components."""
    count = draw(st.integers(1, most))
    groups = []
    for script in scripts:
        shortest = 1 if len(script[0]) < 3 else 2
        part = st.lists(st.sampled_from(script), min_size=shortest, max_size=3).map("".join)
        parts = [draw(part).title() for _ in range(count)]
        groups.append("^".join(parts))
    return "=".join(groups)


@st.composite
def patients(draw: st.DrawFn) -> Patient:
    """Draw a patient."""
    charset = draw(st.sampled_from(sorted(CHARSETS)))
    letters = draw(st.text("BCDFGHKLMNPRTVWXZ", min_size=2, max_size=3))
    serial = draw(_digits(9))
    return Patient(
        charset=charset,
        name=draw(_names(CHARSETS[charset], 5)),
        doctor=draw(_names((LATIN,), 3)),
        patient_id=draw(st.one_of(_digits(9), _digits(10), st.just(f"{letters}-{serial[:7]}"))),
        other_id=draw(st.sampled_from([f"{letters}{serial}", f"{serial[:4]}{letters}{serial}"])),
        accession=draw(_digits(8)) + letters,
        phone=f"+49 761 {draw(_digits(8))}",
        street=draw(_names((LATIN,), 1)) + "weg 12",
        hospital=draw(_names((LATIN,), 1)) + "klinik",
        born=draw(st.dates(date(1925, 1, 1), date(1999, 12, 31))),
        studied=draw(st.dates(date(2021, 1, 1), date(2026, 6, 30))),
        root=f"1.3.6.1.4.1.9590.{draw(_digits(9))}",
    )


ZOERVIK: Final = Patient(
    charset="ISO_IR 192",
    name="Zörvik^Ule^Dun=山田^太郎",
    doctor="Braxmel^Jom",
    patient_id="731904462",
    other_id="GHP482210957",
    accession="55120934KV",
    phone="+49 761 48213377",
    street="Gherweg 12",
    hospital="Oskquaklinik",
    born=date(1951, 3, 14),
    studied=date(2024, 5, 21),
    root="1.3.6.1.4.1.9590.482210957",
)
