"""The headers of a series as the text that rules compare."""

from collections import ChainMap
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from drawcli.adapters.datastore.series_elements import SeriesElements
from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.facts import series_facts
from drawcli.errors import SeriesRefused


def header_of(
    crosswalk: Crosswalk, today: date, elements: SeriesElements | None = None
) -> RuleHeader:
    """Return the elements of a series, and the facts computed from it, for rules.

    Parameters
    ----------
    crosswalk
        The files of the series.
    today
        The current day.
    elements
        The elements of the files; None: the files are read.
    """
    if elements is None:
        elements = SeriesElements.of(dict.fromkeys(file.path for file in crosswalk.files))
    shared = elements.header
    facts = series_facts(crosswalk, shared.values, today)
    return RuleHeader(ChainMap(facts, shared.values), shared.mixed, today)  # type: ignore[arg-type] # read only


def shared_elements(paths: Iterable[str]) -> RuleHeader:
    """Return the elements that all files of a series share, as text by path.

    Elements that differ are in `mixed`. Values are decoded by pydicom with the character set of
    the file; for paths see `element_texts`.

    Raises
    ------
    SourceUnsettled
        If a file cannot be read.
    SeriesRefused
        If its header cannot be parsed.
    """
    return SeriesElements.of(dict.fromkeys(paths)).header


def header_of_file(path: str) -> Header:
    """Return the header of an image file.

    Raises
    ------
    OSError
        If the file cannot be read.
    SeriesRefused
        If it is no DICOM file, or cut off.
    """
    try:
        with Path(path).open("rb") as stream:
            return read_or_convert(stream)[0]
    except (Incomplete, NotDicom):
        raise SeriesRefused("the header of a file cannot be read") from None
