"""What a person may do about a series that is not whole: let it pass as it is, or mend it.

A person lets pass what only he can judge: a gap that is known, an uneven stack, a file beside the
series. What would give contours of nobody, or in no place, no word of a person changes.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from drawcli.core.jobs.job import Job

_LARGEST: Final = (
    " Where such scans are usual, raise scan.largest_step, for one folder in scan.folders."
)
RELEASABLE: Final[Mapping[str, str]] = {  # code -> what else helps
    "missing-slices": f" Send the missing slices to the datastore, where there are any.{_LARGEST}",
    "uneven-spacing": _LARGEST,
    "crooked": "",
    "mixed-image-types": " Images of one kind, exported alone, are a series of their own.",
    "unreadable-files": " Or mend the files, remove them, or leave them out with scan.exclude.",
}
_MEND: Final = "Mend the series in the datastore: the next scan sees it."
_OTHERWISE: Final[Mapping[str, str]] = {
    "duplicates": "Remove one of each two from the datastore, or leave their folder out with "
    "scan.exclude.",
    "phases": "Export each phase, echo or reconstruction as a series of its own, or leave the "
    "files of the others out with scan.exclude.",
    "same-position": "Remove the slices that are too many, or leave them out with scan.exclude.",
    "truncated": "Send the files once more to the datastore.",
    "no-geometry": "Remove the images that are no slices, or leave them out with scan.exclude.",
    "extra-pixels": "Export the series once more: what lies behind an image may be of the patient.",
    "compressed": "Export the series in another transfer syntax.",
}


def released_codes(job: Job, digest: str, stamp: str) -> frozenset[str]:
    """Return what a person lets pass of a series, if its files are those that he looked at."""
    of_digest, of_stamp, codes = (*(job.let_pass or "").split(" "), "", "", "")[:3]
    same = bool(codes) and (of_digest, of_stamp) == (digest, stamp)
    return frozenset(codes.split(",")) if same else frozenset()


def let_pass(job: Job) -> Job:
    """Return a job that remembers what a person lets pass, of just these files."""
    code = job.reason_code or ""
    if code not in RELEASABLE or not (job.source_digest and job.source_stamp):
        return job
    before = released_codes(job, job.source_digest, job.source_stamp)
    codes = ",".join(sorted({*before, code}))
    return replace(job, let_pass=f"{job.source_digest} {job.source_stamp} {codes}")


def hint_for(job: Job, code: str) -> str:
    """Return what to do about a series that is held before it is sent."""
    if job.one_off and code == "not-seen":
        return "Show the whole series with 'drawcli scan PATH'. Or cancel the job."
    if code in RELEASABLE:
        return f"'drawcli release {job.id}' sends it as it is.{RELEASABLE[code]}"
    mend = "Show the whole series with 'drawcli scan PATH'." if job.one_off else _MEND
    return f"{_OTHERWISE.get(code, mend)} Or set it aside with 'drawcli cancel {job.id}'."
