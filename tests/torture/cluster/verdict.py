"""What must hold after the scenario, from the ledger, the audit logs, the server and the files."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread

_MOST: Final = 12  # violations that are printed


@dataclass
class Evidence:
    """The state after the scenario."""

    jobs: list[dict[str, Any]]
    uploads: Counter[str]  # what the server has taken, by the digest of the package
    attempts: Counter[str]  # what the audit logs of all hosts have, by job
    answers: Counter[str]
    confirmed: set[str]  # tasks
    folders: dict[str, Path]  # by series UID
    delivered: list[Path]
    changed: set[Path]  # structure sets that did not stay as they were
    said: str
    most_lost: int  # uploads that were under way when something went wrong, at most

    def lost(self, job: dict[str, Any]) -> int:
        """Return the recorded uploads of a job without an answer in the ledger."""
        return int(job.get("unanswered", 0))

    def counts(self) -> dict[str, int]:
        """Return the sums."""
        return {
            "ledger": len(self.jobs),
            "uploads": self.uploads.total(),
            "attempts": self.attempts.total(),
            "lost_answers": sum(self.lost(job) for job in self.jobs),
            "sent_again": sum(n - 1 for n in self.uploads.values()),
            "confirmed": len(self.confirmed),
            "delivered": len(self.delivered),
        }


def violations(found: Evidence, series: int) -> list[str]:
    """Return sentences on what does not hold; the first of them."""
    wrong = [*_of_jobs(found, series), *_of_uploads(found), *_of_deliveries(found)]
    if "Traceback" in found.said or "bug:" in found.said:
        wrong.append(f"a program ended with a bug: {found.said[-600:]}")
    return wrong[:_MOST]


def _of_jobs(found: Evidence, series: int) -> list[str]:
    """Every series is done, once."""
    wrong = [
        f"job {job['id']} is {job['state']}: {job.get('reason')}"
        for job in found.jobs
        if job["state"] != "done"
    ]
    if len(found.jobs) != series or len({job["id"][:12] for job in found.jobs}) != series:
        wrong.append(f"{len(found.jobs)} jobs for {series} series")
    return wrong


def _of_uploads(found: Evidence) -> list[str]:
    """None is twice at the server, but for recorded uploads without an answer; none is unknown."""
    wrong = []
    for job in found.jobs:
        there = found.uploads[job.get("zip_sha256", "")]
        attested, lost = int(job.get("attested", 0)), found.lost(job)
        if there > attested or there > 1 + lost:
            wrong.append(f"job {job['id']}: {there} at the server, {attested} sent, {lost} lost")
        if found.attempts[job["id"]] < attested:
            wrong.append(f"job {job['id']}: the audit logs lack an upload")
        if job["state"] == "done" and job.get("task_id") not in found.confirmed:
            wrong.append(f"job {job['id']}: its task was not confirmed")
    unknown = found.uploads.keys() - {job.get("zip_sha256") for job in found.jobs}
    wrong += [f"package {digest} is of no job" for digest in unknown]
    again = sum(n - 1 for n in found.uploads.values())
    if again > found.most_lost:
        wrong.append(f"{again} uploads were repeated; at most {found.most_lost} could be lost")
    return wrong


def _of_deliveries(found: Evidence) -> list[str]:
    """Each series has one structure set beside it, its own, and it was written once."""
    wrong = [f"{path.name} was changed" for path in found.changed]
    by_folder: dict[Path, list[Path]] = {}
    for path in found.delivered:
        by_folder.setdefault(path.parent, []).append(path)
    for uid, folder in found.folders.items():
        sets = by_folder.get(folder, [])
        if len(sets) != 1:
            wrong.append(f"{folder.name} has {len(sets)} structure sets")
            continue
        data = dcmread(sets[0])
        frames = data.ReferencedFrameOfReferenceSequence[0]
        study = frames.RTReferencedStudySequence[0]
        if str(study.RTReferencedSeriesSequence[0].SeriesInstanceUID) != uid:
            wrong.append(f"{sets[0].name} is of another series")
    return wrong
