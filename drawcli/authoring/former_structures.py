"""Converts the additional structures of a former DRAW client: empty ones, and derived ones.

The former client ran a list of operations: one that names structures starts anew from them, the
others continue with the result so far. Each operation becomes a derived structure; all but the last
are hidden. An operation that cannot be expressed leaves the structure out, with a remark.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import isfinite
from typing import Any, Final

from drawcli.authoring.new_template import Plan
from drawcli.core.templates.appearance import LONGEST_ROI_NAME, WIDEST_MARGIN_MM, check_lo_text
from drawcli.system.printable import plain

_MOST_SMOOTHINGS: Final = 10
_DEFAULT_COLOR: Final = [255, 255, 0]  # of the former client
_DEFAULT_TYPE: Final = "ORGAN"  # likewise, of empty structures
_EXACT: Final = (
    "derived structures are now computed from contours in mm; the former client rounded margins "
    "up to whole voxels, and smoothed and filled holes in three dimensions. Compare some"
)
_NEVER: Final = "the former client could never compute {}, because of a fault; drawcli does"

Rule = dict[str, Any]  # an entry of `derived`


class _Impossible(ValueError):
    """A structure cannot be derived; the message says why."""


@dataclass(slots=True)
class _Chain:
    """The operations of a structure, as derived structures."""

    label: str
    names: Mapping[str, str]  # ROI name in the former client -> name in the template
    used: set[str]  # names in the template, folded
    rules: list[tuple[str, Rule]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def start(self, rule: Rule) -> None:
        """Begin anew: the results so far are not used."""
        self.rules = []
        self.go_on(rule)

    def go_on(self, rule: Rule) -> None:
        """Add an operation on the result so far."""
        names = (f"{self.label[:48]}_step{n}" for n in count(len(self.rules) + 1))
        name = next(name for name in names if name.casefold() not in self.used)
        self.rules.append((name, rule))

    @property
    def result(self) -> str:
        """The name of the result so far."""
        if not self.rules:
            raise _Impossible("an operation has no structure to start from")
        return self.rules[-1][0]

    def structures(self, operation: Mapping[str, Any], least: int, most: int = 99) -> list[str]:
        """Return the names in the template of the structures that an operation names."""
        given = operation.get("structures") or []
        if not isinstance(given, list) or not least <= len(given) <= most:
            raise _Impossible(f"{_kind(operation)} names {_count(given)} structures")
        missing = [str(name) for name in given if str(name) not in self.names]
        if missing:
            raise _Impossible(f"there is no structure {plain(', '.join(missing))[:80]}")
        return [self.names[str(name)] for name in given]


def add_structures(
    plan: Plan, records: Sequence[Mapping[str, Any]], look: Callable[..., Rule]
) -> None:
    """Add the additional structures of a template, in the order of their labels.

    Parameters
    ----------
    plan
        The template, with the structures of its models.
    records
        The records of the former client.
    look
        Returns type and colour of a record.
    """
    drawn = [name for model in plan.models.values() for name in model["map"].values()]
    names = {str(plan.structures.get(name, {}).get("label", name)): name for name in drawn}
    used = {name.casefold() for pair in names.items() for name in pair}
    for record in sorted(records, key=lambda item: str(item.get("roi_label"))):
        label = " ".join(str(record.get("roi_label") or "").split())
        try:
            _check_name(label, used)
            _add(plan, label, record, look, _Chain(label, names, used))
        except _Impossible as err:
            plan.remarks.append(f"{label or 'a structure without a name'} is left out: {err}")
            continue
        used.add(label.casefold())
        if label in plan.derived:
            names[label] = label
    if plan.derived:
        plan.remarks.append(_EXACT)


def _add(
    plan: Plan, label: str, record: Mapping[str, Any], look: Callable[..., Rule], chain: _Chain
) -> None:
    logic = record.get("roi_generation_logic")
    color: Rule = {"color": _DEFAULT_COLOR}
    if not logic:
        plan.empty[label] = color | {"type": _DEFAULT_TYPE} | look(plan, label, record)
        return
    operations = logic.get("operations") if isinstance(logic, dict) else None
    if not isinstance(operations, list) or not operations:
        raise _Impossible("its logic has no operations")
    for operation in operations:
        _apply(operation, chain)
    if not chain.rules:
        raise _Impossible("its operations change nothing")
    *steps, (_, last) = chain.rules
    for name, rule in steps:
        plan.derived[name] = rule | {"hidden": True}
        chain.used.add(name.casefold())
    plan.derived[label] = last | color | look(plan, label, record)
    plan.remarks += [f"{label}: {remark}" for remark in dict.fromkeys(chain.remarks)]


def _apply(operation: Any, chain: _Chain) -> None:
    """Add an operation to a chain; raise _Impossible if it has no equivalent."""
    kind = _kind(operation)
    if kind not in _OPERATIONS:
        raise _Impossible(f"'{plain(kind)[:40]}' is no operation of the former client")
    _OPERATIONS[kind](operation, chain)


def _margin(sign: int, default: float) -> Callable[[Mapping[str, Any], _Chain], None]:
    def apply(operation: Mapping[str, Any], chain: _Chain) -> None:
        (source,) = chain.structures(operation, 1, 1)
        mm = sign * _number(operation, "margin_mm", default)
        chain.start({"margin": source, "mm": mm} if mm else {"union": [source]})
        if str(_parameters(operation).get("kernel_type", "ball")).casefold() in ("box", "cross"):
            chain.remarks.append("its margin was not a ball; now it is the same in all directions")

    return apply


def _united(kind: str) -> Callable[[Mapping[str, Any], _Chain], None]:
    def apply(operation: Mapping[str, Any], chain: _Chain) -> None:
        chain.start({kind: chain.structures(operation, 2)})
        chain.remarks.append(_NEVER.format(f"the {kind}"))

    return apply


def _subtract(operation: Mapping[str, Any], chain: _Chain) -> None:
    chain.start({"subtraction": chain.structures(operation, 2)})
    if (mm := _number(operation, "margin_mm", 0.0)) > 0:  # of the result
        chain.go_on({"margin": chain.result, "mm": mm})


def _crop(operation: Mapping[str, Any], chain: _Chain) -> None:
    (border,) = chain.structures(operation, 1, 1)
    chain.go_on({"crop": chain.result, "inside": border})


def _smooth(operation: Mapping[str, Any], chain: _Chain) -> None:
    chain.structures(operation, 0)
    mm, times = _number(operation, "smoothing_mm", 2.0), _number(operation, "iterations", 1)
    if mm < 0 or not times.is_integer() or not 0 <= times <= _MOST_SMOOTHINGS:
        raise _Impossible("smooth has an invalid width or number of iterations")
    _go_on_if(mm > 0 and times > 0, chain, lambda source: {"smooth": source, "mm": mm}, int(times))


def _fill_holes(operation: Mapping[str, Any], chain: _Chain) -> None:
    chain.structures(operation, 0)
    chain.go_on({"fill_holes": chain.result})


def _remove_small(operation: Mapping[str, Any], chain: _Chain) -> None:
    chain.structures(operation, 0)
    mm3 = _number(operation, "min_size_mm3", 100.0)
    _go_on_if(mm3 > 0, chain, lambda source: {"remove_small": source, "cm3": mm3 / 1000})


def _keep_largest(operation: Mapping[str, Any], chain: _Chain) -> None:
    chain.structures(operation, 0)
    chain.go_on({"keep_largest": chain.result})


def _go_on_if(
    changes: bool,  # noqa: FBT001 - the first thing that the caller says
    chain: _Chain,
    rule: Callable[[str], Rule],
    times: int = 1,
) -> None:
    """Add an operation, unless it changes nothing; it needs a result so far in any case."""
    source = chain.result
    for _ in range(times if changes else 0):
        chain.go_on(rule(source))
        source = chain.result


_OPERATIONS: Final[Mapping[str, Callable[[Mapping[str, Any], _Chain], None]]] = {
    "expand": _margin(1, 5.0),
    "contract": _margin(-1, 3.0),
    "union": _united("union"),
    "intersection": _united("intersection"),
    "subtract": _subtract,
    "crop_to_boundary": _crop,
    "smooth": _smooth,
    "fill_holes": _fill_holes,
    "remove_small_components": _remove_small,
    "keep_largest": _keep_largest,
}


def _check_name(label: str, used: set[str]) -> None:
    if not label or len(label) > LONGEST_ROI_NAME:
        raise _Impossible(f"its name is not 1 to {LONGEST_ROI_NAME} characters long")
    try:
        check_lo_text(label)
    except ValueError as err:
        raise _Impossible(str(err)) from None
    if label.casefold() in used:
        raise _Impossible("the template has a structure of that name")


def _kind(operation: Any) -> str:
    return str(operation.get("type")) if isinstance(operation, dict) else "None"


def _count(given: Any) -> str:
    return str(len(given)) if isinstance(given, list) else "no list of"


def _parameters(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    given = operation.get("parameters")
    return given if isinstance(given, dict) else {}


def _number(operation: Mapping[str, Any], name: str, default: float) -> float:
    value = _parameters(operation).get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise _Impossible(f"{name} of {_kind(operation)} is not a number")
    if name.endswith("_mm") and abs(value) > WIDEST_MARGIN_MM:
        raise _Impossible(f"{name} is more than {WIDEST_MARGIN_MM:g} mm")
    return float(value)
