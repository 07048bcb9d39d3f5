"""What the commands say of a changed rules.yaml or templates.yaml, before it is saved."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.rulebook.rulebook import Rulebook, site_rulebook
from drawcli.core.rules.operators import canonical_path
from drawcli.core.rules.withheld import is_withheld
from drawcli.errors import ConfigError
from drawcli.pipeline.explain import Trial, lint_rules, lint_templates, try_case
from drawcli.system.yaml_read import Document

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_COMPARED: Final = ("rules", "tests")


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A valid file with the outcome of its tests that need no images, and what is doubtful."""

    book: Rulebook
    before: Rulebook | None  # None: the file before the change is invalid
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...]  # that the file before the change does not give

    @property
    def failed(self) -> tuple[Trial, ...]:
        """The tests that fail."""
        return tuple(trial for trial in self.trials if not trial.passed)


def check_rules_file(
    before: Document, after: Document, settings: "Settings", today: date
) -> CheckedFile:
    """Check a changed rules.yaml; raise ConfigError with all problems."""
    return _checked(
        _book_before(settings, before, None), site_rulebook(settings, rules=after), settings, today
    )


def check_templates_file(
    before: Document, after: Document, settings: "Settings", today: date
) -> CheckedFile:
    """Check a changed templates.yaml with the rules; raise ConfigError with all problems."""
    book = site_rulebook(settings, templates=after)
    return _checked(_book_before(settings, None, before), book, settings, today)


def hidden_values(document: Document) -> set[str]:
    """Return the values in rules and tests that may identify a patient, as texts of the file."""
    data = document.data if isinstance(document.data, dict) else {}
    return {text for section in _COMPARED for text in _hidden(data.get(section))}


def _book_before(
    settings: "Settings", rules: Document | None, templates: Document | None
) -> Rulebook | None:
    try:
        return site_rulebook(settings, rules=rules, templates=templates)
    except ConfigError:
        return None


def _checked(
    before: Rulebook | None, after: Rulebook, settings: "Settings", today: date
) -> CheckedFile:
    on_many = settings.match.on_many
    cases = (case for case in after.cases if case.file is None)
    trials = [
        trial for case in cases for trial in try_case(case, after, on_many=on_many, today=today)
    ]
    known = set(_warnings(before)) if before else set()
    new = tuple(words for words in _warnings(after) if words not in known)
    return CheckedFile(after, before, tuple(trials), new)


def _warnings(book: Rulebook) -> Iterator[str]:
    yield from lint_rules(book)
    yield from lint_templates(book)


def _hidden(value: Any) -> Iterator[str]:
    """Yield the texts below the elements that are withheld."""
    if isinstance(value, list):
        for one in value:
            yield from _hidden(one)
    for key, one in value.items() if isinstance(value, dict) else ():
        path = canonical_path(key) if isinstance(key, str) else None
        yield from _texts(one) if path is not None and is_withheld(path) else _hidden(one)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif value is not None and not isinstance(value, bool):
        yield str(value)
