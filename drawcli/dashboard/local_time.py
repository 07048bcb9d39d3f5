"""Times as the page shows them: in the zone of this machine, with UTC in the tooltip."""

from datetime import datetime

from markupsafe import Markup

_MINUTES, _SECONDS = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"


def local_time(at: datetime) -> Markup:
    """Return a time to the minute as an HTML element."""
    return _element(at, _MINUTES)


def local_seconds(at: datetime) -> Markup:
    """Return a time to the second as an HTML element."""
    return _element(at, _SECONDS)


def both_times(at: datetime) -> str:
    """Return a time in both zones, for a tooltip."""
    return f"{at.astimezone():{_MINUTES}} ({at:{_MINUTES}} UTC)"


def utc_time(at: datetime) -> str:
    """Return a time to the minute in UTC, without an element."""
    return f"{at:{_MINUTES}}"


def zone_name(now: datetime) -> str:
    """Return the zone of this machine, such as "CET, UTC+01:00"."""
    here = now.astimezone()
    offset = f"{here:%z}"
    return "UTC" if offset == "+0000" else f"{here:%Z}, UTC{offset[:3]}:{offset[3:]}"


def _element(at: datetime, form: str) -> Markup:
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        at.isoformat(), f"{at:{form}}", f"{at.astimezone():{form}}"
    )
