"""From the form of an edit to the saved file: checked, shown as a diff, compared, committed."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.adapters.edited_files.git_commit import Commit
from drawcli.adapters.edited_files.saving import ChangedMeanwhile, Saved
from drawcli.authoring.file_checks import CheckedFile
from drawcli.authoring.file_drafts import (
    Edit,
    FileDraft,
    diff_of,
    draft_of,
    draft_on,
    text_shown,
)
from drawcli.authoring.hidden_values import new_patient_elements
from drawcli.dashboard.access.auth import SEE_OTHER
from drawcli.dashboard.access.rights import Right, Visitor, visitor_of
from drawcli.dashboard.editing.files import EditedFile
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError, DrawcliError, UsageError
from drawcli.system.printable import plain
from drawcli.system.yaml_read import parse_yaml, read_yaml

_log = logging.getLogger(__name__)
BASE: Final = "base"  # the form field with the digest of the file that the user has seen
SHOWN: Final = "shown"  # ... of the changed file, as the diff has shown it
STEP: Final = "step"
ANYWAY: Final = "anyway"  # the form field: save although tests fail
_CARRIED: Final = frozenset({"csrf", BASE, SHOWN, STEP, ANYWAY})
INVALID: Final = 422
_CONFLICT: Final = 409


class Step(StrEnum):
    """What the button of a form asks for."""

    PREVIEW = "preview"
    SAVE = "save"
    EDIT = "edit"  # back to the form


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change of a file, as a form describes it."""

    file: EditedFile
    edit: Edit
    summary: str  # one line: the title of the diff, and the message of the commit
    action: str  # the address of the form
    back: str  # the address after the save
    template: str = "edit_preview.html"  # of the page with the diff, or one that extends it
    effect: Callable[[CheckedFile], Mapping[str, Any]] = lambda _checked: {}  # for the template


Again = Callable[[list[str]], Response]


def base_of(request: Request, file: EditedFile) -> str:
    """Return the digest of a file as it is now, for a form; the text is remembered."""
    parts = parts_of(request)
    return parts.seen.remember(read_yaml(file.path(parts.site.ctx.settings)).source)


def carried(form: FormData) -> list[tuple[str, str]]:
    """Return the fields of a form that describe the edit; a name may be there several times."""
    return [(name, str(value)) for name, value in form.multi_items() if name not in _CARRIED]


def step_of(form: FormData) -> Step:
    """Return what the button of a form asks for."""
    asked = str(form.get(STEP, ""))
    return Step(asked) if asked in set(Step) else Step.PREVIEW


async def answer(request: Request, form: FormData, what: Proposal, again: Again) -> Response:
    """Return the page with the diff of a change, or save it.

    Parameters
    ----------
    request, form
        The form, verified, of a user who may edit.
    what
        The change that it describes.
    again
        Returns the form with what was typed, and problems beside it.
    """
    site = parts_of(request).site
    base, saving = str(form.get(BASE, "")), step_of(form) is Step.SAVE
    try:
        draft, checked = await run_in_threadpool(drafted, request, what, base)
        is_confirmed = not checked.failed or form.get(ANYWAY) == "yes"
        if saving and is_confirmed and form.get(SHOWN) == draft.digest:
            saved = await run_in_threadpool(_saved, site, what, draft, visitor_of(request))
            return RedirectResponse(f"{what.back}?saved={saved.commit or 'yes'}", SEE_OTHER)
    except ChangedMeanwhile:
        return await run_in_threadpool(_conflict, request, form, what)
    except DrawcliError as err:
        problems = [*str(err).splitlines(), *([err.hint] if err.hint else [])]
        return await run_in_threadpool(again, problems)
    if not draft.is_change:
        return await run_in_threadpool(again, ["Nothing would change."])
    parts_of(request).seen.remember(draft.before.source)
    return await run_in_threadpool(_preview, request, form, what, draft, checked)


def _preview(
    request: Request, form: FormData, what: Proposal, draft: FileDraft, checked: CheckedFile
) -> Response:
    """Return the page with the diff of a change; nothing is written."""
    return page(
        request,
        what.template,
        what=what,
        diff=draft.diff(in_full=_sees(request)),
        base=draft.base,
        shown=draft.digest,
        checked=checked,
        fields=carried(form),
        by=visitor_of(request).name,
        asks_again=step_of(form) is Step.SAVE,
        **what.effect(checked),
    )


def drafted(request: Request, what: Proposal, base: str) -> tuple[FileDraft, CheckedFile]:
    """Return the draft of a change and what the commands say of it; see `draft_of`.

    Raises
    ------
    UsageError
        Where it asks for patients, and the user may not see them.
    """
    site = parts_of(request).site
    settings = site.ctx.settings
    try:
        draft = draft_of(what.file.path(settings), what.edit, base=base)
        if not _sees(request):
            _check_asks_nobody(draft)
        return draft, what.file.check(draft.before, draft.after, settings, site.now.date())
    except RecursionError:
        raise ConfigError(f"{what.file.name}: nested too deep") from None


def _check_asks_nobody(draft: FileDraft) -> None:
    """Raise UsageError where a change would find out the patients of known series."""
    asked = new_patient_elements(draft.before, draft.after)
    if asked:
        raise UsageError(
            f"the rule compares {', '.join(asked)}, which may identify a patient",
            hint="Only who may see patients can do so. Choose another element.",
        )


def _saved(site: SiteReader, what: Proposal, draft: FileDraft, visitor: Visitor) -> Saved:
    name = plain(visitor.name) or "(no name)"
    facts = f"by={name!r} file={what.file.name} before={draft.base} after={draft.digest}"
    digests = {"digest_before": draft.base, "digest_after": draft.digest}
    about: dict[str, Any] = {"file": what.file.name, **digests}
    site.record(visitor.name, "edit", **about)
    try:
        saved = draft.save(
            Commit(visitor.name, what.summary), site.ctx.settings.state_dir, shown=draft.digest
        )
    except DrawcliError as err:
        _log.warning("edit=refused %s reason=%s", facts, err.code)
        site.record(visitor.name, "edit-refused", **about)
        raise
    _log.info("edit=saved %s commit=%s", facts, saved.commit or "none")
    return saved


def _conflict(request: Request, form: FormData, what: Proposal) -> Response:
    """Return the page for a file that somebody changed meanwhile: both changes as diffs."""
    parts = parts_of(request)
    path = what.file.path(parts.site.ctx.settings)
    base, now = parts.seen.get(str(form.get(BASE, ""))), path.read_bytes()
    return page(
        request,
        "edit_conflict.html",
        status=_CONFLICT,
        what=what,
        mine=[] if base is None else _own_diff(request, path, base, what),
        theirs=[] if base is None else _other_diff(request, path, base, now),
        base=parts.seen.remember(now),
        is_known=base is not None,
        fields=carried(form),
    )


def _own_diff(request: Request, path: Path, base: bytes, what: Proposal) -> list[str]:
    """Return the change of a user as a diff; empty if it was not possible."""
    try:
        return draft_on(path, base, what.edit).diff(in_full=_sees(request))
    except (ConfigError, UsageError):
        return []


def _other_diff(request: Request, path: Path, base: bytes, now: bytes) -> list[str]:
    """Return what somebody else changed as a diff; empty if nothing can be left out of it."""
    if _sees(request):
        return diff_of(base, now)
    try:
        texts = [text_shown(parse_yaml(path, one), in_full=False) for one in (base, now)]
    except ConfigError:
        return []
    return diff_of(*texts)


def _sees(request: Request) -> bool:
    """Return whether the user may see values that may identify a patient."""
    return visitor_of(request).may(Right.PATIENTS)
