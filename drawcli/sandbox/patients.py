"""Three invented patients with all identifying values of their headers.

As in real files, the name is also in descriptions, comments, private elements and file names.
"""

import re
from dataclasses import dataclass, fields
from typing import Final, Literal

from pydicom.uid import generate_uid

Site = Literal["pelvis", "head-neck", "thorax"]


# Fields that do not identify a person on their own.
_PLAIN: Final = frozenset(
    "sex age weight_kg height_m study_time site body_part protocol charset scanner".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """The make of a CT scanner and how it stores pixels."""

    maker: str
    model: str
    software: str
    kernel: str
    signed: bool  # Pixel Representation (0028,0103)
    outside: int  # stored value outside the field of view
    private_group: int
    private_creator: str


SIEMENS: Final = Scanner(
    maker="SIEMENS",
    model="SOMATOM Confidence",
    software="syngo CT VB20A",
    kernel="Br38f",
    signed=False,
    outside=0,
    private_group=0x0029,
    private_creator="SIEMENS CSA HEADER",
)
GE: Final = Scanner(
    maker="GE MEDICAL SYSTEMS",
    model="Discovery RT",
    software="gmp_vct.42",
    kernel="STANDARD",
    signed=True,
    outside=-2000,
    private_group=0x0009,
    private_creator="GEMS_IDEN_01",
)
PHILIPS: Final = Scanner(
    maker="Philips",
    model="Brilliance Big Bore",
    software="3.6.6",
    kernel="B",
    signed=False,
    outside=0,
    private_group=0x00E1,
    private_creator="ELSCINT1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An invented patient with one visit to a CT scanner.

    Texts keep the limits of DICOM (SH 16, LO 64 characters).
    """

    name: str  # PN; component groups separated by "="
    file_name: str  # the name in file names
    patient_id: str
    issuer: str
    other_id: str
    birth_name: str
    mother: str
    birth_date: str
    address: str
    phone: str
    comment: str
    referring: str
    performing: str
    requesting: str
    reading: str
    operator: str
    institution: str
    institution_address: str
    department: str
    station: str
    serial: str
    accession: str
    study_id: str
    admission_id: str
    procedure_id: str
    study_date: str
    study_description: str
    series_description: str
    sex: str
    age: str
    weight_kg: float
    height_m: float
    study_time: str
    site: Site
    body_part: str
    protocol: str
    charset: str  # Specific Character Set (0008,0005)
    scanner: Scanner

    def uid(self, *parts: object) -> str:
        """Return a UID of this person, the same for the same parts."""
        return str(generate_uid(entropy_srcs=[self.patient_id, self.study_date, *map(str, parts)]))


def identifying_values(person: Person) -> tuple[str, ...]:
    """Return every text that must not leave the hospital, including the parts of names.

    Without values that identify only in combination (age, weight, times), and without UIDs, which
    depend on the series.
    """
    values = [getattr(person, each.name) for each in fields(person) if each.name not in _PLAIN]
    parts = [
        part
        for name in (person.name, person.birth_name, person.mother, person.referring)
        for part in re.split(r"[\^= ]+", name)
        if len(part) > 2  # noqa: PLR2004 - "Dr" and initials are parts of many other texts
    ]
    return tuple(dict.fromkeys([*values, *parts]))


PEOPLE: Final[tuple[Person, ...]] = (
    Person(
        name="Kulkarnee^Ashok=कुलकर्णी^अशोक",
        file_name="KULKARNEE_ASHOK",
        patient_id="MRN-IN-7734021",
        issuer="SAHYADRI-HIS",
        other_id="9921-4410-7753",
        birth_name="Kulkarnee^Ashok^Vinayak",
        mother="Deshmukhee^Sushila",
        birth_date="19540819",
        address="14 Banyan Lane, Tilakwadi, Nowherepur 999014",
        phone="+91-99999-00417",
        comment="Call daughter Meenakshi on +91-99999-00418 before the planning scan",
        referring="Joglekar^Raghunath^^Dr",
        performing="Fernandes^Lourdes^^Dr",
        requesting="Bhattacharyya^Ishaan^^Dr",
        reading="Wadkarni^Shalini^^Dr",
        operator="Tambe^Priyanka",
        institution="Sahyadri Invented Cancer Centre",
        institution_address="2 Ghat Road, Nowherepur 999001",
        department="Radiation Oncology Annexe",
        station="CTAWP73011",
        serial="SN-73011-88",
        accession="ACC20260314-07",
        study_id="ST-260314-07",
        admission_id="ADM-5582017",
        procedure_id="RP-2603-5517",
        study_date="20260314",
        study_description="RT pelvis planning Ashok Kulkarnee",
        series_description="Pelvis 2.5 mm A.Kulkarnee bladder full",
        sex="M",
        age="071Y",
        weight_kg=74.5,
        height_m=1.71,
        study_time="091241.532000",
        site="pelvis",
        body_part="PELVIS",
        protocol="RT_pelvis_prostate",
        charset="ISO_IR 192",
        scanner=SIEMENS,
    ),
    Person(
        name="Lindqvíst^Åsa^Margareta",
        file_name="LINDQVIST_ASA",
        patient_id="SE-19670402-2384",
        issuer="NORRLAND-RIS",
        other_id="HNC-2026-00091",
        birth_name="Öhrnström^Åsa",
        mother="Öhrnström^Gunvor",
        birth_date="19670402",
        address="Fjällbäcksgränden 8, 999 31 Ingenstans",
        phone="+46-70-17406099",
        comment="Anhörig: Torbjörn Lindqvíst, tfn +46-70-17406199. Mask no. 4471",
        referring="Sjöbergh^Kerstin^^Dr",
        performing="Nyström^Hjalmar^^Dr",
        requesting="Hallström^Birgitta^^Dr",
        reading="Åkerblom^Vidar^^Dr",
        operator="Söderqvist^Ebba",
        institution="Ingenstans Påhittade Sjukhus",
        institution_address="Lasarettsvägen 1, 999 00 Ingenstans",
        department="Strålbehandlingen plan 2",
        station="RTCT_BAY2",
        serial="GE-40117-RT",
        accession="A2602-118834",
        study_id="E118834",
        admission_id="VIS-00447120",
        procedure_id="REQ-88127-HN",
        study_date="20260211",
        study_description="CT Head Neck RT, Lindqvíst Åsa",
        series_description="H&N mask Å. Lindqvíst 1967",
        sex="F",
        age="058Y",
        weight_kg=61.0,
        height_m=1.66,
        study_time="143508.000000",
        site="head-neck",
        body_part="HEADNECK",
        protocol="2.1 RT HEAD AND NECK",
        charset="ISO_IR 100",
        scanner=GE,
    ),
    Person(
        name="Okonkwor^Chidinma^Grace",
        file_name="OKONKWOR_CHIDINMA",
        patient_id="LUTH-0093318-X",
        issuer="LAGOON-PAS",
        other_id="NHIS-5530-0291-77",
        birth_name="Adeyemir^Chidinma",
        mother="Adeyemir^Folasade",
        birth_date="19710927",
        address="Plot 77 Mangrove Close, Lekkiland",
        phone="+234-700-0005512",
        comment="Pacemaker? ask Mr Okonkwor (husband), okonkwor@example.org",
        referring="Balogunde^Temitope^^Dr",
        performing="Eze-Nwosu^Obinna^^Dr",
        requesting="Danjumai^Halima^^Dr",
        reading="Oyelarani^Segun^^Dr",
        operator="Ibekwem^Uche",
        institution="Lagoon Imaginary Teaching Hospital",
        institution_address="1 Causeway, Lekkiland",
        department="Radiotherapy Suite B",
        station="HOST-BIGBORE1",
        serial="PH-BB-20417",
        accession="LG-26-0402-113",
        study_id="LG0402113",
        admission_id="IP/26/77120",
        procedure_id="ORD-4471902",
        study_date="20260402",
        study_description="THORAX RT SIM Okonkwor Chidinma",
        series_description="Breast/lung sim C Okonkwor DIBH",
        sex="F",
        age="054Y",
        weight_kg=68.2,
        height_m=1.63,
        study_time="110702.250000",
        site="thorax",
        body_part="CHEST",
        protocol="RT Thorax DIBH",
        charset="ISO_IR 100",
        scanner=PHILIPS,
    ),
)
