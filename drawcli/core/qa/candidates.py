"""Which structure set is the clinical one of a delivered series. In doubt none is chosen.

UIDs and values of the patient are keyed hashes here: they are only compared.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final

from drawcli.core.qa.records import PairStatus

APPROVED: Final = "APPROVED"  # ApprovalStatus (300E,0002)
REJECTED: Final = "REJECTED"
ONLY: Final = "only"  # no other set could be meant
_CRITERIA: Final = ("approved", "edited", "approved", "predecessor", "plan", "newest")
_CLOCKS_APART: Final = timedelta(minutes=10)  # of this machine and of the planning system
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class PassedOver(StrEnum):
    """Why a structure set was not chosen; the codes are kept in records."""

    OURS = "ours"  # a delivered file, also of another job of the series
    UNREADABLE = "unreadable"
    OTHER_PATIENT = "other-patient"
    OTHER_SERIES = "other-series"
    OTHER_IMAGES = "other-images"
    OTHER_PLANES = "other-planes"
    SEVERAL_SERIES = "several-series"
    NO_CONTOURS = "no-contours"
    REJECTED = "rejected"
    OLDER = "older"
    NOTHING_IN_COMMON = "nothing-in-common"
    LESS_PREFERRED = "less-preferred"
    UNDECIDED = "undecided"


WHY: Final[Mapping[PassedOver, str]] = {  # as in "2 of another patient"
    PassedOver.OURS: "delivered by drawcli",
    PassedOver.UNREADABLE: "unreadable or incomplete",
    PassedOver.OTHER_PATIENT: "of another patient",
    PassedOver.OTHER_SERIES: "of another series in the same frame of reference",
    PassedOver.OTHER_IMAGES: "with images that were not sent",
    PassedOver.OTHER_PLANES: "without a series, not on its slices",
    PassedOver.SEVERAL_SERIES: "without a series, where several could be meant",
    PassedOver.NO_CONTOURS: "without contours",
    PassedOver.REJECTED: "rejected in the planning system",
    PassedOver.OLDER: "older than the delivery",
    PassedOver.NOTHING_IN_COMMON: "without a delivered structure",
    PassedOver.LESS_PREFERRED: "less preferred",
    PassedOver.UNDECIDED: "equally preferred",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSetFacts:
    """What the choice depends on; times are UTC."""

    digest: str  # SHA-256 of the file
    instance: str  # SOPInstanceUID
    contours: str  # SHA-256 of names and contours: equal if a set is exported again
    patient: str  # PatientID
    born: str = ""  # PatientBirthDate; "" if it is missing
    series: frozenset[str] = frozenset()
    frames: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()  # of the delivered series
    contoured: frozenset[str] = frozenset()  # images that contours name, of any series
    predecessors: frozenset[str] = frozenset()
    approval: str = ""
    reviewed_at: datetime | None = None
    made_at: datetime | None = None  # of the structure set, else of the file
    drawn: bool = True  # whether it has closed contours
    on_slices: bool = False  # whether its contours lie on the slices of the series
    planned: bool = False  # whether a plan refers to it
    unchanged: bool = False  # whether its contours are the delivered ones

    @property
    def latest(self) -> datetime | None:
        """When it was last made or reviewed."""
        return max((at for at in (self.made_at, self.reviewed_at) if at), default=None)

    @property
    def is_by_planes(self) -> bool:
        """Whether only planes can say which series it was drawn on."""
        return len(self.series) != 1 and not self.contoured

    @property
    def is_approved(self) -> bool:
        """Whether it is approved."""
        return self.approval == APPROVED


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredSeries:
    """What is known of a delivered structure set and its series."""

    instance: str  # SOPInstanceUID of the delivered file
    patient: str
    born: str = ""
    series: str
    frame: str = ""
    images: frozenset[str] = frozenset()  # that were sent
    own: frozenset[str] = frozenset()  # SOPInstanceUIDs of all delivered files of the series
    own_digests: frozenset[str] = frozenset()  # SHA-256 of them
    delivered_at: datetime
    made_at: datetime | None = None  # StructureSetDate and Time of the delivered file
    changed: bool = False  # whether the series has changed since it was sent
    frame_is_shared: bool = False  # by another delivered series


@dataclass(frozen=True, slots=True)
class SetChoice:
    """The clinical set, or why there is none."""

    status: PairStatus | None  # None: `chosen` is to be compared
    chosen: StructureSetFacts | None = None
    by: str = ""  # only, approved, edited, predecessor, plan, newest
    passed_over: tuple[tuple[StructureSetFacts, PassedOver], ...] = ()  # the others, without ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How long a set that is not approved waits."""

    now: datetime
    wait: timedelta
    since: Mapping[str, datetime] = field(default_factory=dict)  # first seen, by `contours`

    def is_over(self, one: StructureSetFacts) -> bool:
        """Return whether a set counts now."""
        return one.is_approved or self.now - self.since.get(one.contours, self.now) >= self.wait


