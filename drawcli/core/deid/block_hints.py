"""What a person is told of a package that the privacy gate blocks, and what to do about it.

Findings name a check and an element, never a value; nothing here adds one.
"""

from collections.abc import Iterable
from typing import Final

from drawcli.core.deid.profile import check_removable

_MOST_NAMED: Final = 6
_KINDS: Final = {
    "personal": "a name, number or day of a person",
    "institution": "a word of the institution",
    "source-text": "a word of another text of the source",
    "uid": "a UID that is no stand-in",
    "date": "a date close to the study, or of the source",
    "number": "a number as long as those of records",
    "mail": "a mail address",
}
_OFFICER: Final = "Have the data protection officer look before anything leaves."


def summarize_findings(found: Iterable[tuple[str, str]]) -> str:
    """Return the checks and the elements of findings; not more than fit a line.

    >>> summarize_findings([("personal", "ConvolutionKernel"), ("uid", "ImageType")])
    'personal in ConvolutionKernel, uid in ImageType'
    """
    named = sorted({f"{check} in {where}" for check, where in found})
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more


def advise(found: Iterable[tuple[str, str]], again: str) -> str:
    """Return what each kind of finding means, and the setting and command that lead on.

    Parameters
    ----------
    found
        Checks and elements.
    again
        The command that tries the series again.

    Examples
    --------
    >>> advise([("institution", "ConvolutionKernel")], "drawcli retry JOB")[:57]
    "ConvolutionKernel holds a word of the institution. Add 'r"
    """
    found = sorted(set(found))
    known = ((where, _KINDS[check]) for check, where in found if check in _KINDS)
    kinds = dict.fromkeys(f"{where} holds {kind}" for where, kind in known)
    told = f"{'; '.join([*kinds][:_MOST_NAMED])}. " if kinds else ""
    keywords = dict.fromkeys(where.rpartition("/")[2] for _, where in found)
    removable = [keyword for keyword in keywords if _is_removable(keyword)]
    if not removable:
        return f"{told}{_OFFICER} Correct the element where the images come from, then {again}."
    if len(removable) == len(keywords):
        return (
            f"{told}Add 'remove: [{', '.join(removable)}]' under 'deidentify:' in drawcli.yaml if "
            f"the server can do without, then {again}. Else: {_OFFICER}"
        )
    return f"{told}{_OFFICER} 'deidentify: remove' can take out {', '.join(removable)} alone."


def _is_removable(keyword: str) -> bool:
    try:
        check_removable(keyword)
    except ValueError:
        return False
    return True
