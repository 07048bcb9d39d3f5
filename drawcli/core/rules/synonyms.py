"""Words that authors of rules use for an operator, a key or a combination, for suggestions."""

from typing import Final

from drawcli.core.rules.operators import OPERATORS
from drawcli.system.records import suggest

_OPERATORS: Final = {
    "above": "> gt greater greater_than more more_than larger larger_than bigger over exceeds",
    "at_least": ">= => ≥ ge gte geq min minimum greater_or_equal greater_than_or_equal "
    "greater_than_or_equal_to greater_equal not_less_than no_less_than",
    "below": "< lt less less_than fewer fewer_than smaller smaller_than lower lower_than under",
    "at_most": "<= =< ≤ le lte leq max maximum less_or_equal less_than_or_equal "
    "less_than_or_equal_to less_equal not_more_than no_more_than up_to",
    "equals": "= == === eq equal equal_to is same same_as exactly exact value",
    "not_equals": "!= <> ≠ ne neq not_equal not_equal_to is_not isnt differs not",
    "in": "one_of any_of is_in isin among list oneof",
    "not_in": "none_of nin notin not_one_of",
    "contains": "contain include includes has like substring icontains containing",
    "starts_with": "startswith begins begins_with beginswith prefix istartswith",
    "ends_with": "endswith ends suffix iendswith",
    "matches": "regex regexp re pattern match ~ =~ matches_regex",
    "between": "range within in_range",
    "after": "later later_than newer newer_than since",
    "before": "earlier earlier_than older older_than until",
    "exists": "exist present is_present defined",
    "missing": "absent is_missing not_exists does_not_exist not_present undefined",
    "empty": "blank is_empty",
}
_NEGATED: Final = {
    "contains": "not_contains does_not_contain doesnt_contain excludes not_like",
    "starts_with": "not_starts_with does_not_start_with",
    "ends_with": "not_ends_with does_not_end_with",
    "matches": "not_matches does_not_match !~",
    "between": "not_between outside",
}
_PARTS: Final = {"all": "and all_of every", "any": "or any_of either some", "not": "none nor no"}
_KEYS: Final = {
    "when": "if condition conditions match matches rule",
    "template": "then use protocol model",
    "name": "id title rule_name",
    "enabled": "active disabled",
    "exclude": "skip ignore",
    "comment": "description note notes",
}


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: meant for meant, words in table.items() for word in words.split()}


_MEANT: Final = _by_word(_OPERATORS)
_MEANT_NEGATED: Final = _by_word(_NEGATED)
_MEANT_PARTS: Final = _by_word(_PARTS)
_MEANT_KEYS: Final = _by_word(_KEYS)


def operator_meant(word: object) -> str:
    """Return the operator that a word probably means, or "".

    >>> [operator_meant(word) for word in (">", "Greater Than", "contain", "shape")]
    ['above', 'above', 'contains', '']
    """
    plain = _plain(word)
    return plain if plain in OPERATORS else _MEANT.get(plain, "")


def suggest_operator(word: object, keyword: str) -> str:
    """Return what to write instead of an unknown operator, or "".

    >>> suggest_operator("greater_than", "KVP"), suggest_operator("not_contains", "StudyID")
    ("; write 'above'", "; write 'not: {StudyID: {contains: ...}}'")
    """
    if negated := _MEANT_NEGATED.get(_plain(word)):
        return f"; write 'not: {{{keyword}: {{{negated}: ...}}}}'"
    meant = operator_meant(word)
    return f"; write '{meant}'" if meant else suggest(word, OPERATORS)


def suggest_key(word: object, known: tuple[str, ...]) -> str:
    """Return the key of a rule that a word probably means, or ""."""
    meant = _MEANT_KEYS.get(_plain(word), "")
    return f"; did you mean '{meant}'?" if meant in known else suggest(word, known)


def combination_meant(word: object) -> str:
    """Return `all`, `any` or `not` for a word that means one of them, or ""."""
    return _MEANT_PARTS.get(_plain(word), "")


def _plain(word: object) -> str:
    return "_".join(str(word).casefold().replace("-", " ").replace("'", "").split())