def choose(
    delivered: DeliveredSeries,
    sets: Iterable[StructureSetFacts],
    waiting: Waiting,
    without: Iterable[StructureSetFacts] = (),
) -> SetChoice:
    """Choose the clinical set of a delivered series.

    Parameters
    ----------
    delivered
        The series.
    sets
        The structure sets that name it or its frame of reference, in any order.
    waiting
        How long sets wait for their approval.
    without
        Sets that have no structure in common with the delivered one.
    """
    distinct = _distinct(sets)
    reasons = [(one, _reason(one, delivered)) for one in distinct]
    none_common = {one.digest for one in without}
    reasons = [
        (one, PassedOver.NOTHING_IN_COMMON if not why and one.digest in none_common else why)
        for one, why in reasons
    ]
    passed: list[tuple[StructureSetFacts, PassedOver]] = [
        (one, why) for one, why in reasons if why and why is not PassedOver.OURS
    ]
    if delivered.changed:
        return SetChoice(PairStatus.CHANGED, passed_over=tuple(passed))
    fit = [one for one, why in reasons if why is None]
    stale = {one.digest: one for one in _replaced(fit)}
    passed += [(one, PassedOver.LESS_PREFERRED) for one in stale.values()]
    fit = [one for one in fit if one.digest not in stale]
    if not fit:
        return SetChoice(_status_without(passed), passed_over=tuple(passed))
    return _preferred(fit, passed, delivered, waiting)


def in_words(reasons: Iterable[PassedOver]) -> str:
    """Return how many sets were not chosen for which reasons.

    >>> in_words([PassedOver.OLDER, PassedOver.OTHER_PATIENT, PassedOver.OLDER])
    '2 older than the delivery, 1 of another patient'
    """
    return ", ".join(f"{count} {WHY[why]}" for why, count in Counter(reasons).items())


def needs_comparison(delivered: DeliveredSeries, sets: Iterable[StructureSetFacts]) -> bool:
    """Return whether plans and equal contours matter: several sets could be meant."""
    return sum(_reason(one, delivered) is None for one in _distinct(sets)) > 1


def _distinct(sets: Iterable[StructureSetFacts]) -> list[StructureSetFacts]:
    """Return each file once, although it may be in several places, in a fixed order."""
    by_digest = {one.digest: one for one in sets}
    return [by_digest[digest] for digest in sorted(by_digest)]


def _replaced(sets: Sequence[StructureSetFacts]) -> list[StructureSetFacts]:
    """Return the sets of which a later state is there: the same instance, exported again."""
    newest: dict[str, datetime] = {}
    for one in sets:
        newest[one.instance] = max(newest.get(one.instance, _NEVER), one.latest or _NEVER)
    return [one for one in sets if (one.latest or _NEVER) < newest[one.instance]]


