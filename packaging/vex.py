"""Write the VEX of a release: what is publicly known about each locked package, and our assessment.

    python packaging/vex.py packaging/requirements.lock packaging/vex.yaml dist/drawcli-vex.cdx.json

pip-audit is asked about every line of the lock, whatever system it is for. The file is CycloneDX,
and not written if a package was not looked up, if a vulnerability has no assessment, or if an
assessment belongs to none. An assessment in vex.yaml:

    - id: PYSEC-2026-1          # or another name of it
      package: example
      state: not_affected       # or: exploitable, resolved, false_positive
      justification: code_not_reachable   # with not_affected
      detail: drawcli does not call example.parse.
      response: [update]        # with exploitable
      by: A. Name
      day: 2026-11-29
"""

import hashlib
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

STATES: Final = ("not_affected", "exploitable", "resolved", "false_positive")
JUSTIFICATIONS: Final = (
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
)
RESPONSES: Final = ("can_not_fix", "will_not_fix", "update", "rollback", "workaround_available")
_KEYS: Final = {"id", "package", "state", "detail", "by", "day"}
Pin = tuple[str, str]


def pins(lock: str) -> list[Pin]:
    """Return name and version of each line of a lock, for whatever system it is."""
    return re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", lock, re.MULTILINE)


def rounds(wanted: Sequence[Pin]) -> list[list[Pin]]:
    """Return lists with each name once: pip-audit takes no name twice."""
    found: list[list[Pin]] = []
    for pin in wanted:
        free = next((one for one in found if pin[0] not in dict(one)), None)
        if free is None:
            found.append(free := [])
        free.append(pin)
    return found


def ask(wanted: Sequence[Pin]) -> list[dict[str, Any]]:
    """Return what pip-audit says about each package."""
    answers: list[dict[str, Any]] = []
    for several in rounds(wanted):
        with TemporaryDirectory() as folder:
            asked, told = Path(folder, "requirements.txt"), Path(folder, "audit.json")
            asked.write_text("".join(f"{name}=={version}\n" for name, version in several))
            words = ("--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off")
            subprocess.run(
                [Path(sys.executable).with_name("pip-audit"), *words, "-r", asked, "-o", told],
                check=False,  # it also fails if there are vulnerabilities
            )
            if not told.exists():
                raise SystemExit("pip-audit has written nothing")
            answers += json.loads(told.read_text(encoding="utf-8"))["dependencies"]
    return answers


def statements(
    wanted: Iterable[Pin],
    answers: Iterable[Mapping[str, Any]],
    assessments: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return the vulnerabilities as CycloneDX; raise ValueError with all that is missing."""
    known = [one for one in answers if "skip_reason" not in one]
    found = [(one["name"], one["version"], fault) for one in known for fault in one["vulns"]]
    left = list(assessments)
    missing = [
        f"not looked up: {name} {version}"
        for name, version in wanted
        if (name, version) not in {(one["name"], one["version"]) for one in known}
    ]
    missing += [problem for one in left for problem in problems(one)]
    made, used = [], set()
    for name, version, fault in found:
        names = {fault["id"], *fault.get("aliases", ())}
        place = next(
            (n for n, one in enumerate(left) if one.get("package") == name and one["id"] in names),
            None,
        )
        if place is None:
            missing.append(f"no assessment: {fault['id']} of {name} {version}")
        else:
            used.add(place)
            made.append(_statement(name, version, fault["id"], left[place]))
    missing += [
        f"assessment of nothing: {one.get('id')} of {one.get('package')}"
        for place, one in enumerate(left)
        if place not in used
    ]
    if missing:
        raise ValueError("\n".join(missing))
    return made


def problems(assessment: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with an assessment."""
    name, state = assessment.get("id", "?"), assessment.get("state")
    found = [f"{name}: no {key}" for key in sorted(_KEYS) if not assessment.get(key)]
    if state not in STATES:
        found.append(f"{name}: state is none of {', '.join(STATES)}")
    if state == "not_affected" and assessment.get("justification") not in JUSTIFICATIONS:
        found.append(f"{name}: justification is none of {', '.join(JUSTIFICATIONS)}")
    responses = assessment.get("response", [])
    if (state == "exploitable" and not responses) or not {*responses} <= {*RESPONSES}:
        found.append(f"{name}: response is none of {', '.join(RESPONSES)}")
    return found


def _statement(name: str, version: str, id_: str, assessment: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("state", "justification", "response", "detail")
    return {
        "id": id_,
        "affects": [{"ref": f"pkg:pypi/{name}@{version}"}],
        "analysis": {key: assessment[key] for key in keys if assessment.get(key)},
        "properties": [
            {"name": "drawcli:assessed-by", "value": str(assessment["by"])},
            {"name": "drawcli:assessed-on", "value": str(assessment["day"])},
        ],
    }


def document(
    version: str, lock: bytes, made: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, Any]:
    """Return the VEX of a version of drawcli."""
    count = len(pins(lock.decode()))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "component": {"type": "application", "name": "drawcli", "version": version},
            "properties": [
                {"name": "drawcli:lock-sha256", "value": hashlib.sha256(lock).hexdigest()},
                {"name": "drawcli:packages-looked-up", "value": str(count)},
            ],
        },
        "vulnerabilities": list(made),
    }


def main(lock: Path, assessed: Path, target: Path) -> None:
    """Ask, and write the file."""
    root = Path(__file__).parents[1]
    content = lock.read_bytes()
    wanted = pins(content.decode())
    assessments = yaml.safe_load(assessed.read_text(encoding="utf-8")) or []
    try:
        made = statements(wanted, ask(wanted), assessments)
    except ValueError as error:
        raise SystemExit(f"{error}\nno VEX is written: see docs/hospital/releases.md") from None
    source = (root / "drawcli" / "__init__.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.+)"', source, re.MULTILINE)[0]
    plain = document(version, content, made, datetime.now(UTC))
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    print(f"{target}: {len(wanted)} packages looked up, {len(made)} vulnerabilities")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
