"""The data dictionary of PS3.6 from pydicom, without importing the rest of pydicom.

Every start reads the rules, and importing all of pydicom takes as long as everything else together,
so only its table of elements is loaded. Names and results are those of `pydicom.datadict`, which is
used for repeating groups (60xx).
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any, Final, cast

_MODULE: Final = "pydicom._dicom_dict"
_Entry = tuple[str, str, str, str, str]  # VR, VM, name, whether retired, keyword


def _table() -> dict[int, _Entry]:
    """Return the elements by their tags; nothing else of pydicom is imported."""
    module: Any = sys.modules.get(_MODULE)
    if module is None:
        package = cast("ModuleSpec", find_spec("pydicom"))  # which does not import it
        spec: Any = PathFinder.find_spec(_MODULE, package.submodule_search_locations)
        module = sys.modules[_MODULE] = module_from_spec(spec)  # for pydicom too, if it is needed
        spec.loader.exec_module(module)
    return cast("dict[int, _Entry]", module.DicomDictionary)


_TABLE: Final = _table()
keyword_dict: Final = {entry[4]: tag for tag, entry in _TABLE.items()}


def tag_for_keyword(keyword: str) -> int | None:
    """Return the tag of a keyword; None where PS3.6 has no such keyword."""
    return keyword_dict.get(keyword)


def keyword_for_tag(tag: int) -> str:
    """Return the keyword of a tag; "" where PS3.6 has none."""
    try:
        return _entry(tag)[4]
    except KeyError:
        return ""


def dictionary_VR(tag: int) -> str:  # noqa: N802 - as pydicom has it
    """Return the VR of a tag; KeyError where PS3.6 does not know it."""
    return _entry(tag)[0]


def dictionary_VM(tag: int) -> str:  # noqa: N802 - as pydicom has it
    """Return the value multiplicity of a tag; KeyError where PS3.6 does not know it."""
    return _entry(tag)[1]


def dictionary_description(tag: int) -> str:
    """Return the name of a tag; KeyError where PS3.6 does not know it."""
    return _entry(tag)[2]


def _entry(tag: int) -> _Entry:
    if tag in _TABLE:
        return _TABLE[tag]
    from pydicom.datadict import get_entry

    return get_entry(tag)
