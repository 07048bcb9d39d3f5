"""The texts of the gate's findings: checks, elements, and the setting that helps."""

import pytest

from drawcli.core.deid.block_hints import advise, summarize_findings

RETRY = "drawcli retry JOB"
NUMBERED = [("uid", f"Keyword{number}") for number in (3, 1, 2, 1, 6, 5, 4)]
OFFICER = "Ask the data protection officer before anything is sent."


def test_findings_are_named_once_in_order() -> None:
    assert summarize_findings(NUMBERED) == ", ".join(f"uid in Keyword{n}" for n in range(1, 7))


def test_of_many_findings_six_are_named_and_the_others_counted() -> None:
    many = [*NUMBERED, ("uid", "Keyword7"), ("date", "Keyword8")]

    assert summarize_findings(many).startswith("date in Keyword8, uid in Keyword1, ")
    assert summarize_findings(many).endswith(", uid in Keyword5 and 2 more")


@pytest.mark.parametrize(
    ("findings", "hint"),
    [
        (
            [("personal", "ConvolutionKernel"), ("mail", "A/Manufacturer"), ("new", "A/KVP")],
            (
                "A/Manufacturer holds a mail address; "
                "ConvolutionKernel holds a name, number or date of a person. "
                "Add 'remove: [Manufacturer, KVP, ConvolutionKernel]' under 'deidentify:' in "
                "drawcli.yaml if the server does not need it, then drawcli retry JOB. "
                f"Otherwise: {OFFICER}"
            ),
        ),
        (
            [("uid", "PixelSpacing"), ("new", "Manufacturer"), *[("uid", "A/ImageType/KVP")] * 2],
            (
                "A/ImageType/KVP holds a UID that was not replaced; "
                "PixelSpacing holds a UID that was not replaced. "
                f"{OFFICER} 'deidentify: remove' can remove only Manufacturer, KVP."
            ),
        ),
        (
            [("new", "PixelSpacing")],
            f"{OFFICER} Correct the element at the source of the images, then drawcli retry JOB.",
        ),
    ],
)
def test_the_hint_has_the_meanings_and_what_can_be_removed(
    findings: list[tuple[str, str]], hint: str
) -> None:
    assert advise(findings, RETRY) == hint


def test_the_hint_explains_at_most_six_findings() -> None:
    assert advise([*NUMBERED, ("uid", "Keyword7")], RETRY).count("; ") == 5
