"""Findings about a series that a user may override with `release`, and hints for the others.

Only findings that a user can judge are releasable: a known gap, an uneven stack, an extra file.
Findings that make the patient or the position of the contours uncertain are not.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from drawcli.core.jobs.job import Job

_LARGEST: Final = (
    " Where such scans are usual, raise scan.largest_step, for one folder in scan.folders."
)
RELEASABLE: Final[Mapping[str, str]] = {  # code -> other remedies
    "missing-slices": f" Or send the missing slices to the datastore.{_LARGEST}",
    "uneven-spacing": _LARGEST,
    "crooked": "",
    "mixed-image-types": " Or export the images of each kind as a separate series.",
    "segmented": " Where all such series are to be sent, set scan.segmented: send; where none is, "
    "skip.",
    "pulling": " Or have the archive send the rest: 'drawcli pull' says what it answers.",
    "unreadable-files": " Or repair the files, remove them, or exclude them with scan.exclude.",
}
_FIX: Final = "Correct the series in the datastore: the next scan reads it again."
_HINTS: Final[Mapping[str, str]] = {
    "duplicates": "Remove one file of each pair from the datastore, or exclude their folder with "
    "scan.exclude.",
    "phases": "Export each phase, echo or reconstruction as a separate series, or exclude the "
    "files of the others with scan.exclude.",
    "same-position": "Remove the surplus slices, or exclude them with scan.exclude.",
    "truncated": "Send the files to the datastore again.",
    "no-geometry": "Remove the images that are not slices, or exclude them with scan.exclude.",
    "extra-pixels": "Export the series again: the bytes after an image may be patient data.",
    "compressed": "Export the series in another transfer syntax.",
}


def released_codes(job: Job, digest: str, stamp: str) -> frozenset[str]:
    """Return the codes that a user released for a series, if its files are unchanged."""
    of_digest, of_stamp, codes = (*(job.let_pass or "").split(" "), "", "", "")[:3]
    same = bool(codes) and (of_digest, of_stamp) == (digest, stamp)
    return frozenset(codes.split(",")) if same else frozenset()


def remember_release(job: Job) -> Job:
    """Return a job that stores the released code for its present files."""
    code = job.reason_code or ""
    if code not in RELEASABLE or not (job.source_digest and job.source_stamp):
        return job
    before = released_codes(job, job.source_digest, job.source_stamp)
    codes = ",".join(sorted({*before, code}))
    return replace(job, let_pass=f"{job.source_digest} {job.source_stamp} {codes}")


def hint_for(job: Job, code: str) -> str:
    """Return the hint for a series that is held before it is sent."""
    if job.one_off and code == "not-seen":
        return "Scan the whole series with 'drawcli scan PATH'. Or cancel the job."
    if code in RELEASABLE:
        return f"'drawcli release {job.id}' sends it as it is.{RELEASABLE[code]}"
    fix = "Scan the whole series with 'drawcli scan PATH'." if job.one_off else _FIX
    return f"{_HINTS.get(code, fix)} Or cancel the job with 'drawcli cancel {job.id}'."
