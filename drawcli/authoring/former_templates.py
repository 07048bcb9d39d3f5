"""Converts the templates of a former DRAW client to plans."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from drawcli.authoring.former_export import (
    HISTORY,
    FormerExport,
    Record,
    TemplateKey,
    find_oddity,
)
from drawcli.authoring.former_structures import add_structures
from drawcli.authoring.new_template import Plan, plain_name
from drawcli.core.templates.appearance import ROI_TYPES

_HEX: Final = re.compile(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})")
_RGB: Final = re.compile(r"[^0-9]*([0-9]{1,3})[\\, ]+([0-9]{1,3})[\\, ]+([0-9]{1,3})[^0-9]*")
_SETTINGS: Final = (  # of drawcli, of the second client, of the first one
    ("server.client_id", "client_id", "client_id"),
    ("server.url", "draw_base_url", "api_base_url"),
    ("scan.studied_after", "data_pull_start_datetime", ""),
)


@dataclass(frozen=True, slots=True)
class FormerTemplate:
    """A template of an export."""

    key: TemplateKey
    name: str  # the former name
    plan: Plan
    flaw: str  # why it cannot be used, or ""


def templates_of(dump: FormerExport) -> Iterator[FormerTemplate]:
    """Yield each template of an export."""
    kind = "autosegmentationtemplate"
    for key, record in dump.all(kind).items():
        former = " ".join(str(record.get("template_name") or "").split())
        name = plain_name(former)
        plan = Plan(name, " ".join(str(record.get("template_description") or "").split()))
        flaw = find_oddity(record) or ("" if name else "has no name")
        for model_key, model in dump.of(
            "autosegmentationmodel", "autosegmentation_template_name", key
        ):
            flaw = _add_model(plan, model, model_key, dump) or flaw
        more = [one for _, one in dump.of("additionalstructures", "autosegmentation_template", key)]
        flaw = find_oddity(*more) or flaw
        if not flaw:
            add_structures(plan, more, _look)
        flaw = flaw or ("" if plan.models else "has no models")
        yield FormerTemplate((id(dump), kind, key), former, plan, flaw)


def _add_model(plan: Plan, model: Record, key: str, dump: FormerExport) -> str:
    """Add a model with its structures to a template; return its flaw, or ""."""
    if odd := find_oddity(model):
        return odd
    number = model.get("model_id")
    if not isinstance(number, int) or number in plan.models:
        return f"has two models {number}" if number in plan.models else "has a model without number"
    post = str(model.get("postprocess") or "").strip()
    plan.models[number] = {
        "name": model.get("name"),
        "config": model.get("config"),
        "trainer_name": model.get("trainer_name"),
        "postprocess": None if post.casefold() in ("null", "none", "") else post,
        "map": {},
    }
    for pk, one in dump.of("autosegmentationstructure", "autosegmentation_model", key):
        place, name = one.get("map_id"), str(one.get("name") or "")
        if odd := find_oddity(one):
            return odd
        if place is None or not name or place in plan.models[number]["map"]:
            return f"model {number} has a structure without number or name, or two with one number"
        plan.models[number]["map"][place] = name
        for _, look in dump.of("structureproperties", "autosegmentation_structure", pk):
            if odd := find_oddity(look):
                return odd
            _add_look(plan, name, look)
    return ""


def _add_look(plan: Plan, name: str, record: Record) -> None:
    label = str(record.get("roi_label") or "").strip()
    made = ({"label": label} if label and label != name else {}) | _look(plan, name, record)
    if made:
        plan.structures[name] = made


def _look(plan: Plan, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return colour and type of a record; add a remark on those that are not valid."""
    made: dict[str, Any] = {}
    color = str(record.get("roi_display_color") or "").strip()
    if color:
        values = _color(color)
        if values is None:
            plan.remarks.append(f"{name}: colour '{color}' is not valid and left out")
        else:
            made["color"] = values
    kind = str(record.get("rt_roi_interpreted_type") or "").strip()
    if kind in ROI_TYPES and kind:
        made["type"] = kind
    elif kind:
        plan.remarks.append(f"{name}: type '{kind}' is not valid and left out")
    return made


def _color(text: str) -> list[int] | None:
    """Return red, green and blue (0 to 255); None if the text is not a colour.

    >>> _color("#ff8000"), _color("255,128,0"), _color("red")
    ([255, 128, 0], [255, 128, 0], None)
    """
    if found := _HEX.fullmatch(text):
        return [int(part, 16) for part in found.groups()]
    found = _RGB.fullmatch(text)
    values = [int(part) for part in found.groups()] if found else []
    return values if values and max(values) < 256 else None  # noqa: PLR2004 - a byte


def notes_of(dump: FormerExport) -> Iterator[str]:
    """Yield remarks on settings, tokens and other records of an export."""
    for kind, column in (("systemconfiguration", 1), ("systemsettings", 2)):
        for record in dump.all(kind).values():
            yield "Settings are not imported. Values of the former client for drawcli.yaml:"
            for names in _SETTINGS:
                value = str(record.get(names[column]) or "")
                if value and not {"@", "?"} & {*value}:
                    yield f"  {names[0]}: {value[:10] if names[0].startswith('scan') else value}"
    if dump.secrets:
        yield (
            f"{dump.path.name}: contains tokens or passwords of the former client: "
            f"{', '.join(sorted(dump.secrets))}. They are neither imported nor shown. Delete the "
            "file or keep it as a secret. One pair of tokens cannot serve two clients: get a new "
            "pair for drawcli."
        )
    if dump.passed_over:
        kinds = ", ".join(f"{kind} ({many})" for kind, many in sorted(dump.passed_over.items()))
        yield (
            f"{dump.path.name}: skipped records that are neither rules nor templates: "
            f"{kinds}. If they contain patient data, delete the file."
        )
    if HISTORY & dump.passed_over.keys():
        yield "--history imports series done, ratings and statistics: docs/how-to/migration-day.md"
