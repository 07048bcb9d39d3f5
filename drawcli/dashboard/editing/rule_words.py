"""Operators and options of conditions in words, for the form of a rule."""

from typing import Final

OPERATOR_WORDS: Final = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "at_least": "is at least (≥)",
    "at_most": "is at most (≤)",
    "above": "is above (>)",
    "below": "is below (<)",
    "between": "is between (from, to)",
    "after": "is after",
    "before": "is before",
    "exists": "has a value",
    "missing": "is missing",
    "empty": "is empty",
}
# Option -> label, and its values in words; "" is the default.
OPTION_WORDS: Final = {
    "case": ("Upper and lower case", {"": "do not matter", "true": "matter"}),
    "values": (
        "If it has several values",
        {
            "": "any of them",
            "all": "all of them",
            "first": "the first one",
            "count": "their number",
        },
    ),
    "slices": (
        "If slices differ",
        {"": "the condition is not met", "any": "any slice", "all": "all slices"},
    ),
    "if_missing": (
        "If it is missing",
        {"": "the condition is not met", "skip": "ignore the condition", "match": "it is met"},
    ),
}
