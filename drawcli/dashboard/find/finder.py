"""What the pages that find cases keep in memory."""

from dataclasses import dataclass, field
from typing import Self

from drawcli.dashboard.find.index import PatientIndex
from drawcli.dashboard.find.joint_action import JointActions
from drawcli.dashboard.find.searches import Searches
from drawcli.dashboard.find.series_texts import SeriesTexts
from drawcli.dashboard.snapshot import SiteReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Patients, searches, texts of series, and actions on several jobs."""

    patients: PatientIndex
    series: SeriesTexts
    searches: Searches = field(default_factory=Searches)
    joint: JointActions = field(default_factory=JointActions)

    @classmethod
    def of(cls, site: SiteReader) -> Self:
        """Return the one of a site; nothing is read yet."""
        return cls(patients=PatientIndex(site), series=SeriesTexts(site))

    @property
    def stamp(self) -> object:
        """What changes when open pages have something new to show."""
        return self.patients.progress, self.series.count, self.joint.stamp
