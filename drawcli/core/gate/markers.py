"""The values that mark a slice as de-identified, by element."""

import re
from typing import Final

MUST_BE: Final = {
    "SOPClassUID": r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(2(\.[12])?|4(\.[14])?|128(\.1)?|130)",
    "SOPInstanceUID": r"2\.25\.[0-9]{1,39}",
    "StudyInstanceUID": r"2\.25\.[0-9]{1,39}",
    "SeriesInstanceUID": r"2\.25\.[0-9]{1,39}",
    "StudyDate": r"([0-9]{8})?",
    "StudyTime": r"[0-9.: ]*",
    "PatientName": r"DEID\^[A-Z2-7]{16}",
    "PatientID": r"DEID-[A-Z2-7]{16}",
    "StudyID": r"[A-Z2-7]{1,16}",
    "PatientBirthDate": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "PatientIdentityRemoved": "YES",
    "LongitudinalTemporalInformationModified": "MODIFIED|REMOVED",
    "BurnedInAnnotation": "(?i:no)|missing|",
    "DeidentificationMethod": r"drawcli [0-9a-z.]+\\DICOM PS3\.15 20\d\d[a-e] Annex E, "
    "keep-list, options as coded",
    "file meta/ImplementationVersionName": r"DRAWCLI_[0-9a-z.]+",
}
STILL_SEARCHED: Final = frozenset({"StudyDate", "StudyTime"})
# The sequences that describe the de-identification, and the texts that they may hold.
OWN: Final = {
    "DeidentificationMethodCodeSequence": re.compile(
        "DCM|113100|Basic Application Confidentiality Profile"
        "|113107|Retain Longitudinal Temporal Information Modified Dates Option"
        "|113108|Retain Patient Characteristics Option"
    ),
    "ContributingEquipmentSequence": re.compile(
        r"DCM|109104|De-identifying Equipment|DRAW|drawcli|[0-9]+\.[0-9a-z.+]+|", re.ASCII
    ),
}
