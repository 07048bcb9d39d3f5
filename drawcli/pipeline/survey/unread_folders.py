"""Folders that cannot be listed, or contain unreadable files: each is reported once by a job.

Such files may be a whole series, so a count is not enough.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from drawcli.adapters.scan_index import ScanIndex
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.image_file import UNREAD
from drawcli.core.series.verdict import Verdict, waiting
from drawcli.pipeline.survey.batches import Unlisted
from drawcli.pipeline.survey.judge import Judge, SeriesSnapshot

CODE: Final = "unread-folder"
_MINUTE_NS: Final = 60 * 10**9


@dataclass(frozen=True, kw_only=True)
class FolderSnapshot(SeriesSnapshot):
    """A folder with unreadable files, or that cannot be listed."""

    path: str
    since_ns: int  # when the newest of its unread files was first seen as it is; 0: not known
    beside: frozenset[str]  # keys of the series in it

    @property
    def facts(self) -> dict[str, Any]:
        """The values that a job stores."""
        found = {"slices": self.files, "source_digest": self.digest, "source_stamp": self.stamp}
        return found | {"of_folder": True}

    @property
    def crosswalk(self) -> Crosswalk:
        """The path of the folder; its patients are unknown."""
        place = (SourceFile(self.path, 0, 0, ""),)
        return Crosswalk(series_uid="", study_uid="", patient_id="", patient_name="", files=place)


def unread_folders(
    index: ScanIndex, judge: Judge, unlisted: Mapping[str, Unlisted], now_ns: int
) -> Iterator[FolderSnapshot]:
    """Yield each folder with files that have been unreadable for as long as a series must be quiet.

    Parameters
    ----------
    index, judge
        The files, and the settings of their folders.
    unlisted
        Folders that this scan could not list, by path.
    now_ns
        Our clock.
    """
    known = {index.folder_path(number): number for number in index.folders_with_reasons(UNREAD)}
    for path in sorted(known.keys() | unlisted.keys()):
        row = index.folder(path)
        number = None if row is None else row.id
        wanted = judge.wishes.of(judge.wishes.number_of(path))
        rows = index.unread_in(number, UNREAD) if number is not None else []
        calm = now_ns - int(wanted.quiet_minutes * _MINUTE_NS)
        settled = [row for row in rows if row.since <= calm]
        if not settled and path not in unlisted:
            continue
        stand_ins = judge.known_under(f"folder {path}")
        counts = Counter(row.reason for row in settled)
        trouble, series = unlisted.get(path, ("", set[int]()))
        words = [f"{count} {reason}" for reason, count in sorted(counts.items())]
        verdict = waiting(CODE, _sentence(len(settled), words, trouble))
        yield FolderSnapshot(
            key=stand_ins.series_key(f"folder {path}"),
            key_id=stand_ins.key_id,
            modality="",
            files=len(settled),
            verdict=verdict,
            digest=stand_ins.digest(
                "unread", trouble, *sorted(f"{row.name.hex()} {row.size}" for row in settled)
            ),
            stamp="",
            wanted=wanted,
            load=_none,
            load_aside=Counter,
            judge=partial(_as_before, verdict),
            path=path,
            since_ns=max((row.since for row in settled), default=0),
            beside=index.series_keys(
                series | (set() if number is None else index.series_in(number))
            ),
        )


def _none() -> list[Slice]:
    return []


def _as_before(verdict: Verdict, _released: frozenset[str]) -> Verdict:
    return verdict


def _sentence(count: int, words: list[str], trouble: str) -> str:
    files = f"{count} file{'s' * (count != 1)} of one folder cannot be read: {', '.join(words)}"
    if not trouble:
        return files
    unlisted = f"one folder cannot be listed: {trouble}"
    return f"{unlisted}; {files}" if count else unlisted
