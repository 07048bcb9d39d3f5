"""Open what the machines of a site share."""

from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.state.keys.key_source import check_no_file, site_keys
from drawcli.adapters.state.site_key import foreign_key, make_site_key, site_key_path
from drawcli.core.jobs.shared_files import HostFiles, JobFiles
from drawcli.errors import ConfigError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.adapters.state.keys.key_source import SiteKeys
    from drawcli.adapters.state.workdir import WorkDir
    from drawcli.adapters.work_store.objects import ObjectFiles
    from drawcli.adapters.work_store.store import WorkStore
    from drawcli.config.load import Settings
    from drawcli.core.deid.pseudonyms import StandIns
    from drawcli.core.jobs.ledger import Ledger


def job_files(settings: "Settings", ledger: "Ledger", keys: "SiteKeys") -> JobFiles:
    """Return the shared files of jobs; from now on the ledger stores those of each change."""
    if not settings.ledger:
        return HostFiles()
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.adapters.work_store.carried import CarriedFiles
    from drawcli.adapters.work_store.sealing import FileKeys

    if not isinstance(ledger, DatabaseLedger):
        return HostFiles()
    _join(ledger, keys)
    files = CarriedFiles(
        settings.state_dir / "work",
        ledger.files,
        FileKeys(keys.stand_ins, keys.older),
        settings.cluster.gone_minutes,
        _objects(settings, ledger, keys),
    )
    ledger.carrier = files
    return files


def _objects(
    settings: "Settings", ledger: "DatabaseLedger", keys: "SiteKeys"
) -> "ObjectFiles | None":
    """Return the shared storage of large files; None if they stay on their host."""
    if not settings.cluster.shares_work:
        return None
    from drawcli.adapters.work_store.folder_store import FolderStore
    from drawcli.adapters.work_store.objects import ObjectFiles
    from drawcli.adapters.work_store.s3_store import S3Store
    from drawcli.adapters.work_store.sealing import FileKeys

    work = settings.cluster.work
    store: WorkStore
    if work.startswith("s3://"):
        store = S3Store(settings.cluster, ledger.site)
    else:
        store = FolderStore(Path(work), ledger.site, is_used=ledger.files.has_objects())
    return ObjectFiles(store, FileKeys(keys.stand_ins, keys.older))


def check_same_site(ledger: "Ledger", work: "WorkDir", ring: "Iterable[StandIns]") -> None:
    """Raise an error if the ledger is missing or of another key: all would be sent again."""
    if not ledger.has_jobs() and work.has_jobs():
        raise LedgerError(
            f"{work.state_dir} has work folders of jobs, but no ledger",
            hint="Restore ledger.json from a copy, or move the folder 'work' away.",
        )
    if ledger.keys_used() - {key.key_id for key in ring}:
        raise foreign_key(work.state_dir)


def _join(ledger: "DatabaseLedger", keys: "SiteKeys") -> None:
    """Raise ConfigError if this host has another key than the site; record that of the first."""
    from drawcli.adapters.ledger.postgres.keys import other_key, record_key, recorded_key

    ours, older = keys.stand_ins.key_id, keys.retired
    before = recorded_key(ledger)
    if before != ours and (not before or before in older):
        record_key(ledger, ours, before)
        before = recorded_key(ledger)
    if before != ours:
        raise other_key(ours, before)
    ledger.key_id = ours


def record_new_key(ledger: "Ledger", key_id: str, former: str) -> None:
    """Record that the site key was replaced: other hosts stop until they have the new one."""
    from drawcli.adapters.ledger import FileLedger

    if isinstance(ledger, FileLedger):
        return
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.adapters.ledger.postgres.keys import record_key

    if isinstance(ledger, DatabaseLedger):
        record_key(ledger, key_id, former)
        ledger.key_id = key_id


def first_site_key(settings: "Settings") -> tuple[str, bool]:
    """Create the site key if there is none; return where it is, and whether it is new.

    Raises
    ------
    ConfigError
        If the site has a key on its other hosts, or the key there cannot be used.
    """
    if settings.site_key_command:
        check_no_file(settings.state_dir)
        return site_keys(settings).where, False
    path = site_key_path(settings.state_dir)
    is_new = not path.exists()
    if is_new and settings.ledger:
        _check_first_host(settings)
    return str(make_site_key(settings.state_dir)), is_new


def _check_first_host(settings: "Settings") -> None:
    from drawcli.adapters.ledger.postgres.keys import recorded_key
    from drawcli.adapters.ledger.postgres.site import database_ledger

    with database_ledger(settings) as ledger:
        there = recorded_key(ledger)
    if there:
        raise ConfigError(
            f"{settings.state_dir}: the site key is missing; the other hosts of the site have "
            f"key {there}",
            code="site-key",
            hint="Copy it: 'drawcli key backup FILE' there, 'drawcli key restore FILE' here; "
            "or set site_key_command as there.",
        )
