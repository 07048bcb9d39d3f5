"""Stand-ins for identifiers: the same input under the same site key gives the same output.

No table and no lock is needed: every worker, run and retry computes the same stand-ins, and nobody
without the key can compute or test them.
"""

import base64
import hmac
import re
from datetime import date, timedelta
from functools import cache
from typing import Final
from uuid import UUID

_DICOM_ROOT: Final = "1.2.840.10008."  # software makes UIDs of its own under it, against the rules
UUID_ROOT: Final = "2.25"  # PS3.5 B.2
LONGEST_ROOT: Final = 24  # characters: a UID has at most 64
SHORTEST_SHIFT_WEEKS: Final = 52
LONGEST_SHIFT_WEEKS: Final = 520
_SEPARATOR: Final = b"\0"
_CLOCK: Final = re.compile(  # of a DT (PS3.5 table 6.2-1)
    r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
)


class StandIns:
    """Everything that is derived from one site key.

    Parameters
    ----------
    key
        The site key, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._uids: dict[str, str] = {}

    @property
    def key_id(self) -> str:
        """Eight hex digits that tell keys apart and say nothing about them."""
        return self._digest("key-id").hex()[:8]

    def subkey(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose, so that no key is used for two."""
        return self._digest("subkey", purpose)

    def uid(self, original: str) -> str:
        """Return the UID that stands in for `original` outside the hospital.

        References between instances survive, because equal UIDs get equal stand-ins. Whether a UID
        may stay instead depends on its element (see `registered_as`).

        Parameters
        ----------
        original
            The value of an element of VR UI, at most 64 characters.

        Returns
        -------
        str
            "2.25." and a decimal integer below 2**128: at most 44 characters.

        References
        ----------
        PS3.5 B.2 (UUID-derived UIDs), 9.1 (length); PS3.15 E.1, action code U.

        Examples
        --------
        >>> StandIns(bytes(32)).uid("1.2.840.113619.2.55.3")
        '2.25.186255583948820674477039787213855482703'
        """
        known = self._uids.get(original)
        if known is None:
            known = self.own_uid("uid", original)
            self._uids[original] = known
        return known

    def own_uid(self, *parts: str, root: str = UUID_ROOT) -> str:
        """Return a UID of our own, derived from words that say what it is for.

        A number of at most 39 digits below the root, which may thus have 24 characters.
        """
        return f"{root}.{UUID(bytes=self._digest(*parts)[:16], version=5).int}"

    def pseudonym(self, patient_id: str, issuer: str = "") -> str:
        """Return 16 base32 characters that stand in for a patient."""
        digest = self._digest("patient", patient_id, issuer)
        return base64.b32encode(digest[:10]).decode("ascii")

    def study_id(self, study_uid: str) -> str:
        """Return 12 base32 characters for Study ID (0020,0010), which holds at most 16."""
        return base64.b32encode(self._digest("study-id", study_uid)).decode("ascii")[:12]

    def package_id(self, *parts: str) -> str:
        """Return 12 base32 characters for the Study ID (0020,0010) of one package."""
        return base64.b32encode(self._digest("package-id", *parts)).decode("ascii")[:12]

    def series_key(self, series_uid: str) -> str:
        """Return the 12 hex digits under which the ledger knows a series."""
        return self._digest("series", series_uid).hex()[:12]

    def digest(self, purpose: str, *parts: str) -> str:
        """Return 16 hex digits for comparing values that must not be stored."""
        return self._digest(purpose, *parts).hex()[:16]

    def shift(self, patient_id: str, issuer: str = "") -> timedelta:
        """Return how far back the dates of a patient are moved.

        Whole weeks, so that the weekday and every interval are kept: 52 to 520 of them.
        """
        span = LONGEST_SHIFT_WEEKS - SHORTEST_SHIFT_WEEKS + 1
        number = int.from_bytes(self._digest("date-shift", patient_id, issuer)[:8], "big")
        return timedelta(weeks=SHORTEST_SHIFT_WEEKS + number % span)

    def _digest(self, *parts: str) -> bytes:
        message = _SEPARATOR.join(part.encode("utf-8", "surrogateescape") for part in parts)
        return hmac.digest(self._key, message, "sha256")


def is_registered(uid: str) -> bool:
    """Tell whether a UID is one of those that the standard itself registers.

    >>> is_registered("1.2.840.10008.5.1.4.1.1.2"), is_registered("1.2.840.10008.2026.3.14.7")
    (True, False)
    """
    return registered_as(uid) != ""


def registered_as(uid: str) -> str:
    """Return what the standard registers a UID as, "" where it does not (PS3.6 annex A).

    >>> registered_as("1.2.840.10008.5.1.4.1.1.2"), registered_as("1.2.840.10008.15.1.1")
    ('SOP Class', 'Synchronization Frame of Reference')
    """
    return _registry().get(uid, "") if uid.startswith(_DICOM_ROOT) else ""


@cache
def _registry() -> dict[str, str]:
    from pydicom._uid_dict import UID_dictionary

    return {uid: entry[1] for uid, entry in UID_dictionary.items()}


def shift_date(value: str, shift: timedelta) -> str:
    """Return a DA value moved back, or "" where it is no date.

    >>> shift_date("20260314", timedelta(weeks=52))
    '20250315'
    >>> shift_date("2026.03.14", timedelta(weeks=52)), shift_date("soon", timedelta())
    ('20250315', '')
    """
    digits = value.strip().replace(".", "")  # PS3.5 6.2: yyyy.mm.dd is the form of ACR-NEMA
    if len(digits) != len("yyyymmdd") or not digits.isascii() or not digits.isdigit():
        return ""
    try:
        moved = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) - shift
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}" if moved.year >= 1000 else ""  # noqa: PLR2004 - DA has four digits


def shift_datetime(value: str, shift: timedelta) -> str:
    """Return a DT value with its date moved back, its time kept and its offset removed.

    >>> shift_datetime("20260314083000.5+0530", timedelta(weeks=52))
    '20250315083000.5'
    >>> shift_datetime("202603", timedelta(weeks=52))
    ''
    >>> shift_datetime("20260314 half past eight", timedelta(weeks=52))
    '20250315'
    """
    text = value.strip()
    day = shift_date(text[:8], shift)
    clock = text[8:].partition("+")[0].partition("-")[0]
    return day + clock if day and _CLOCK.fullmatch(clock) else day
