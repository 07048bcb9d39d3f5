"""Maintenance of site keys and vaults: rotate, back up, restore, rebuild.

A new key changes every replacement value from then on: a patient gets another pseudonym and
another date shift. Existing jobs keep the key they were made with. Retired keys are still needed,
to recognise series that were sent already.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, product
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.package import write_package
from drawcli.adapters.state.keys.key_source import SiteKeys
from drawcli.adapters.state.site_key import (
    LENGTH,
    KeyBackup,
    could_be_committed,
    note_backup,
    replace_site_key,
    restore_site_keys,
    retire_site_key,
)
from drawcli.adapters.state.vault import Vault, vault_of
from drawcli.adapters.state.workdir import PACKAGE, TEMPLATE, VAULT
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.ledger import Busy
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.members import scan_slices
from drawcli.errors import ConfigError, DrawcliError, NeedsPerson, UsageError
from drawcli.pipeline.cluster.opening import record_new_key
from drawcli.pipeline.context import Context
from drawcli.pipeline.sent_slices import deidentify_slices
from drawcli.pipeline.steps.deidentify import (
    complete_crosswalk,
    package_id,
    read_replacements,
)
from drawcli.system.failures import in_words
from drawcli.system.files import write_durably
from drawcli.system.platforms import is_within

_HEAD: Final = "# Site keys of drawcli. Whoever has them can tell which patient is which.\n"
LARGEST_BACKUP: Final = 1_000_000  # bytes: 10,000 keys
_WORDS: Final = 3  # of a line of a backup


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation."""

    key_id: str  # of the new key
    retired: str | None  # None if an unfinished rotation was completed instead
    sealed_anew: int  # number of vaults
    left: tuple[str, ...]  # jobs whose vault could not be re-encrypted; the old key opens them


def rotate(ctx: Context) -> Rotated:
    """Create a new site key, retire the present one and re-encrypt every vault.

    The caller holds the run lock. A kill at any moment is safe: until the new key is renamed into
    place nothing has changed, and afterwards both keys open the vaults. The next call completes an
    unfinished rotation without creating another key.
    """
    if ctx.retired and not all(map(ctx.vault.is_current, _folders(ctx))):
        return _sealed_anew(ctx.stand_ins, ctx.retired, None, ctx)
    state_dir, before = ctx.settings.state_dir, ctx.stand_ins
    if ctx.settings.site_key_command:
        raise UsageError(
            "the site key comes from site_key_command: drawcli cannot replace it there",
            hint="Make the command print a new key, and below it the present one; then run "
            "'drawcli key rotate' to encrypt the vaults again.",
        )
    ctx.record("key-rotate", key=before.key_id)
    retire_site_key(state_dir, before.key_id)
    fresh = StandIns(replace_site_key(state_dir))
    record_new_key(ctx.ledger, fresh.key_id, before.key_id)
    return _sealed_anew(fresh, (before, *ctx.retired), before.key_id, ctx)


def _sealed_anew(
    today: StandIns, retired: Iterable[StandIns], old_id: str | None, ctx: Context
) -> Rotated:
    vault, count, left = vault_of(today, retired), 0, []
    for folder in _folders(ctx):
        if vault.is_current(folder):
            continue
        try:
            with ctx.job_lock(folder.name):
                vault.seal(folder, folder.name, vault.open(folder, folder.name))
                ctx.files.keep(folder.name)
            count += 1
        except (Busy, NeedsPerson):
            left.append(folder.name)
    return Rotated(today.key_id, old_id, count, tuple(left))


def _folders(ctx: Context) -> list[Path]:
    return [ctx.work.file(job.id, VAULT).parent for job in ctx.kept_jobs()]


def jobs_by_key(ctx: Context) -> dict[str, int]:
    """Return the number of jobs made with each key of the site, by key id."""
    counts = Counter(job.key_id for job in ctx.ledger.all_jobs())
    return {one.key_id: counts[one.key_id] for one in (ctx.stand_ins, *ctx.retired)}


def back_up(
    target: Path, key: bytes, retired: Mapping[str, bytes], forbidden: Iterable[Path]
) -> None:
    """Write all keys of a site into a new file with mode 0600.

    Parameters
    ----------
    target
        A file that does not exist.
    key, retired
        The present key, and the others by id.
    forbidden
        Folders that must not contain a key.

    Raises
    ------
    UsageError
        If the file must not be written there.
    """
    check_backup_place(target, forbidden)
    lines = [f"key {StandIns(key).key_id} {key.hex()}"]
    lines += [f"retired {StandIns(old).key_id} {old.hex()}" for old in retired.values()]
    write_durably(target, (_HEAD + "\n".join(lines) + "\n").encode("ascii"))


def check_backup_place(target: Path, forbidden: Iterable[Path]) -> None:
    """Raise UsageError if a backup of the keys must not be written there."""
    place = target.resolve()
    if target.exists():
        raise UsageError(f"{target} exists already; it is not overwritten")
    if not place.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    for folder in forbidden:
        if is_within(place, folder):
            raise UsageError(
                f"{target} is in {folder}",
                hint="Choose a place away from state and images, such as a USB stick in a safe.",
            )
    if could_be_committed(place.parent):
        raise UsageError(f"{target} is in a git work tree, from where it could be published")