def _reason(one: StructureSetFacts, delivered: DeliveredSeries) -> PassedOver | None:
    """Return why a set cannot be the clinical one."""
    has_our_time = delivered.made_at is not None and one.made_at == delivered.made_at
    descends = has_our_time or delivered.instance in one.predecessors
    is_named = delivered.series in one.series
    is_older = one.latest is not None and one.latest < delivered.delivered_at - _CLOCKS_APART
    reasons = {
        PassedOver.OURS: one.instance in delivered.own or one.digest in delivered.own_digests,
        PassedOver.OTHER_PATIENT: not _same_patient(one, delivered),
        PassedOver.OTHER_SERIES: _is_of_another_series(one, delivered),
        PassedOver.OTHER_IMAGES: not one.images <= delivered.images,
        PassedOver.NO_CONTOURS: not one.drawn,
        PassedOver.OTHER_PLANES: (one.is_by_planes or not is_named) and not one.on_slices,
        PassedOver.SEVERAL_SERIES: one.is_by_planes and delivered.frame_is_shared,
        PassedOver.REJECTED: one.approval == REJECTED,
        PassedOver.OLDER: is_older and not descends,
    }
    return next((why for why, applies in reasons.items() if applies), None)


def _is_of_another_series(one: StructureSetFacts, delivered: DeliveredSeries) -> bool:
    """Return whether a set does not name the series, or has its contours on another one."""
    if delivered.series not in one.series:
        return bool(one.series) or delivered.frame not in one.frames
    drawn_here = not one.contoured or bool(one.contoured & delivered.images)
    return len(one.series) > 1 and not drawn_here


def _same_patient(one: StructureSetFacts, delivered: DeliveredSeries) -> bool:
    births = {one.born, delivered.born} - {""}
    return one.patient == delivered.patient and len(births) <= 1


def _status_without(passed: Sequence[tuple[StructureSetFacts, PassedOver]]) -> PairStatus:
    codes = {why for _, why in passed}
    if codes & {PassedOver.NOTHING_IN_COMMON, PassedOver.SEVERAL_SERIES}:
        return PairStatus.UNCLEAR
    return PairStatus.CHANGED if PassedOver.OTHER_IMAGES in codes else PairStatus.MISSING


def _preferred(
    fit: Sequence[StructureSetFacts],
    passed: list[tuple[StructureSetFacts, PassedOver]],
    delivered: DeliveredSeries,
    waiting: Waiting,
) -> SetChoice:
    """Return the choice among sets of which each could be the clinical one."""
    descendants = _descendants(fit, delivered)
    ranked = sorted(
        ((_rank(one, descendants), one) for one in fit), key=itemgetter(0), reverse=True
    )
    (top, best), rest = ranked[0], ranked[1:]
    decided = _criterion(top, rest[0][0]) if rest else ONLY
    if not decided and not best.unchanged:
        claims = {True: PassedOver.UNDECIDED, False: PassedOver.LESS_PREFERRED}
        others = [(one, claims[rank == top]) for rank, one in ranked]
        return SetChoice(PairStatus.UNCLEAR, passed_over=(*others, *passed))
    others = [(one, PassedOver.LESS_PREFERRED) for _, one in rest]
    status = None if waiting.is_over(best) else PairStatus.WAITING
    return SetChoice(status, best, decided or _CRITERIA[-1], (*others, *passed))


def _rank(one: StructureSetFacts, descendants: frozenset[str]) -> tuple[Any, ...]:
    """Return the values of the criteria; higher is better, and the first that differs decides."""
    return (
        one.is_approved,
        not one.unchanged,  # a copy of ours is no second source
        one.is_approved and one.reviewed_at is not None,
        one.instance in descendants,
        one.planned,
        one.latest or _NEVER,
    )


def _criterion(rank: tuple[Any, ...], lower: tuple[Any, ...]) -> str:
    """Return the criterion that decides between two ranks; "" if they are equal."""
    compared = zip(_CRITERIA, rank, lower, strict=True)
    return next((name for name, mine, other in compared if mine != other), "")


def _descendants(fit: Sequence[StructureSetFacts], delivered: DeliveredSeries) -> frozenset[str]:
    """Return the sets that were made from the delivered one, also over others in between."""
    made_from: dict[str, list[str]] = {}
    for one in fit:
        for predecessor in one.predecessors:
            made_from.setdefault(predecessor, []).append(one.instance)
    found, todo = {delivered.instance}, [delivered.instance]
    while todo:
        new = set(made_from.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return frozenset(found)
