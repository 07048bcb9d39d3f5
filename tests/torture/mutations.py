# ruff: noqa: E501 - the places are quoted as they stand
"""Do the tests bite? One fsync, rename, lock, or order of two writes is spoilt at a time.

    python -m tests.torture.mutations [NUMBER ...]

Each line of the list is a fault that would lose, double or corrupt something one night. The
package is copied, the fault planted, and the tests that should see it are run: each must fail.
Leaves with 1 where a fault goes unseen, or has no place in the code any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FILES, LEDGER, KILLS = (
    "tests/system/test_files.py",
    "tests/adapters/ledger",
    "tests/torture/test_kills.py",
)
PIPELINE, DELIVERY = "tests/pipeline/test_runner.py", "tests/adapters/delivery/test_folder.py"
WORKDIR, PROCESSES = "tests/adapters/state/test_workdir.py", "tests/torture/test_processes.py"
UPKEEP = "tests/operations/test_ledger_check.py"
AUDIT, DELIVERED = "tests/adapters/state/test_audit_log.py", "tests/pipeline/test_results.py"
NODE, ASSOCIATION = (
    "tests/adapters/delivery/test_dicom_node.py",
    "tests/adapters/dicom_network/test_association.py",
)
TOKENS = "tests/torture/test_tokens.py"
SHORTAGES, GROWTH = "tests/system/test_shortages.py", "tests/bounds/test_growth.py"
BOUNDS = "tests/bounds/test_files.py"
COMMISSION = "tests/operations/commissioning/test_commission.py"
GOLDEN = "tests/operations/commissioning/test_golden.py"
ONE_OFF = ("tests/pipeline/test_one_off.py", "tests/torture/test_one_off.py")


@dataclass(frozen=True)
class Fault:
    """One spoilt place."""

    what: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS: Final = (
    Fault(
        "the server is told before the DICOM node has the structure set",
        "pipeline/delivery.py",
        "        reports = [_send(delivery, open_target, ctx) for open_target in targets]\n",
        "        reports = [_send(delivery, open_target, ctx) for open_target in targets[:1]]\n",
        (DELIVERED,),
    ),
    Fault(
        "whatever a DICOM node says counts as stored",
        "adapters/delivery/judgement.py",
        "        if status == SUCCESS:\n",
        "        if status >= SUCCESS:\n",
        (NODE,),
    ),
    Fault(
        "a structure set that a DICOM node has no room for keeps all others from it",
        "adapters/delivery/judgement.py",
        'raise self.later(f"is out of resources (status {status:04X})")',
        'raise self.away("is out of resources")',
        (NODE,),
    ),
    Fault(
        "an answer about another structure set counts as one about the one that was sent",
        "core/dicom/dimse.py",
        "        (_SOP_INSTANCE, request.sop_instance, ",
        "        (_SOP_INSTANCE, fields.get(_SOP_INSTANCE, b'').decode(), ",
        (ASSOCIATION,),
    ),
    Fault(
        "an answer to another message counts",
        "core/dicom/dimse.py",
        "    if number_in(fields, _ANSWERED_ID) != MESSAGE_ID:\n",
        "    if number_in(fields, _ANSWERED_ID) is None:\n",
        (ASSOCIATION,),
    ),
    Fault(
        "a success that comes before the file was sent counts",
        "adapters/dicom_network/association.py",
        "        if not whole and is_success(status):\n",
        "        if not whole and status is None:\n",
        (ASSOCIATION,),
    ),
    Fault(
        "a node that has an older structure set of the job counts as having the new one",
        "adapters/delivery/sendings.py",
        "return self._digests() == {sha256}",
        "return sha256 in self._digests()",
        (NODE,),
    ),
    Fault(
        "what a node may have is noted after it was sent",
        "adapters/dicom_network/association.py",
        "                before_last()\n",
        "                pass\n",
        (NODE,),
    ),
    Fault(
        "an answer of a node may be of any length",
        "adapters/dicom_network/connection.py",
        "        if PDU_HEAD.size + length > limit:\n",
        "        if length > 0xFFFFFFFF:\n",
        (ASSOCIATION,),
    ),
    Fault(
        "a node that drips is waited for without end",
        "adapters/dicom_network/connection.py",
        "        self._end = monotonic() + seconds\n",
        "        self._end = monotonic() + seconds + 3600\n",
        (ASSOCIATION,),
    ),
    Fault(
        "a package goes out before that is written down",
        "pipeline/steps/upload.py",
        "    ctx.audit_write(ATTEMPT, job, **_disclosed(job, ctx, package))  # else nothing may leave\n",
        "",
        (AUDIT, KILLS),
    ),
    Fault(
        "a line of the audit log is not synced, and the power fails",
        "adapters/state/audit_log.py",
        "        os.fsync(stream.fileno())\n",
        "",
        (AUDIT,),
    ),
    Fault(
        "what a crash cut short in the audit log is written over",
        "adapters/state/audit_log.py",
        "if end.torn:",
        "if False:",
        (AUDIT,),
    ),
    Fault(
        "an upload is not counted, so that a lost end of the audit log is not missed",
        "pipeline/steps/upload.py",
        '("posts", "unanswered", "attested")',
        '("posts", "unanswered")',
        (AUDIT,),
    ),
    Fault(
        "a line of the audit log that was changed passes for one that a crash cut short",
        "adapters/state/hash_chain.py",
        "            if not is_torn_line(raw, before):",
        "            if False:",
        (AUDIT,),
    ),
    Fault(
        "a new token pair is on disk only when the request has returned",
        "adapters/server/login.py",
        "        self._keep(self.answer, self._old)\n",
        "",
        (TOKENS,),
    ),
    Fault(
        "a new token pair that a crash left on its way is not looked for",
        "adapters/server/token_store.py",
        "return self.pending.kept(stored) or stored",
        "return stored",
        (TOKENS,),
    ),
    Fault(
        "a new token pair is not synced when it comes, and the power fails",
        "adapters/server/token_store.py",
        "            os.fsync(descriptor)\n",
        "",
        (TOKENS,),
    ),
    Fault(
        "two processes exchange the tokens at once",
        "adapters/server/login.py",
        "            with self._store.locked():\n                self._renew(refused)\n",
        "            self._renew(refused)\n",
        (TOKENS,),
    ),
    Fault(
        "it is not noted that an exchange of tokens was begun",
        "adapters/server/token_store.py",
        "            self.pending.begin(old, now)\n",
        "            self.pending.path.write_text('{}')\n",
        (TOKENS,),
    ),
    Fault(
        "a file is not synced before it has its name",
        "system/files.py",
        "                os.fsync(stream.fileno())\n",
        "",
        (FILES,),
    ),
    Fault(
        "a folder is not synced",
        "system/files.py",
        "        fsync_folder(path.parent)\n",
        "",
        (FILES,),
    ),
    Fault(
        "a new folder is not synced",
        "system/files.py",
        "        fsync_folder(folder.parent)\n",
        "",
        (FILES,),
    ),
    Fault(
        "a file is written in its place",
        "system/files.py",
        'temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")',
        "temporary = path",
        (FILES,),
    ),
    Fault(
        "a file is not synced before it has its name, and the power fails",
        "system/files.py",
        "                os.fsync(stream.fileno())\n",
        "",
        (KILLS,),
    ),
    Fault(
        "a folder is not synced, and the power fails",
        "system/files.py",
        "        fsync_folder(path.parent)\n",
        "",
        (KILLS,),
    ),
    Fault(
        "a delivered file is not synced",
        "adapters/delivery/folder.py",
        "        os.fsync(stream.fileno())\n",
        "",
        (DELIVERY,),
    ),
    Fault(
        "the folder of a delivered file is not synced",
        "adapters/delivery/folder.py",
        "            fsync_folder(folder)\n",
        "",
        (DELIVERY,),
    ),
    Fault(
        "a delivered file replaces another",
        "adapters/delivery/folder.py",
        "rename_if_free(temporary, target)",
        "temporary.replace(target)",
        (DELIVERY,),
    ),
    Fault(
        "a delivered file is not read back",
        "adapters/delivery/folder.py",
        "if sha256_of(temporary) != wanted:",
        "if False:",
        (DELIVERY,),
    ),
    Fault(
        "the ledger changes without its lock",
        "adapters/ledger/parts.py",
        "        with held(self._lock):\n",
        "        if True:\n",
        (LEDGER,),
    ),
    Fault(
        "a stale version is taken",
        "adapters/ledger/jobs.py",
        "stored.revision != job.revision",
        "False",
        (LEDGER,),
    ),
    Fault(
        "jobs leave the ledger before they are archived",
        "adapters/ledger/jobs.py",
        "            self.archive.store(old)\n",
        "            self._table._update_table(lambda table: _drop(table, old))\n"
        "            self.archive.store(old)\n",
        (LEDGER,),
    ),
    Fault(
        "archived jobs are not in the index",
        "adapters/ledger/archive.py",
        "        self._write_index((before | after).values())\n",
        "",
        (LEDGER,),
    ),
    Fault(
        "damage to the ledger is not seen",
        "adapters/ledger/storage.py",
        "if is_sealed is None or not is_sealed(raw, whole, seal):",
        "if False:",
        (LEDGER,),
    ),
    Fault(
        "the generation stands still",
        "adapters/ledger/storage.py",
        '"generation": self.generation + 1,',
        '"generation": self.generation,',
        (LEDGER,),
    ),
    Fault(
        "a missing ledger is begun anew",
        "adapters/ledger/jobs.py",
        "            self._check_new()\n",
        "            pass\n",
        (LEDGER,),
    ),
    Fault(
        "two work on one job",
        "adapters/state/workdir.py",
        "        lock = FileLock(self.job_lock_file(job_id), mode=0o600)\n        try:\n"
        "            lock.acquire(blocking=False)\n",
        "        lock = FileLock(self.job_lock_file(job_id), mode=0o600)\n        try:\n"
        "            pass\n",
        (WORKDIR, PROCESSES),
    ),
    Fault(
        "two runs at once",
        "adapters/state/workdir.py",
        "        owner = self.state_dir / _OWNER\n        try:\n"
        "            lock.acquire(blocking=False)\n",
        "        owner = self.state_dir / _OWNER\n        try:\n            pass\n",
        (WORKDIR, PROCESSES),
    ),
    Fault(
        "an upload is counted once it is done",
        "pipeline/steps/upload.py",
        "recorded = ctx.ledger.commit(_begun(job, ctx.files.host))",
        "recorded = job",
        (PIPELINE, KILLS),
    ),
    Fault(
        "a job is done before the server knows",
        "pipeline/steps/reidentify.py",
        "    job = job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)\n",
        "    job = job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)\n"
        "    job = job.to(State.DONE, at=ctx.now())\n",
        (PIPELINE,),
    ),
    Fault(
        "the server is told before the file is delivered",
        "pipeline/steps/reidentify.py",
        "    reports = deliver(",
        '    ctx.server.confirm(job.task_id or "", at=ctx.now())\n    reports = deliver(',
        (PIPELINE, KILLS),
    ),
    Fault(
        "packages differ from build to build",
        "adapters/package.py",
        "_DEFLATED, 0, _FIRST_OF_1980)",
        "_DEFLATED, __import__('time').time_ns() % 60000, _FIRST_OF_1980)",
        ("tests/adapters/test_package.py", KILLS),
    ),
    Fault(
        "a series is in the ledger before whose it is",
        "pipeline/context.py",
        "                if crosswalk is not None:\n                    self.seal(job.id, (bring or partial(self._with_own_images, job.id))(crosswalk))\n"
        "                    if is_on_this_host(job, crosswalk, self.settings):\n                        self.files.bind(job.id)\n"
        "                return bool(self.ledger.add(job))\n",
        "                added = bool(self.ledger.add(job))\n"
        "                if crosswalk is not None:\n                    self.seal(job.id, (bring or partial(self._with_own_images, job.id))(crosswalk))\n"
        "                    if is_on_this_host(job, crosswalk, self.settings):\n                        self.files.bind(job.id)\n"
        "                return added\n",
        ("tests/pipeline/steps/test_scan.py", "tests/pipeline/test_context.py", KILLS),
    ),
    Fault(
        "a changed copy of a result is delivered",
        "pipeline/steps/reidentify.py",
        "    ctx.work.keep_altered(job.id, RECEIVED)  # else it would be taken for the file that came\n",
        "",
        (PIPELINE, UPKEEP),
    ),
    Fault(
        "an image out of a zip is not synced",
        "adapters/datastore/zips.py",
        "            os.fsync(descriptor)\n",
        "",
        ONE_OFF,
    ),
    Fault(
        "the folder of images out of a zip is not synced",
        "pipeline/one_off_sources.py",
        "                fsync_folder(folder)\n",
        "",
        ONE_OFF,
    ),
    Fault(
        "images that were unpacked for no job stay for ever",
        "adapters/state/workdir.py",
        "                if not is_known(path.parent.name):\n",
        "                if path.parent.name == '':\n",
        ONE_OFF,
    ),
    Fault(
        "images of an open job are taken for a leftover",
        "adapters/state/workdir.py",
        "                if not is_known(path.parent.name):\n",
        "                if True:\n",
        ONE_OFF,
    ),
    Fault(
        "a scan of the datastore moves a one-off job",
        "pipeline/steps/scan.py",
        "        if job.one_off:\n            _note_unseen",
        "        if job.one_off and job.state is State.WAITING:\n            _note_unseen",
        ONE_OFF,
    ),
    Fault(
        "a later job uses the images in the work folder of another",
        "pipeline/context.py",
        "        return crosswalk.with_paths(own) if own else crosswalk\n",
        "        return crosswalk\n",
        ONE_OFF,
    ),
    Fault(
        "what a person said of the place is lost with the first change of the vault",
        "core/series/crosswalk.py",
        '            deliver_to=plain.get("deliver_to", ""),\n',
        "",
        ONE_OFF,
    ),
    Fault(
        "a past patient's contours are delivered",
        "operations/commissioning/commission.py",
        "    finish_structure_set(job, sent, crosswalk, side)\n",
        "    data, _, _ = finish_structure_set(job, sent, crosswalk, side)\n    from drawcli.pipeline.delivery import deliver\n"
        "    deliver(job, data, crosswalk, side, __import__('pathlib').Path(crosswalk.files[0].path).parent)\n",
        (COMMISSION,),
    ),
    Fault(
        "a commissioning touches the jobs of the site",
        "operations/commissioning/side_ledger.py",
        'with FileLedger(folder / "ledger.json") as ledger:',
        'with FileLedger(ctx.site_dir / "ledger.json") as ledger:',
        (COMMISSION,),
    ),
    Fault(
        "new jobs are sent although the model has changed",
        "pipeline/holds.py",
        "        if job.template in changed and _may_be_held(job):\n",
        "        if not changed:\n",
        (GOLDEN,),
    ),
    Fault(
        "a task whose end was not stored counts as running while its worker lives",
        "adapters/work_queue/serve.py",
        "            lost.set()\n",
        "            pass\n",
        ("tests/adapters/work_queue/test_queue.py",),
    ),
    Fault(
        "an upload is stored in the ledger only after it has been sent",
        "pipeline/steps/upload.py",
        "    recorded = ctx.ledger.commit(_begun(job, ctx.files.host))\n",
        "    recorded = _begun(job, ctx.files.host)\n",
        ("tests/torture/cluster",),
    ),
    Fault(
        "an error of ours hides the shortage that caused it",
        "system/failures.py",
        "        cause = cause.__cause__ or cause.__context__\n",
        "        cause = None\n",
        (SHORTAGES,),
    ),
    Fault(
        "an image that this process may not open is passed over",
        "adapters/datastore/listing.py",
        "    raise_shortage(err)\n    return _ERRORS",
        "    return _ERRORS",
        (SHORTAGES,),
    ),
    Fault(
        "a scan fails where no process can be started",
        "adapters/datastore/processes.py",
        "    with suppress(OSError):  # no process, or no descriptor for its pipe\n",
        "    if True:\n",
        ("tests/pipeline/survey/test_survey.py",),
    ),
    Fault(
        "a folder that changed after another process had listed it is taken as it was",
        "adapters/datastore/ahead.py",
        "        if found is None or found.stamp != stamp:\n",
        "        if found is None:\n",
        ("tests/adapters/datastore/test_ahead.py",),
    ),
    Fault(
        "the files of a folder that another process has listed are taken for removed",
        "pipeline/survey/update.py",
        "        if folder.rows is None:\n            folder = list_again(folder)\n",
        "",
        ("tests/pipeline/survey/test_listed_ahead.py",),
    ),
    Fault(
        "a scan that is interrupted leaves processes, or waits for one that hangs",
        "adapters/datastore/processes.py",
        "        worker.process.kill()\n",
        "",
        ("tests/adapters/datastore/test_processes.py",),
    ),
    Fault(
        "a shortage before a command begins is a traceback",
        "cli/__init__.py",
        "(short := shortage_behind(err)) is None",
        "(short := shortage_behind(err)) is not None",
        (SHORTAGES,),
    ),
    Fault(
        "a full process table is a fault of the token command",
        "system/programs.py",
        "    if isinstance(err, BlockingIOError):",
        "    if isinstance(err, MemoryError):",
        ("tests/system/test_programs.py",),
    ),
    Fault(
        "a compressed answer is bounded as it is sent only",
        "adapters/server/responses.py",
        "            if total > most:\n                break\n",
        "",
        ("tests/bounds/test_server.py",),
    ),
    Fault(
        "a header is read to four times its bound",
        "core/dicom/streaming.py",
        "wanted >= LARGEST_HEADER",
        "wanted > LARGEST_HEADER",
        (BOUNDS,),
    ),
    Fault(
        "a YAML file is nested one level deeper",
        "system/yaml_read.py",
        "len(location) > _DEEPEST",
        "len(location) > _DEEPEST + 1",
        (BOUNDS,),
    ),
    Fault(
        "a zip bomb is unpacked",
        "adapters/datastore/zips.py",
        "    if total > bounds.calm_bytes and",
        "    if total > bounds.most_bytes and",
        (BOUNDS,),
    ),
    Fault(
        "structures are not counted",
        "core/gate/structure_set.py",
        "if self.count > _MOST_ITEMS or len(self.rois) > _MOST_STRUCTURES:",
        "if self.count > _MOST_ITEMS:",
        ("tests/bounds/test_structure_sets.py",),
    ),
    Fault(
        "names of months again and again take the square of their number",
        "core/gate/text_traces.py",
        "[a-z]{{0,12}}",
        "[a-z]*",
        (GROWTH,),
    ),
    Fault(
        "a header in small pieces is parsed at each",
        "core/dicom/streaming.py",
        "        data += _read_up_to(stream, wanted - len(data))\n        ended = len(data) < wanted\n",
        '        more = stream.read(wanted - len(data)) or b""\n        data, ended = data + more, not more\n',
        (GROWTH,),
    ),
    Fault(
        "entangled outlines are compared with each other",
        "core/rtstruct/enclosed_area.py",
        "        if pairs > NEIGHBOURS * len(shapes):\n",
        "        if pairs > NEIGHBOURS * len(shapes) ** 2:\n",
        ("tests/core/rtstruct/test_contour_checks.py",),
    ),
)


def seen(fault: Fault, folder: Path) -> bool:
    """Plant a fault in a copy; return whether its tests fail."""
    for name in ("drawcli", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "rules.yaml", "templates.yaml", "README.md"):
        shutil.copy(ROOT / name, folder)
    path = folder / "drawcli" / fault.file
    source = path.read_text(encoding="utf-8")
    if fault.right not in source:
        raise SystemExit(f"{fault.what}: {fault.file} does not say so any more")
    path.write_text(source.replace(fault.right, fault.wrong, 1), encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-o", "addopts=", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, *fault.tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=False,
    )
    return done.returncode == 1


def main() -> int:
    """Plant every fault, or those that are numbered; 1 where one is not seen."""
    chosen = [int(word) for word in sys.argv[1:]] or range(len(FAULTS))
    unseen = 0
    for number in chosen:
        with tempfile.TemporaryDirectory(prefix="drawcli-fault-") as folder:
            caught = seen(FAULTS[number], Path(folder))
        unseen += not caught
        sys.stdout.write(
            f"{number:3d}  {'seen' if caught else 'NOT SEEN'}  {FAULTS[number].what}\n"
        )
        sys.stdout.flush()
    return int(unseen > 0)


if __name__ == "__main__":
    sys.exit(main())
