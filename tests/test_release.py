"""What a release is made of: one version, a changelog that tells sites, a lock, a container."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from drawcli import __version__
from drawcli.config.load import load_settings

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
LOCK = (ROOT / "packaging" / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text(encoding="utf-8")
LOCKED_EXTRAS = ("web", "follow", "keyring", "notify", "dicom-net", "decompress", "qa", "cluster")


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "drawcli/__init__.py"
    assert str(Version(__version__)) == __version__
    others = [path for path in (ROOT / "drawcli").rglob("*.py") if path.name != "__init__.py"]
    assert not [path for path in others if f'"{__version__}"' in path.read_text(encoding="utf-8")]


def test_each_release_tells_sites_what_changes_for_them() -> None:
    releases = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]

    assert releases[0].startswith(("[Unreleased]", f"[{__version__}]"))
    for release in releases:
        assert re.match(r"\[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)", release), release[:40]
        assert "### Behaviour at sites" in release, release[:40]


def test_the_lock_has_every_dependency_as_asked_and_its_digest() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    locked = {}
    for entry in entries:
        name, version = re.match(r"([a-z0-9_.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr] # each begins so
        locked[canonicalize_name(name)] = Version(version)
        assert "--hash=sha256:" in entry, name
    extras = PROJECT["project"]["optional-dependencies"]

    asked = [
        *PROJECT["project"]["dependencies"],
        *(one for name in LOCKED_EXTRAS for one in extras[name]),
    ]

    assert len(asked) > 20
    for words in asked:
        wanted = Requirement(words)
        assert locked[canonicalize_name(wanted.name)] in wanted.specifier, words
    assert "://" not in LOCK  # nothing that ties it to one index


def recipe(target: str) -> str:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return makefile.partition(f"\n{target}:")[2].partition("\n\n")[0]


def test_what_is_released_lies_in_one_folder_with_its_digests() -> None:
    made = recipe("release")
    kinds = re.search(r"cd dist && .*? (\*\..*) > SHA256SUMS", made)

    assert "$(MAKE) docs" in made
    assert "dist/drawcli-documents.zip site" in made
    assert kinds is not None
    assert kinds[1].split() == ["*.whl", "*.gz", "*.json", "*.zip"]


def test_the_lock_is_made_with_the_extras_that_a_site_may_need() -> None:
    assert tuple(re.findall(r"--extra (\S+)", recipe("lock"))) == LOCKED_EXTRAS
    for page in ("docs/installing.md", "packaging/README.md"):
        told = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        extras = ", ".join(f"`{name}`" for name in LOCKED_EXTRAS[:-1])
        assert f"{extras} and `{LOCKED_EXTRAS[-1]}`" in told, page


def test_the_container_is_nobody_in_particular_and_looks_after_its_health() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER (?!0|root)\d+:\d+$", last, re.MULTILINE)
    assert re.search(r'^HEALTHCHECK [^\n]*\\\n +CMD \["drawcli", "doctor"', last, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"^(ADD|COPY) \.", DOCKERFILE, re.MULTILINE)  # nothing of a site


def test_what_the_container_copies_is_let_in_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)

    copied = {word.rstrip("/") for words in copies for word in words.split()}

    assert lines[1] == "*"
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_service_of_compose_can_do_little() -> None:
    compose = yaml.safe_load((ROOT / "packaging" / "compose.yaml").read_text(encoding="utf-8"))
    service: dict[str, Any] = compose["services"]["drawcli"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] in DOCKERFILE
    assert [one for one in service["volumes"] if one.endswith(":/mnt/dicom:ro")]
    assert "entrypoint" not in service  # that of the image: words are a command, none is the loop


def test_words_are_a_command_of_the_container_and_none_are_runs_again_and_again(
    tmp_path: Path,
) -> None:
    stub = '#!/bin/sh\necho "$0 $*" >> "$0.log"\n'
    for name in ("drawcli", "sleep"):
        (tmp_path / name).write_text(stub + ("kill $PPID\n" if name == "sleep" else ""))
        (tmp_path / name).chmod(0o755)
    for words in (["init", "/etc/a b"], []):
        subprocess.run(
            ["/bin/sh", ROOT / "packaging" / "entrypoint.sh", *words],
            env={"PATH": str(tmp_path)},
            check=False,
        )

    calls = (tmp_path / "drawcli.log").read_text().replace(f"{tmp_path}/", "").splitlines()
    assert calls == ["drawcli init /etc/a b", "drawcli run-once"]
    assert (tmp_path / "sleep.log").read_text().endswith("sleep 600\n")


def test_the_settings_that_the_container_makes_are_settings(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "packaging" / "compose.yaml").read_text(encoding="utf-8"))
    made = dict(re.findall(r"(DRAWCLI_(?!CONFIG)[A-Z_]+)=(\S+)", DOCKERFILE))
    given = compose["services"]["drawcli"]["environment"]
    made |= {name: text for name, text in given.items() if name.startswith("DRAWCLI_")}
    (tmp_path / "drawcli.yaml").write_text("datastore: /mnt/dicom\nstate_dir: state\n")

    settings = load_settings(tmp_path / "drawcli.yaml", made)

    assert settings.datastore == [Path("/mnt/dicom")]
    assert settings.state_dir == Path("/var/lib/drawcli")
    assert settings.deliver.folder == Path("/mnt/structures")
