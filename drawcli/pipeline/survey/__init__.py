"""The survey of the datastore: only changed files are read, only their series are judged again.

A walk lists the folders (`update`) and brings the scan index up to date; series with new, changed
or removed files are judged again (`judge`), all others keep their verdict. Series outside the
datastore are judged without an index (`outside`). Folders with unreadable files are reported by
their own jobs (`unread_folders`, `unread_jobs`).
"""

from drawcli.pipeline.survey.judge import SeriesSnapshot
from drawcli.pipeline.survey.outside import judge_series, snapshot_one_off, snapshot_series
from drawcli.pipeline.survey.segmented import SegmentedJudge
from drawcli.pipeline.survey.survey import Survey, open_survey
from drawcli.pipeline.survey.unread_jobs import take_unread

__all__ = [
    "SegmentedJudge",
    "SeriesSnapshot",
    "Survey",
    "judge_series",
    "open_survey",
    "snapshot_one_off",
    "snapshot_series",
    "take_unread",
]
