"""MATCHED -> PACKAGED: build the package and check it with the privacy gate.

Safe to repeat: the same key and sources give the same bytes. The crosswalk is durable before the
zip gets its final name; the ledger is written last.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import first_frame, open_slice
from drawcli.adapters.gate import findings
from drawcli.adapters.package import write_package
from drawcli.adapters.state.workdir import AS_SENT, PACKAGE, TEMPLATE
from drawcli.core.deid.block_hints import advise, summarize_findings
from drawcli.core.deid.engine import Replacements
from drawcli.core.deid.profile import Choices, fingerprint
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header
from drawcli.core.jobs.job import Job, State
from drawcli.core.series.burned_in import has_burned_in_text
from drawcli.core.series.crosswalk import Crosswalk, SourceFile, read_identity
from drawcli.core.templates.template import Template, server_file
from drawcli.errors import GateBlocked, NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.sent_slices import deidentify_slices, sent_class
from drawcli.system.platforms import fsync_folder

CANDIDATE: Final = "candidate.zip"  # until the gate has passed it
_WRITING: Final = "warning: a corner of the pixels looks like writing"


def deidentify(job: Job, ctx: Context) -> Job:
    """De-identify a series into its package, check it, and store its crosswalk."""
    crosswalk, template = ctx.images_of(job), _template(job, ctx)
    server_template = server_file(job.template or "", template)
    stand_ins = ctx.stand_ins_of(job)
    ctx.work.check_space(sum(file.size for file in crosswalk.files))
    replacements, header = read_replacements(
        crosswalk,
        stand_ins,
        ctx.settings.deidentify.choices,
        package_id(job.id, server_template, crosswalk, stand_ins),
    )
    folder = ctx.work.folder(job.id)
    candidate = folder / CANDIDATE
    files: dict[str, SourceFile] = {}
    slices = deidentify_slices(crosswalk, replacements, files)
    count = sum(file.frames for file in crosswalk.files)
    packed = ctx.progress.count_items(slices, "files packed", count)
    members = chain(packed, [(TEMPLATE, (server_template,))])
    try:
        workers = ctx.settings.deidentify.workers
        package = write_package(candidate, members, workers=workers)
        _check_package(candidate, job, crosswalk, ctx)
    except BaseException:
        candidate.unlink(missing_ok=True)
        raise
    ctx.work.write(job.id, TEMPLATE, server_template)
    ctx.work.write(job.id, AS_SENT, template.as_json(only_given=True).encode("utf-8"))
    ctx.seal(job.id, complete_crosswalk(crosswalk, replacements, header, files))
    candidate.replace(folder / PACKAGE)
    fsync_folder(folder)
    job = job.to(State.PACKAGED, at=ctx.now(), zip_sha256=package.sha256, zip_bytes=package.size)
    return job.noted(ctx.now(), _WRITING) if _shows_writing(crosswalk) else job


def _check_package(candidate: Path, job: Job, crosswalk: Crosswalk, ctx: Context) -> None:
    """Raise GateBlocked if the package contains patient data."""
    paths = [file.path for file in crosswalk.files]
    sources = ctx.progress.count_items(paths, "files compared by the gate")
    retained = ctx.settings.deidentify.retain
    found = findings(candidate, sources, form=ctx.package_name(job, crosswalk), retained=retained)
    if found:
        leaks = [(leak.check, leak.where) for leak in found]
        advice = advise(leaks, f"run 'drawcli retry {job.id}'")
        raise GateBlocked(
            f"the package still contains patient data: {summarize_findings(leaks)}",
            hint=f"Nothing was sent. {advice}",
        )


def _shows_writing(crosswalk: Crosswalk) -> bool:
    """Return whether the corners of the first, the middle or the last slice look like text."""
    paths = [file.path for file in crosswalk.files]
    frames = map(first_frame, {paths[0], paths[len(paths) // 2], paths[-1]})
    return any(has_burned_in_text(*frame) for frame in frames if frame)


def _template(job: Job, ctx: Context) -> Template:
    template = ctx.rulebook.templates.get(job.template or "")
    if template is None:
        raise NeedsPerson(
            f"template {job.template} is no longer in templates.yaml",
            code="template-gone",
            hint=f"Restore it, or run 'drawcli assign {job.id} TEMPLATE'.",
        )
    return template


def package_id(
    job_id: str, server_template: bytes, crosswalk: Crosswalk, stand_ins: StandIns
) -> str:
    """Return the StudyID (0020,0010) of the images of one package.

    The server copies it into the structure set, which identifies the package: job, template and
    images.
    """
    template = hashlib.sha256(server_template).hexdigest()
    images = sorted(f"{file.sop_uid} {file.size}" for file in crosswalk.files)
    return stand_ins.package_id(job_id, template, *images)


def read_replacements(
    crosswalk: Crosswalk, stand_ins: StandIns, choices: Choices, study_id: str = ""
) -> tuple[Replacements, Header]:
    """Read the first slice; return the replacements for the patient's values, and its header.

    Parameters
    ----------
    crosswalk, stand_ins, choices
        The series, the key and the policy.
    study_id
        See `package_id`; "" for images that are not sent for a job.
    """
    stream, header = open_slice(crosswalk.files[0].path)
    stream.close()
    return replace(Replacements.of(header, stand_ins, choices), study_id=study_id), header


def complete_crosswalk(
    crosswalk: Crosswalk,
    replacements: Replacements,
    header: Header,
    files: Mapping[str, SourceFile],
) -> Crosswalk:
    """Return the crosswalk with everything that re-identification needs.

    Parameters
    ----------
    crosswalk
        The series, as a scan saw it.
    replacements, header
        The replacements for the patient's values, and the header of the first slice.
    files
        The sources as they were read, by path.
    """
    return crosswalk._replace(
        files=tuple(files[file.path] for file in crosswalk.files),
        frame_uid=header.text(tags.FrameOfReferenceUID) or crosswalk.frame_uid,
        uids=replacements.uids,
        frame_numbers=replacements.frame_numbers,
        dates={moved: day for moved, day in replacements.dates.items() if moved},
        pseudonym=f"DEID-{replacements.pseudonym}",
        identity=read_identity(header),
        study_id=replacements.study_id,
        sop_class=header.text(tags.SOPClassUID),
        policy=fingerprint(
            sent_class(header.text(tags.SOPClassUID), replacements.choices), replacements.choices
        ),
        character_set=header.raw(tags.SpecificCharacterSet) or b"",
    )
