"""The privacy gate: an independent search of the finished package for patient data.

It shares no code with the de-identifier: zipfile and igzip read the zip, pydicom the members and
the sources, and the identifying values are taken from the sources. Every byte is covered: between
the members of the zip, and in a member preamble, file meta, elements at every level, pixels, and
the end after them.
"""

from drawcli.adapters.gate.package_search import find_source_series, findings
from drawcli.core.gate.search import Leak

__all__ = ["Leak", "find_source_series", "findings"]
