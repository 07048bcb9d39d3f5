"""Stand-ins for identifiers: the same input under the same site key gives the same output.

No table and no lock is needed: every thread, run and retry computes the same stand-ins. Without the
key they cannot be computed or tested.
"""

import base64
import hmac
import re
from datetime import date, timedelta
from functools import cache
from typing import Final
from uuid import UUID

_DICOM_ROOT: Final = "1.2.840.10008."  # some software creates its own UIDs under it
UUID_ROOT: Final = "2.25"  # PS3.5 B.2
LONGEST_ROOT: Final = 24  # characters: a UID has at most 64
SHORTEST_SHIFT_WEEKS: Final = 52
LONGEST_SHIFT_WEEKS: Final = 520
_SEPARATOR: Final = b"\0"
_CLOCK: Final = re.compile(  # of a DT (PS3.5 table 6.2-1)
    r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
)


class StandIns:
    """The values derived from one site key.

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
        """Eight hex digits that identify the key and reveal nothing of it."""
        return self._digest("key-id").hex()[:8]

    def subkey(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose."""
        return self._digest("subkey", purpose)

    def uid(self, original: str) -> str:
        """Return the stand-in for a UID.

        References between instances survive, because equal UIDs get equal stand-ins. Some elements
        keep registered UIDs instead (see `registered_as`).

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
        """Return a UID derived from words for its purpose.

        It has at most 39 digits below the root, which may have 24 characters.
        """
        return f"{root}.{UUID(bytes=self._digest(*parts)[:16], version=5).int}"

    def pseudonym(self, patient_id: str, issuer: str = "") -> str:
        """Return the pseudonym of a patient: 16 base32 characters."""
        digest = self._digest("patient", patient_id, issuer)
        return base64.b32encode(digest[:10]).decode("ascii")

    def study_id(self, study_uid: str) -> str:
        """Return 12 base32 characters for Study ID (0020,0010), which holds at most 16."""
        return base64.b32encode(self._digest("study-id", study_uid)).decode("ascii")[:12]

    def package_id(self, *parts: str) -> str:
        """Return 12 base32 characters for the Study ID (0020,0010) of one package."""
        return base64.b32encode(self._digest("package-id", *parts)).decode("ascii")[:12]

    def series_key(self, series_uid: str) -> str:
        """Return the key of a series in the ledger: 12 hex digits."""
        return self._digest("series", series_uid).hex()[:12]

    def digest(self, purpose: str, *parts: str) -> str:
        """Return 16 hex digits to compare values that must not be stored."""
        return self._digest(purpose, *parts).hex()[:16]

    def shift(self, patient_id: str, issuer: str = "") -> timedelta:
        """Return the offset by which the dates of a patient are shifted back.

        52 to 520 whole weeks: weekdays and intervals are kept.
        """
        span = LONGEST_SHIFT_WEEKS - SHORTEST_SHIFT_WEEKS + 1
        number = int.from_bytes(self._digest("date-shift", patient_id, issuer)[:8], "big")
        return timedelta(weeks=SHORTEST_SHIFT_WEEKS + number % span)

    def _digest(self, *parts: str) -> bytes:
        message = _SEPARATOR.join(part.encode("utf-8", "surrogateescape") for part in parts)
        return hmac.digest(self._key, message, "sha256")


def is_registered(uid: str) -> bool:
    """Return whether the standard registers a UID.

    >>> is_registered("1.2.840.10008.5.1.4.1.1.2"), is_registered("1.2.840.10008.2026.3.14.7")
    (True, False)
    """
    return registered_as(uid) != ""


def registered_as(uid: str) -> str:
    """Return the type of a UID in the registry (PS3.6 annex A); "" if it is not registered.

    >>> registered_as("1.2.840.10008.5.1.4.1.1.2"), registered_as("1.2.840.10008.15.1.1")
    ('SOP Class', 'Synchronization Frame of Reference')
    """
    return _registry().get(uid, "") if uid.startswith(_DICOM_ROOT) else ""


@cache
def _registry() -> dict[str, str]:
    from pydicom._uid_dict import UID_dictionary

    return {uid: entry[1] for uid, entry in UID_dictionary.items()}


def shift_date(value: str, shift: timedelta) -> str:
    """Return a DA value shifted back; "" if it is not a date.

    >>> shift_date("20260314", timedelta(weeks=52))
    '20250315'
    >>> shift_date("2026.03.14", timedelta(weeks=52)), shift_date("soon", timedelta())
    ('20250315', '')
    """
    digits = value.strip().replace(".", "")  # PS3.5 6.2: yyyy.mm.dd is the ACR-NEMA format
    if len(digits) != len("yyyymmdd") or not digits.isascii() or not digits.isdigit():
        return ""
    try:
        moved = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) - shift
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}" if moved.year >= 1000 else ""  # noqa: PLR2004 - DA has four digits


def shift_datetime(value: str, shift: timedelta) -> str:
    """Return a DT value with its date shifted back, its time kept and its offset removed.

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
