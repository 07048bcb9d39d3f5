"""What mutmut has found: the mutants of a package, their change in the code and their verdict."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path
from typing import Final


class Verdict(StrEnum):
    """The outcome of one mutant."""

    TESTS = "tests"
    TYPES = "types"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    UNREACHED = "no test reaches it"
    OPEN = "not tried"


_KILLED: Final = frozenset({Verdict.TESTS, Verdict.TYPES, Verdict.TIMEOUT})
_VERDICTS: Final = {  # by the exit status that mutmut keeps; any other one is a survivor
    None: Verdict.OPEN,
    1: Verdict.TESTS,
    3: Verdict.TESTS,  # an internal error of pytest
    37: Verdict.TYPES,
    -24: Verdict.TIMEOUT,  # SIGXCPU, in four spellings
    24: Verdict.TIMEOUT,
    152: Verdict.TIMEOUT,
    255: Verdict.TIMEOUT,
    36: Verdict.TIMEOUT,
    5: Verdict.UNREACHED,
    33: Verdict.UNREACHED,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the function with its module, the lines before and after, the verdict."""

    function: str
    old: str
    new: str
    verdict: Verdict

    @property
    def survives(self) -> bool:
        """Whether it was tried, and neither test nor type checker has refused it."""
        return self.verdict not in _KILLED | {Verdict.OPEN}

    @property
    def change(self) -> str:
        """The mutant as a survivor list names it; mutmut's numbers move when code changes."""
        return f"{self.function} | - {self.old} | + {self.new}".rstrip()


def mutants(folder: Path, package: str) -> list[Mutant]:
    """Return the mutants of a package, such as drawcli/core/jobs, from the folder mutmut ran in."""
    metas = sorted((folder / "mutants" / package).glob("*.meta"))
    return [mutant for meta in metas for mutant in _mutants_of_module(meta)]


def score(found: list[Mutant]) -> float:
    """Return the share of all mutants that were killed, in percent; 0 if there are none."""
    killed = sum(mutant.verdict in _KILLED for mutant in found)
    return 100 * killed / len(found) if found else 0.0


def counts(found: list[Mutant]) -> Counter[Verdict]:
    """Count the mutants by verdict."""
    return Counter(mutant.verdict for mutant in found)


def forget_survivors(folder: Path, package: str) -> None:
    """Let the next run of mutmut try again what has survived, and keep its other verdicts."""
    for meta in (folder / "mutants" / package).glob("*.meta"):
        kept = json.loads(meta.read_text())
        codes = kept["exit_code_by_key"]
        for key, code in codes.items():
            if _verdict(code) not in _KILLED:
                codes[key] = None
        meta.write_text(json.dumps(kept, indent=4))


def _verdict(code: int | None) -> Verdict:
    return _VERDICTS.get(code, Verdict.SURVIVED)


def _mutants_of_module(meta: Path) -> Iterator[Mutant]:
    source = meta.with_suffix("")
    spans = json.loads(source.with_name(f"{source.name}.spans").read_text())["spans"]
    lines = source.read_text().splitlines()

    def code(name: str, plain: str) -> list[str]:
        first, last = spans[name]
        return [line.strip().replace(name, plain) for line in lines[first - 1 : last]]

    for key, exit_code in json.loads(meta.read_text())["exit_code_by_key"].items():
        name = key.rpartition(".")[2]
        mangled = name.rpartition("__mutmut_")[0]
        function = _plain(mangled)
        plain = function.rpartition(".")[2]
        old, new = _difference(code(f"{mangled}__mutmut_orig", plain), code(name, plain))
        yield Mutant(f"{source.stem}.{function}", old, new, _verdict(exit_code))


def _plain(mangled: str) -> str:
    """Return the name of a function that mutmut writes as x_name or xǁClassǁname."""
    if "ǁ" in mangled:
        return mangled.removeprefix("xǁ").replace("ǁ", ".")
    return mangled.removeprefix("x_")


def _difference(old: list[str], new: list[str]) -> tuple[str, str]:
    before: list[str] = []
    after: list[str] = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            before += old[i:j]
            after += new[k:m]
    return " ".join(before), " ".join(after)
