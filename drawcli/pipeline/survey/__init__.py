"""The datastore as the scan sees it: only what has changed is read, only what it touches is judged.

A walk lists the folders (`update`); files that came, went or changed go through the scan index; the
series they are of are judged anew (`judge`). All others are known as they were judged last.
What lies outside the datastore is judged at once, and kept in no index (`outside`).
Folders in which something cannot be read are reported by jobs of their own
(`unread_folders`, `unread_jobs`).
"""

from drawcli.pipeline.survey.judge import SeriesSnapshot
from drawcli.pipeline.survey.outside import judge_series, snapshot_one_off, snapshot_series
from drawcli.pipeline.survey.survey import Survey, open_survey
from drawcli.pipeline.survey.unread_jobs import take_unread

__all__ = [
    "SeriesSnapshot",
    "Survey",
    "judge_series",
    "open_survey",
    "snapshot_one_off",
    "snapshot_series",
    "take_unread",
]
