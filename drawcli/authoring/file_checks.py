"""What the commands say of a changed rules.yaml or templates.yaml, before it is saved."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from drawcli.adapters.rulebook.rulebook import Rulebook, site_rulebook
from drawcli.errors import ConfigError
from drawcli.pipeline.explain import Trial, lint_rules, lint_templates, try_case
from drawcli.system.yaml_read import Document

if TYPE_CHECKING:
    from drawcli.config.load import Settings


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
