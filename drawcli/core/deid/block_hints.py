"""The reason and the hint for a package that the privacy gate blocks.

Findings name a check and an element, never a value.
"""

from collections.abc import Iterable
from typing import Final

from drawcli.core.deid.profile import check_removable

_MOST_NAMED: Final = 6
_MEANINGS: Final = {
    "personal": "a name, number or date of a person",
    "institution": "a word of the institution",
    "source-text": "a word of another text of the source",
    "uid": "a UID that was not replaced",
    "date": "a date close to the study, or of the source",
    "number": "a number as long as record numbers",
    "mail": "a mail address",
}
_OFFICER: Final = "Ask the data protection officer before anything is sent."


def summarize_findings(findings: Iterable[tuple[str, str]]) -> str:
    """Return the checks and elements of findings, at most six of them.

    >>> summarize_findings([("personal", "ConvolutionKernel"), ("uid", "ImageType")])
    'personal in ConvolutionKernel, uid in ImageType'
    """
    named = sorted({f"{check} in {where}" for check, where in findings})
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more


def advise(findings: Iterable[tuple[str, str]], again: str) -> str:
    """Return the meaning of each finding, and the setting and command that help.

    Parameters
    ----------
    findings
        Checks and elements.
    again
        The command that retries the series.

    Examples
    --------
    >>> advise([("institution", "ConvolutionKernel")], "drawcli retry JOB")[:57]
    "ConvolutionKernel holds a word of the institution. Add 'r"
    """
    findings = sorted(set(findings))
    known = ((where, _MEANINGS[check]) for check, where in findings if check in _MEANINGS)
    meanings = dict.fromkeys(f"{where} holds {meaning}" for where, meaning in known)
    reason = f"{'; '.join([*meanings][:_MOST_NAMED])}. " if meanings else ""
    keywords = dict.fromkeys(where.rpartition("/")[2] for _, where in findings)
    removable = [keyword for keyword in keywords if _is_removable(keyword)]
    if not removable:
        return f"{reason}{_OFFICER} Correct the element at the source of the images, then {again}."
    if len(removable) == len(keywords):
        return (
            f"{reason}Add 'remove: [{', '.join(removable)}]' under 'deidentify:' in drawcli.yaml "
            f"if the server does not need it, then {again}. Otherwise: {_OFFICER}"
        )
    return f"{reason}{_OFFICER} 'deidentify: remove' can remove only {', '.join(removable)}."


def _is_removable(keyword: str) -> bool:
    try:
        check_removable(keyword)
    except ValueError:
        return False
    return True
