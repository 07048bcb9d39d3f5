"""What a person does with site keys and vaults: rotate, back up, put back, rebuild.

A new key changes every stand-in from then on: a patient gets another pseudonym and another shift
of dates. Jobs that exist keep the key they were made with, and a retired key stays needed: by it
drawcli knows which series were sent already.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.package import write_package
from drawcli.adapters.state.site_key import (
    LENGTH,
    could_be_committed,
    replace_site_key,
    restore_site_keys,
    retire_site_key,
)
from drawcli.adapters.state.vault import Vault
from drawcli.adapters.state.workdir import PACKAGE, TEMPLATE, VAULT, Busy
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.members import scan_slices
from drawcli.errors import ConfigError, NeedsPerson, UsageError
from drawcli.pipeline.context import Context, vault_of
from drawcli.pipeline.steps.deidentify import as_sent, package_id, replacements_of, slices_of
from drawcli.system.files import write_durably
from drawcli.system.platforms import is_within

_HEAD: Final = "# Site keys of drawcli. Whoever has them can tell which patient is which.\n"
_WORDS: Final = 3  # of a line of a backup


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    key_id: str  # of today
    retired: str | None  # None where an earlier rotation was finished instead
    sealed_anew: int  # vaults
    left: tuple[str, ...]  # jobs whose vault could not be sealed anew; they open as before


def rotate(ctx: Context) -> Rotated:
    """Put a new site key in the place of today's, which is retired; seal every vault with it.

    The run lock is held by the caller. May be killed at any moment: until the new key has its name
    nothing has changed, and afterwards both keys open the vaults. The next call goes on with a
    rotation that was not finished, and makes no further key.
    """
    if ctx.retired and not all(map(ctx.vault.is_current, _folders(ctx))):
        return _sealed_anew(ctx.stand_ins, ctx.retired, None, ctx)
    state_dir, before = ctx.settings.state_dir, ctx.stand_ins
    retire_site_key(state_dir, before.key_id)
    fresh = StandIns(replace_site_key(state_dir))
    return _sealed_anew(fresh, (before, *ctx.retired), before.key_id, ctx)


def _sealed_anew(
    today: StandIns, retired: Iterable[StandIns], old_id: str | None, ctx: Context
) -> Rotated:
    vault, count, left = vault_of(today, retired), 0, []
    for folder in _folders(ctx):
        if vault.is_current(folder):
            continue
        try:
            with ctx.work.job_lock(folder.name):
                vault.seal(folder, folder.name, vault.open(folder, folder.name))
            count += 1
        except (Busy, NeedsPerson):
            left.append(folder.name)
    return Rotated(today.key_id, old_id, count, tuple(left))


def _folders(ctx: Context) -> list[Path]:
    return [ctx.work.file(job.id, VAULT).parent for job in ctx.kept_jobs()]


def jobs_by_key(ctx: Context) -> dict[str, int]:
    """Return how many jobs were made with each key of the site, by the keys' ids."""
    counts = Counter(job.key_id for job in ctx.ledger.all_jobs())
    return {one.key_id: counts[one.key_id] for one in (ctx.stand_ins, *ctx.retired)}


def back_up(
    target: Path, key: bytes, retired: Mapping[str, bytes], forbidden: Iterable[Path]
) -> None:
    """Write all keys of a site into one new file that its owner alone can read.

    Parameters
    ----------
    target
        The file; it must not exist.
    key, retired
        The key of today, and the others by their ids.
    forbidden
        Folders in which a key must not lie.

    Raises
    ------
    UsageError
        Where the file must not be put there.
    """
    place = target.resolve()
    if target.exists():
        raise UsageError(f"{target}: there is such a file; it is not overwritten")
    if not place.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    for folder in forbidden:
        if is_within(place, folder):
            raise UsageError(
                f"{target} lies in {folder}",
                hint="Choose a place apart from state and images, such as a safe's USB stick.",
            )
    if could_be_committed(place.parent):
        raise UsageError(f"{target} lies in a git work tree, from where it could be published")
    lines = [f"key {StandIns(key).key_id} {key.hex()}"]
    lines += [f"retired {StandIns(old).key_id} {old.hex()}" for old in retired.values()]
    write_durably(target, (_HEAD + "\n".join(lines) + "\n").encode("ascii"))


def restore(backup: Path, state_dir: Path) -> str:
    """Put the keys of a backup back where there is no site key; return the id of today's.

    Raises
    ------
    ConfigError
        Where the backup is none, or there is a site key already.
    """
    key, retired = None, {}
    damaged = ConfigError(f"{backup}: is no whole backup of site keys; nothing was changed")
    try:
        lines = backup.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as err:
        raise ConfigError(f"{backup}: cannot be read ({type(err).__name__})") from None
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
    """Seal the vault of a job again, from the sources and the key, where it is lost.

    Stand-ins are derived, so the sources give the same ones. A package that was made is made once
    more and compared: only the same bytes prove that nothing has changed since.

    Raises
    ------
    UsageError
        Where there is nothing to rebuild.
    NeedsPerson
        Where the sources are gone or are not what they were.
    """
    if _can_be_opened(job, ctx.vault, ctx):
        raise UsageError(f"job {job.id} has its vault; there is nothing to rebuild")
    if job.of_folder:
        raise UsageError(f"job {job.id} is of a folder; cancel it, and the next scan tells of it")
    if job.one_off:
        raise _lost("it said where the images of this one-off job are, and nothing else does")
    stand_ins = ctx.stand_ins_of(job)
    walk = read_datastore(ctx.settings.datastore)
    for uid, files in walk.by_series().items():
        if stand_ins.series_key(uid) == job.series_key:
            slices = scan_slices(files) or files
            break
    else:
        raise _lost("the datastore does not hold the series of the job any more")
    names = sorted(f"{one.sop_uid} {one.size}" for one in slices)
    if stand_ins.digest("source", *names) != job.source_digest:
        raise _lost(f"the series had {job.slices} files and has {len(slices)}, or others")
    crosswalk = Crosswalk.of(slices)
    if job.zip_sha256:
        crosswalk = _proven(job, crosswalk, stand_ins, ctx)
    ctx.seal(job.id, crosswalk)
    return crosswalk


def _proven(job: Job, crosswalk: Crosswalk, stand_ins: StandIns, ctx: Context) -> Crosswalk:
    """Return the crosswalk of a package, made once more and found to be the same."""
    folder = ctx.work.folder(job.id)
    choices = ctx.settings.deidentify.choices
    again = folder / f".{PACKAGE}.rebuilt.tmp"  # swept up with the temporary files of dead runs
    try:
        template = (folder / TEMPLATE).read_bytes()
        for study_id in (package_id(job.id, template, crosswalk, stand_ins), ""):  # "": before 0.2
            replacements, header = replacements_of(crosswalk, stand_ins, choices, study_id)
            files: dict[str, SourceFile] = {}
            members = chain(slices_of(crosswalk, replacements, files), [(TEMPLATE, (template,))])
            if write_package(again, members).sha256 == job.zip_sha256:
                return as_sent(crosswalk, replacements, header, files)
    except FileNotFoundError:
        raise _lost("the template that was sent is gone from the work folder") from None
    finally:
        again.unlink(missing_ok=True)
    raise _lost("the package comes out otherwise: images, settings or drawcli have changed")


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
        hint="Put the work folder back from backup; or 'drawcli assign' sends the series again.",
    )
