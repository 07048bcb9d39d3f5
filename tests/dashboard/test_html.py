"""Pages as parsers and screen readers meet them."""

from itertools import pairwise
from xml.etree.ElementTree import Element

import html5lib
import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from tests.dashboard.conftest import WORDS, Serve, log_in

HEADINGS = ("h1", "h2", "h3")
PLACES = ("/", "/jobs", "/jobs?state=held", "/held", "/patients", "/unmatched", "/rules",
    "/server", "/checkup",
    "/settings", "/templates", "/templates/Prostate_OAR",
    "/edit/templates", "/edit/templates?template=Prostate_OAR",
    "/nowhere")  # fmt: skip


@pytest.fixture
def pages(serve: Serve, home: Job, held: Job) -> dict[str, str]:
    """Return every page, with everything on it that may be: actions and patients."""
    client = serve(password=WORDS, allow_actions=True, allow_editing=True, identify=True)
    login = client.get("/login").text
    log_in(client)
    jobs = [f"/jobs/{home.id}", f"/jobs/{held.id}", f"/rules?job={home.id}"]
    return {"/login": login} | {place: client.get(place).text for place in (*PLACES, *jobs)}


def read(text: str) -> Element:
    """Read a page strictly: anything wrong raises."""
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return root


def said(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_every_page_is_good_html_for_every_reader(pages: dict[str, str]) -> None:
    for place, text in pages.items():
        root = read(text)
        everything = list(root.iter())

        assert root.get("lang") == "en", place
        assert said(root.find("head/title") or Element("")) or root.findtext("head/title"), place
        assert [one.tag for one in everything].count("main") == 1, place
        names = [one.get("id") for one in everything if one.get("id")]
        assert len(names) == len(set(names)), (place, names)
        check_headings(place, everything)
        check_names(place, everything)


def check_headings(place: str, everything: list[Element]) -> None:
    """See that there is one h1, no level is left out, and none is empty."""
    levels = [HEADINGS.index(one.tag) for one in everything if one.tag in HEADINGS]
    assert levels.count(0) == 1, place
    assert all(after - before <= 1 for before, after in pairwise(levels)), place
    assert all(said(one) for one in everything if one.tag in HEADINGS), place


def check_names(place: str, everything: list[Element]) -> None:
    """See that everything one can use has a name, and what is referred to is there."""
    ids = {one.get("id") for one in everything}
    labelled = {one.get("for") for one in everything if one.tag == "label"}
    wrapped = {id(each) for one in everything if one.tag == "label" for each in one.iter()}
    for one in everything:
        if one.tag in ("input", "select") and one.get("type") != "hidden":
            hidden = one.get("hidden") is not None
            assert hidden or one.get("id") in labelled or id(one) in wrapped, (place, one.attrib)
        if one.tag in ("a", "button", "summary"):
            assert said(one) or one.get("aria-label"), (place, one.attrib)
        if one.tag.rpartition("}")[2] in ("img", "svg"):
            assert {"alt", "aria-label", "aria-hidden"} & set(one.keys()), (place, one.attrib)
        if one.tag == "th":
            assert one.get("scope"), (place, said(one))
        for name in (one.get("aria-labelledby"), one.get("aria-describedby")):
            assert name is None or name in ids, (place, name)


def test_every_link_leads_somewhere(client: TestClient, home: Job, held: Job) -> None:
    seen, waiting = set[str](), {"/"}
    while waiting:
        place = waiting.pop()
        seen.add(place)
        answer = client.get(place)
        assert answer.status_code == 200, place
        found = [one for one in read(answer.text).iter("a") if one.get("download") is None]
        links = [one.get("href", "") for one in found]
        waiting |= {link.partition("#")[0] for link in links} - seen - {""}

    assert {f"/jobs/{home.id}", f"/jobs/{held.id}", "/templates/Prostate_OAR"} <= seen
