"""The documents as a site: every page has its place, every link its end, nothing is fetched."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.documents.blocks import OUTSIDE_DOCS, ROOT, pages

LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not there: make docs"
)


def anchored(text: str) -> str:
    """Return a page of reasons as the hook of the site makes it."""
    spec = importlib.util.spec_from_file_location("anchors", ROOT / "docs/anchors.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="reasons.md"))
    made: str = module.on_page_markdown(text, page=page)
    return made


def in_nav(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for one in inner for page in in_nav(one)]


def test_every_page_has_its_place_in_the_site() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    placed = in_nav(site["nav"])

    assert len(placed) == len(set(placed))
    assert {ROOT / "docs" / page for page in placed} == {*pages()} - {
        ROOT / page for page in OUTSIDE_DOCS
    }


def test_every_link_leads_to_a_file() -> None:
    links = [
        (path, link) for path in pages() for link in LINK.findall(path.read_text(encoding="utf-8"))
    ]

    for path, link in links:
        target, _, anchor = link.partition("#")
        end = (path.parent / target) if target else path
        assert end.exists(), (path, link)
        if anchor:
            headings = re.findall(r"^#+ (.+)$", end.read_text(encoding="utf-8"), re.MULTILINE)
            known = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in known, (path, link)


def test_the_tests_that_the_promises_name_are_there() -> None:
    text = (ROOT / "docs/explanation/promises.md").read_text(encoding="utf-8")

    named = re.findall(r"`(tests/[a-z_/.]+)`", text)

    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_reason_has_an_anchor_once() -> None:
    text = "| code | meaning |\n|---|---|\n| `a-b`, `c` | one |\n\n| `c` | again `d` |\n"

    made = anchored(text)

    assert made.splitlines()[2] == '| <span id="a-b"></span><span id="c"></span>`a-b`, `c` | one |'
    assert made.splitlines()[4] == "| `c` | again `d` |"


@pytest.mark.sweep
@needs_mkdocs
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    reasons = (tmp_path / "site/reasons.html").read_text(encoding="utf-8")
    assert reasons.count('id="source-moved"') == 1
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?https?:", text)
        assert not fetched, page
