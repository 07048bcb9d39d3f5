"""The settings section `scan`: which series are taken, from where, and when."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from drawcli.config.sections import MAX_HOURS, Hours, SettingsSection, split_words
from drawcli.core.jobs.late_changes import Late
from drawcli.core.series.zones import LARGEST_STEP


def _as_day(value: object) -> object:
    """Return an ISO date; pydantic would read numbers as seconds."""
    try:
        return date.fromisoformat(str(value)) if value is not None else None
    except ValueError:
        raise ValueError("should be a date such as 2026-01-31") from None


def _image_classes(uids: list[str]) -> list[str]:
    from drawcli.core.deid.profile import IMAGE_CLASSES

    unknown = [uid for uid in uids if uid not in IMAGE_CLASSES]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not a SOP class of CT, MR or PET images")
    return uids


def _globs(patterns: list[str]) -> list[str]:
    if any(not pattern.strip("/") or "\\" in pattern for pattern in patterns):
        raise ValueError("should be patterns such as '*.dcm' or 'research/*', with '/' only")
    return [pattern.strip("/") for pattern in patterns]


class SeriesCriteria(SettingsSection):
    """Which series are taken, and when they are complete; also per folder."""

    quiet_minutes: float = Field(10.0, ge=0, le=MAX_HOURS)  # of the series, not of each file
    incomplete_hours: Hours = 24.0  # an incomplete series is held after this time
    modalities: Annotated[
        list[Literal["CT", "MR", "PT"]], BeforeValidator(split_words), Field(min_length=1)
    ] = Field(["CT", "MR", "PT"])
    min_slices: int = Field(3, ge=2, le=100_000)
    studied_after: Annotated[date | None, BeforeValidator(_as_day)] = None
    sop_classes: Annotated[
        list[str], BeforeValidator(split_words), AfterValidator(_image_classes)
    ] = Field([])  # empty: all supported classes
    max_series_gib: float = Field(100.0, gt=0, le=100_000)
    min_age_minutes: float = Field(0.0, ge=0, le=MAX_HOURS * 60)  # since its first file arrived
    largest_step: float = Field(LARGEST_STEP, gt=1, le=10)  # times the usual slice distance
    late: Late = "flag"  # images that change after the upload


def _folders(wanted: dict[str, SeriesCriteria]) -> dict[str, SeriesCriteria]:
    for name in wanted:
        if not name.strip("/") or ".." in name.split("/"):
            raise ValueError("should name folders below the datastore, or absolute paths")
    return {name.rstrip("/"): criteria for name, criteria in wanted.items()}


class Scan(SeriesCriteria):
    """The criteria of the datastore, its folders and the walk through it."""

    include: Annotated[list[str], BeforeValidator(split_words), AfterValidator(_globs)] = Field([])
    exclude: Annotated[list[str], BeforeValidator(split_words), AfterValidator(_globs)] = Field([])
    folders: Annotated[dict[str, SeriesCriteria], AfterValidator(_folders)] = Field({})
    full_walk_hours: float = Field(1.0, ge=0, le=MAX_HOURS)
    workers: int = Field(0, ge=0, le=64)  # processes that read headers; 0: automatic
    answer_seconds: float = Field(120.0, gt=0, le=86_400)  # then a folder is skipped

    def in_folder(self, name: str) -> SeriesCriteria:
        """Return the criteria of a folder of `folders`: its own over the general ones."""
        own = self.folders[name]
        return self.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
