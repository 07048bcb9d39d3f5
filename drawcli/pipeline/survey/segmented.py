"""New series that were segmented before: by a former client, or by anyone with a structure set.

By default those of the former client are held: to send them would repeat work and let data leave
again. A structure set alone is no reason: it may hold a target only, or points of the scanner.
"""

from dataclasses import replace
from typing import Final

from drawcli.adapters.state.former_client import DONE, SENT, read_history
from drawcli.core.series.verdict import Readiness, Verdict, ignored, refused
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.judge import SeriesSnapshot

CODE: Final = "segmented"
_BY_FILE: Final = "a structure set in the datastore references the series"
_TEXTS: Final = {
    DONE: "the former client has delivered contours of the series",
    SENT: "the former client has sent the series, and recorded no delivery",
}


class SegmentedJudge:
    """Judges new series under `scan.segmented`.

    Raises
    ------
    ConfigError
        If the history of the former client cannot be read.
    """

    def __init__(self, ctx: Context) -> None:
        self._history = read_history(ctx.settings.state_dir).series
        self._ctx = ctx

    def judged(self, seen: SeriesSnapshot) -> SeriesSnapshot:
        """Return a new series, with another verdict if it was segmented before.

        A series that the former client did not finish is held also where others are skipped.
        """
        if seen.wanted.segmented == "send":
            return seen

        def judge(released: frozenset[str]) -> Verdict:
            verdict = seen.judge(released)
            return verdict if CODE in released else self._verdict(seen, verdict)

        return replace(seen, verdict=self._verdict(seen, seen.verdict), judge=judge)

    def _verdict(self, seen: SeriesSnapshot, verdict: Verdict) -> Verdict:
        """Return the verdict on a series for which `verdict` is that on its images."""
        wanted = seen.wanted.segmented
        if verdict.readiness not in (Readiness.READY, Readiness.WAITING):
            return verdict
        former = self._outcome(seen)
        by_file = seen.contoured and wanted != "former"
        text = _BY_FILE if by_file else _TEXTS.get(former, "")
        if text and wanted == "skip" and (by_file or former == DONE):
            return ignored(CODE, f"{text}; scan.segmented is skip")
        if text and verdict.readiness is Readiness.READY:
            return refused(CODE, text)
        return verdict

    def _outcome(self, seen: SeriesSnapshot) -> str:
        """Return what the former client did with a series, or ""."""
        for key_id, entries in self._history.items():
            entry = entries.get(self._key_under(key_id, seen))
            if entry is not None:
                return str(entry.get("outcome", ""))
        return ""

    def _key_under(self, key_id: str, seen: SeriesSnapshot) -> str:
        """Return the key of a series under a present or retired site key; "" if that is lost."""
        if key_id == seen.key_id:
            return seen.key
        every = (one for one in (self._ctx.stand_ins, *self._ctx.retired) if one.key_id == key_id)
        return next((one.series_key(seen.slices[0].series_uid) for one in every), "")
