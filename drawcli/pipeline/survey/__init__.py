"""The datastore as the scan sees it: only what has changed is read, only what it touches is judged.

A walk lists the folders (`update`); files that came, went or changed go through the scan index; the
series they are of are judged anew (`judge`). All others are known as they were judged last.
What lies outside the datastore is judged at once, and kept in no index (`outside`).
Folders in which something cannot be read are reported by jobs of their own
(`unread_folders`, `unread_jobs`).
"""

from drawcli.pipeline.survey.judge import SeriesSnapshot
from drawcli.pipeline.survey.outside import judged, seen_again, seen_in
from drawcli.pipeline.survey.survey import Survey, surveyed
from drawcli.pipeline.survey.unread_jobs import take_unread

__all__ = ["SeriesSnapshot", "Survey", "judged", "seen_again", "seen_in", "surveyed", "take_unread"]
