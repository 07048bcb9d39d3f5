"""The archived jobs of a site in PostgreSQL: rows with a month."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.records import job_of
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import ArchiveEntry

_FIRST: Final = 1_000  # entries; enough for a caller that asks whether there are many


class DatabaseArchive:
    """The jobs that were finished some time ago."""

    def __init__(self, database: Database, site: str) -> None:
        self._database, self.site = database, site

    def reader(self) -> "DatabaseArchive":
        """Return another one of the same jobs, with a connection of its own."""
        return DatabaseArchive(self._database.another(), self.site)

    def __len__(self) -> int:
        """Return the number of archived jobs."""
        query = "SELECT count(*) FROM drawcli.job WHERE site = %s AND month IS NOT NULL"
        return int(self._database.rows(query, self.site)[0][0])

    def get(self, job_id: str) -> Job | None:
        """Return an archived job, or None."""
        return next(iter(self.find([job_id])), None)

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return archived jobs by id."""
        return self._jobs("id = ANY(%s)", list(ids))

    def of_series(self, *series_keys: str) -> list[ArchiveEntry]:
        """Return the entries of the jobs of some series, asked for at once."""
        return self._entries("series_key = ANY(%s) ORDER BY id", [*series_keys])

    def entries(self) -> Iterator[ArchiveEntry]:
        """Yield the entry of every archived job by id; the others are read after the first few."""
        first = self._entries("true ORDER BY id LIMIT %s", _FIRST)
        yield from first
        if len(first) == _FIRST:
            yield from self._entries("id > %s ORDER BY id", first[-1].id)

    def jobs(self, since: str = "") -> Iterator[Job]:
        """Yield every archived job from month `since` on ("2026-11"), one month in memory."""
        for month in self.months():
            if month >= since:
                yield from self.of_month(month)

    def of_month(self, month: str) -> Iterator[Job]:
        """Yield the archived jobs of one month."""
        yield from self._jobs("month = %s", month)

    def months(self) -> list[str]:
        """Return the months that have jobs."""
        query = "SELECT DISTINCT month FROM drawcli.job WHERE site = %s AND month IS NOT NULL"
        return sorted(month for (month,) in self._database.rows(query, self.site))

    def stamp_of(self, month: str) -> tuple[int, ...]:
        """Return what changes with each change of a month."""
        query = "SELECT max(changed), count(*) FROM drawcli.job WHERE site = %s AND month = %s"
        [(latest, count)] = self._database.rows(query, self.site, month)
        return (latest or 0, count)

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        query = (
            "SELECT record FROM drawcli.job WHERE site = %s AND month IS NOT NULL "
            f"AND {where} ORDER BY since, id"
        )
        found = self._database.rows(query, self.site, *values)
        return [job_of(text) for (text,) in found]

    def _entries(self, where: str, *values: Any) -> list[ArchiveEntry]:
        query = (
            "SELECT id, month, state, source_digest FROM drawcli.job "
            f"WHERE site = %s AND month IS NOT NULL AND {where}"
        )
        rows = self._database.rows(query, self.site, *values)
        return [
            ArchiveEntry(id_, month, State(state), digest) for id_, month, state, digest in rows
        ]