def note_keys_kept(state_dir: Path, present: SiteKeys, now: datetime) -> None:
    """Record for `doctor` that a backup has the present keys; the backup does not depend on it."""
    keys = [present.key, *present.retired.values()]
    with suppress(OSError, DrawcliError):
        note_backup(state_dir, KeyBackup(now, frozenset(StandIns(key).key_id for key in keys)))


def restore(backup: Path, state_dir: Path) -> str:
    """Restore the keys of a backup if there is no site key; return the id of the present key.

    Raises
    ------
    ConfigError
        If the file is no intact backup, or if there is a site key.
    """
    key, retired = None, {}
    damaged = ConfigError(f"{backup} is not an intact backup of site keys; nothing was changed")
    try:
        with backup.open("rb") as stream:
            lines = stream.read(LARGEST_BACKUP + 1).decode("ascii").splitlines()
            if stream.tell() > LARGEST_BACKUP:
                raise damaged
    except (OSError, ValueError) as err:
        raise ConfigError(f"{backup}: cannot be read: {in_words(err)}") from None
    for line in (line for line in lines if not line.startswith("#")):
        words = line.split()
        with suppress(ValueError):
            kind, key_id, digits = words if len(words) == _WORDS else ("", "", "")
            raw = bytes.fromhex(digits)
            if len(raw) != LENGTH or StandIns(raw).key_id != key_id:
                raise damaged
            if kind == "key" and key is None:
                key = raw
                continue
            if kind == "retired":
                retired[key_id] = raw
                continue
        raise damaged
    if key is None:
        raise damaged
    restore_site_keys(state_dir, key, retired)
    return StandIns(key).key_id


def rebuild(job: Job, ctx: Context) -> Crosswalk:
    """Rebuild the lost vault of a job from its sources and the site key.

    Replacement values are derived, so the sources give the same ones. A package that exists is
    built again and compared: only identical bytes prove that nothing has changed.

    Raises
    ------
    UsageError
        If there is nothing to rebuild.
    NeedsPerson
        If the sources are missing or have changed.
    """
    if _can_be_opened(job, ctx.vault, ctx):
        raise UsageError(f"job {job.id} has its vault; there is nothing to rebuild")
    if job.of_folder:
        raise UsageError(f"job {job.id} is about a folder; cancel it, and the next scan reports it")
    if job.one_off:
        raise _lost("only the vault knew where the images of this one-off job are")
    stand_ins = ctx.stand_ins_of(job)
    walk = read_datastore(ctx.settings.datastore)
    for uid, files in walk.by_series().items():
        if stand_ins.series_key(uid) == job.series_key:
            slices = scan_slices(files) or files
            break
    else:
        raise _lost("the datastore no longer contains the series of the job")
    names = sorted(f"{one.sop_uid} {one.size}" for one in slices)
    if stand_ins.digest("source", *names) != job.source_digest:
        raise _lost(f"the series had {job.slices} files and has {len(slices)}, or other files")
    crosswalk = Crosswalk.of(slices)
    if job.zip_sha256:
        crosswalk = _proven(job, crosswalk, stand_ins, ctx)
    ctx.seal(job.id, crosswalk)
    return crosswalk


def _proven(job: Job, crosswalk: Crosswalk, stand_ins: StandIns, ctx: Context) -> Crosswalk:
    """Return the crosswalk of a package that was built again and found identical."""
    folder = ctx.work.folder(job.id)
    again = folder / f".{PACKAGE}.rebuilt.tmp"  # swept up with the temporary files of dead runs
    try:
        template = (folder / TEMPLATE).read_bytes()
        ids = (package_id(job.id, template, crosswalk, stand_ins), "")  # "": before 0.2
        for study_id, choices in product(ids, _ways(ctx.settings.deidentify.choices)):
            replacements, header = read_replacements(crosswalk, stand_ins, choices, study_id)
            files: dict[str, SourceFile] = {}
            members = chain(
                deidentify_slices(crosswalk, replacements, files), [(TEMPLATE, (template,))]
            )
            if write_package(again, members).sha256 == job.zip_sha256:
                return complete_crosswalk(crosswalk, replacements, header, files)
    except FileNotFoundError:
        raise _lost("the template that was sent is missing in the work folder") from None
    finally:
        again.unlink(missing_ok=True)
    raise _lost("the package differs now: images, settings or drawcli have changed")


def _ways(choices: Choices) -> tuple[Choices, Choices]:
    """Return how a package may have been built: as now, or by versions that sent files whole."""
    split = choices._replace(multiframe="split")
    return split, choices._replace(multiframe="whole", decompress=False)


def _can_be_opened(job: Job, vault: Vault, ctx: Context) -> bool:
    try:
        vault.open(ctx.work.file(job.id, VAULT).parent, job.id)
    except NeedsPerson:
        return False
    return True


def _lost(what: str) -> NeedsPerson:
    return NeedsPerson(
        f"the vault cannot be rebuilt: {what}",
        code="vault-lost",
        hint="Restore the work folder from backup, or send the series again: 'drawcli assign'.",
    )
