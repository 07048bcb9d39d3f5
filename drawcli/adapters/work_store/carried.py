"""Copy the files of jobs between this host and the storage that all hosts share.

The database decides: files that another host has changed replace those here. Files that only this
host has changed belong to a step that did not end here; they stay, as after a crash.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from drawcli.adapters.work_store.local_copy import HereFile, LocalCopy, stamps_in
from drawcli.adapters.work_store.objects import ObjectFiles
from drawcli.adapters.work_store.sealing import FileKeys
from drawcli.core.jobs.job import State
from drawcli.core.jobs.shared_files import (
    DRAWN,
    LARGE,
    PACKAGE,
    FileChanges,
    FileTable,
    Manifest,
    SharedFile,
    is_small,
)
from drawcli.system.files import CHUNK, make_private, write_durably


class CarriedFiles:
    """The shared files of the jobs of a site, on this host.

    Parameters
    ----------
    work
        The folder with the work folders of this host.
    table
        The database.
    keys
        The keys of the site.
    gone_minutes
        A host that was inactive for so long is taken for lost; others take over its jobs.
    objects
        Shared storage for the large files; None: they stay on the host that made them.
    """

    def __init__(
        self,
        work: Path,
        table: FileTable,
        keys: FileKeys,
        gone_minutes: float,
        objects: ObjectFiles | None = None,
    ) -> None:
        self._work, self._table, self._keys = work, table, keys
        self._gone_minutes, self._objects = gone_minutes, objects

    def _record(self, job_id: str) -> Path:
        return self._work / f"{job_id}.manifest"

    def elsewhere(self, only: str | None = None) -> Mapping[str, str]:
        """Return the jobs that only another host should continue, and that host."""
        return self._table.elsewhere(self._gone_minutes, only)

    def home_of(self, job_id: str) -> str:
        """Return the other host that is the home of a job, alive or not; "" if none is."""
        manifest = self._table.manifest(job_id)
        return "" if manifest is None or manifest.home == self.host else manifest.home

    def unseen(self) -> list[str]:
        """Return the jobs whose files were never brought to this host."""
        return [one for one in self._table.job_ids() if not self._record(one).exists()]

    def bind(self, job_id: str) -> None:
        """Make this host the home of a job, before it is in the ledger: its images are here."""
        make_private(self._work)
        known = LocalCopy.read(self._record(job_id)) or LocalCopy({}, {})
        known._replace(bound=self.host).write(self._record(job_id))

    def bring(self, job_id: str, *, small: bool = False) -> None:
        """Copy the files of a claimed job to this host; if `small`, only those in the database."""
        manifest = self._table.manifest(job_id)
        if manifest is None:
            return
        known = LocalCopy.read(self._record(job_id))
        shared = dict(manifest.files)
        stamps = stamps_in(self._work / job_id)
        if known is not None and known.shared == shared:
            missing = _wanted(manifest, small=small) - stamps.keys()
            here = {name: one for name, one in known.here.items() if name not in missing}
        else:
            here = self._remove_outdated(job_id, shared, stamps, known)
            missing = _wanted(manifest, small=small) - here.keys()
        if not missing and known is not None and known.shared == shared:
            return
        here |= self._fetched(job_id, {name: shared[name] for name in missing})
        made_here = any(entry.host for entry in shared.values())
        bound = "" if made_here else manifest.home
        bound = known.bound if known is not None and made_here else bound
        make_private(self._work)
        LocalCopy(shared, here, bound).write(self._record(job_id))

    def _remove_outdated(
        self,
        job_id: str,
        shared: Mapping[str, SharedFile],
        stamps: Mapping[str, str],
        known: LocalCopy | None,
    ) -> dict[str, HereFile]:
        """Remove the files that differ from the database; return the others."""
        same = {}
        for name, stamp in stamps.items():
            entry = shared.get(name)
            digest = self._digest(job_id, name, stamp, known)
            if entry is not None and entry.digest == digest and entry.host in ("", self.host):
                same[name] = HereFile(stamp, digest)
            else:
                (self._work / job_id / name).unlink(missing_ok=True)
        for name in DRAWN if known is not None else ():
            (self._work / job_id / name).unlink(missing_ok=True)
        return same

    def _fetched(self, job_id: str, wanted: Mapping[str, SharedFile]) -> dict[str, HereFile]:
        """Write files into the work folder: of the database, and of shared storage."""
        if not wanted:
            return {}
        folder = make_private(make_private(self._work) / job_id)
        for name, sealed in self._table.sealed(job_id, filter(is_small, wanted)).items():
            write_durably(folder / name, self._keys.open(job_id, name, sealed))
        for name, entry in wanted.items():
            if not is_small(name) and self._objects is not None:
                self._objects.get(job_id, name, entry, folder / name)
        stamps = stamps_in(folder)
        return {
            name: HereFile(stamps[name], entry.digest)
            for name, entry in wanted.items()
            if name in stamps
        }

    def changes(self, job_id: str) -> FileChanges | None:
        """Return the files that changed since they were stored; None if none did."""
        known = LocalCopy.read(self._record(job_id)) or LocalCopy({}, {})
        put: dict[str, SharedFile] = {}
        sealed: dict[str, bytes] = {}
        stamps = stamps_in(self._work / job_id)
        for name, stamp in stamps.items():
            was = known.shared.get(name)
            digest = self._digest(job_id, name, stamp, known)
            if was is not None and was.digest == digest and was.host in ("", self.host):
                continue
            if is_small(name):
                content = (self._work / job_id / name).read_bytes()
                put[name] = SharedFile(self._keys.digest(job_id, name, [content]))
                sealed[name] = self._keys.seal(job_id, name, content)
            elif self._objects is not None:
                put[name] = self._objects.put(job_id, name, self._work / job_id / name, digest)
            else:
                put[name] = SharedFile.on(self.host, stamp)
        dropped = {name for name in known.here if name not in stamps}
        if any(name in LARGE for name in stamps):  # then this host is the home
            dropped |= {n for n, entry in known.shared.items() if entry.host not in ("", self.host)}
        dropped = (dropped & known.shared.keys()) - put.keys()
        fresh = FileChanges(put, sealed, frozenset(dropped), "")
        homes = {entry.host for entry in fresh.applied(known.shared).values() if entry.host}
        is_new = bool(known.bound) and not known.shared
        if not (put or dropped or is_new):
            return None
        return fresh._replace(home=min(homes, default=known.bound))

    def stored(self, job_id: str, changes: FileChanges) -> None:
        """Note that the database has them."""
        known = LocalCopy.read(self._record(job_id)) or LocalCopy({}, {})
        shared = changes.applied(known.shared)
        stamps = stamps_in(self._work / job_id)
        here = {
            name: HereFile(stamp, shared[name].digest)
            for name, stamp in stamps.items()
            if name in shared
        }
        LocalCopy(shared, here, known.bound).write(self._record(job_id))

    def keep(self, job_id: str) -> None:
        """Store changed files of a claimed job at once, before a transfer depends on them."""
        changes = self.changes(job_id)
        if changes is not None:
            self._table.write(job_id, changes)
            self.stored(job_id, changes)

    def forget(self, job_id: str) -> None:
        """Remove the files of a claimed job from the database, then from shared storage."""
        manifest = self._table.manifest(job_id)
        if manifest is None or not manifest.files:
            return
        changes = FileChanges({}, {}, frozenset(manifest.files), "")
        self._table.write(job_id, changes)
        objects = [one.place for one in manifest.files.values() if one.place and not one.host]
        if objects and self._objects is not None:
            self._objects.remove(objects)

    def old(self, before: datetime) -> list[str]:
        """Return the jobs with shared files that were finished before a time."""
        return self._table.old(before)

    def sweep(self) -> None:
        """Remove objects from shared storage that no job names; once a day."""
        now = None if self._objects is None else self._table.begin_sweep()
        if self._objects is not None and now is not None:
            self._objects.sweep(self._table.named, now)

    def probe(self) -> str:
        """Write, read and remove an object in shared storage; return its name, "" without one."""
        return "" if self._objects is None else self._objects.probe()

    @property
    def host(self) -> str:
        """The name of this host."""
        return self._table.host

    def _digest(self, job_id: str, name: str, stamp: str, known: LocalCopy | None) -> str:
        """Return the digest of a file as in the database; read only if it has changed."""
        before = None if known is None else known.here.get(name)
        if before is not None and before.stamp == stamp:
            return before.digest
        if not is_small(name) and self._objects is None:
            return stamp
        return self._keys.digest(job_id, name, _pieces(self._work / job_id / name))


def _wanted(manifest: Manifest, *, small: bool) -> set[str]:
    """Return the files that a step needs here; the package is read by the upload only."""
    wanted = {name for name in manifest.files if is_small(name)}
    if small:
        return wanted
    in_store = {n for n, one in manifest.files.items() if one.place and not one.host}
    return wanted | in_store - (set() if manifest.state == State.PACKAGED else {PACKAGE})


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
