"""The work for what comes from outside grows no faster than its size: n log n, never its square.

Each input is made small and eight times as large, and the CPU time of reading both is compared: 8
times is linear, 64 times a square. Times of one run on one machine are compared, the best of some.
"""

import json
import math
import random
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from drawcli.adapters.datastore.zips import Bounds, Zip
from drawcli.adapters.server.responses import iter_body, plain_json
from drawcli.authoring.former_export import FormerExport
from drawcli.core.dicom.conversion import convert_file
from drawcli.core.dicom.header import items, read_header
from drawcli.core.dicom.streaming import end_of_fragments, header_of_stream
from drawcli.core.frames import fragments
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.gate.figures import digit_runs
from drawcli.core.gate.strict_reader import DataSet, Elements
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.gate.text_traces import (
    Traces,
    days,
    has_long_number,
    has_mail,
    spellings,
    words,
)
from drawcli.core.pull.multipart import PartReader
from drawcli.core.pull.web_answers import decode_answers
from drawcli.core.rtstruct.contour_checks import inspect_contours
from drawcli.core.rules.conditions import Compare, Either, Every, Rule, RuleHeader
from drawcli.core.rules.decision import decide, decide_early
from drawcli.core.rules.impossible import doubts
from drawcli.core.rules.prefilter import Rules
from drawcli.core.templates.eclipse import read_eclipse
from drawcli.pipeline import explain
from drawcli.system.printable import plain
from drawcli.system.yaml_read import parse_yaml
from tests.bounds.data_sets import HEAD, element, sequence
from tests.bounds.pixel_items import Items
from tests.bounds.test_structure_sets import grid

pytestmark = pytest.mark.sweep
TIMES: Final = 8
MOST: Final = 40  # times the time: a square is 64, n log n some 10
LEAST_SECONDS: Final = 0.002  # of the small one, so that noise of the clock is small beside it
TRIES: Final = 3
SIZES: Final = 4
SITE: Final = Path("rules.yaml")
ROI_LIST, CONTOUR_LIST, CONTOURS, IMAGES = 0x30060020, 0x30060039, 0x30060040, 0x30060016
CLOSED = element(0x30060042, b"CS", b"CLOSED_PLANAR")
PRIVATE: Final = 0x00091010
SEQUENCE: Final = 0x00711010
UNDEFINED = 0xFFFFFFFF

Read = Callable[[Any], object]


def spent(read: Read, made: Any) -> float:
    """Return the least CPU seconds of some tries."""
    best = math.inf
    for _ in range(TRIES):
        begun = time.thread_time()
        read(made)
        best = min(best, time.thread_time() - begun)
    return best


def growth(make: Callable[[int], Any], read: Read, size: int) -> float:
    """Return how many times as long a TIMES larger input takes; a small one is made larger.

    Time can jump once where memory outgrows a cache; quadratic growth is above MOST at each size.
    So a growth above MOST must be confirmed with a larger input.
    """
    least = math.inf
    for _ in range(SIZES):
        while (small := spent(read, make(size))) < LEAST_SECONDS:
            size *= 2
        least = min(least, spent(read, make(TIMES * size)) / small)
        if least < MOST:
            break
        size *= 2
    return least


def elements(count: int) -> bytes:
    """Return private elements, in order."""
    return b"".join(
        element((0x0009 + (n >> 12) * 2) << 16 | 0x1000 | (n & 0xFFF), b"LO", b"ab")
        for n in range(count)
    )


def open_sequence(tag: int, inside: bytes) -> bytes:
    """Return a sequence of undefined length with one item of undefined length."""
    begin = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, UNDEFINED)
    begin += struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return begin + inside + end


def nested_items(count: int, depth: int = 12) -> bytes:
    """Return a header with sequences within each other, and items in the innermost."""
    data = sequence(SEQUENCE, [element(PRIVATE, b"LO", b"ab")] * count)
    for _ in range(depth):
        data = open_sequence(SEQUENCE, data)
    return HEAD + data


def all_of(file: DataSet, found: Elements, tag: int) -> int:
    """Read every item below a sequence; return how many there are."""
    return sum(1 + all_of(file, inside, tag) for inside in file.items(found, tag))


def strict(data: bytes) -> int:
    file = DataSet(data)
    return all_of(file, file.elements, SEQUENCE)


def loose(data: bytes) -> int:
    header = read_header(data, complete=True)
    todo, count = [*header.elements.values()], 0
    while todo:
        one = todo.pop()
        if one.vr == b"SQ":
            for inside in items(data, one, explicit=True):
                todo += inside
                count += 1
    return count


class Dripping:
    """A stream that returns little at a time."""

    def __init__(self, data: bytes) -> None:
        self._stream = BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 1 << 10))

    def seek(self, offset: int, /) -> int:
        return self._stream.seek(offset)


def points(count: int) -> Iterator[tuple[float, float]]:
    """Yield a circle."""
    for n in range(count):
        turn = 2 * math.pi * n / count
        yield 30 + 20 * math.cos(turn), 30 + 20 * math.sin(turn)


def contour(flat: Iterator[tuple[float, float]], z: float = 0) -> FileContour:
    text = "\\".join(f"{x:.4f}\\{y:.4f}\\{z:g}" for x, y in flat)
    return FileContour(1, "CLOSED_PLANAR", "", (("1.0", 1),), text.encode())


def zigzag(count: int) -> Iterator[tuple[float, float]]:
    """Yield long spikes that lie within each other's boxes."""
    for n in range(count):
        yield (5 + 50 * n / count, 5 + 50 * n / count + (n % 2) * 20)


def star(count: int) -> Iterator[tuple[float, float]]:
    """Yield lines that all cross each other in the middle."""
    for n in range(count):
        turn = math.pi * (n + (n % 2) * count) / count
        yield 30 + 20 * math.cos(turn), 30 + 20 * math.sin(turn)


def spiral(count: int) -> Iterator[tuple[float, float]]:
    half = count // 2
    for n in [*range(half), *reversed(range(half))]:
        turn, far = 40 * math.pi * n / half, 2 + 20 * n / half
        yield 30 + far * math.cos(turn), 30 + far * math.sin(turn)


def squares(count: int, side: float, step: float) -> list[FileContour]:
    """Return squares in one slice, in rows."""
    across = max(int(math.sqrt(count)), 1)
    return [
        contour(iter([(x, y), (x + side, y), (x + side, y + side), (x, y + side)]))
        for n in range(count)
        for x, y in [(1 + step * (n % across), 1 + step * (n // across))]
    ]


def inside_each_other(count: int) -> list[FileContour]:
    return [
        contour(iter([(a, a), (60 - a, a), (60 - a, 60 - a), (a, 60 - a)]))
        for n in range(count)
        for a in [1 + 28 * n / count]
    ]


def inspect(contours: list[FileContour]) -> object:
    return inspect_contours(contours, {1: "bladder"}, grid(), {})


def structure_set(count: int, named: int = 2) -> bytes:
    """Return a structure set with so many contours of one structure."""
    reference = element(0x00081155, b"UI", b"1.2.3.4")
    one = sequence(IMAGES, [reference] * named) + CLOSED
    one += element(0x30060046, b"IS", b"4 ")
    one += element(0x30060050, b"DS", b"10\\10\\0\\20\\10\\0\\20\\20\\0\\10\\20\\0")
    contours = sequence(CONTOURS, [one] * count) + element(0x30060084, b"IS", b"1 ")
    return HEAD + sequence(CONTOUR_LIST, [contours])


def read_set(data: bytes) -> object:
    file = DataSet(data)
    return read_structure_set(file), sum(1 for _ in read_contours(file))


def big_endian(count: int) -> bytes:
    """Return a header in big endian, without file meta."""
    head = struct.pack(">HH2sH", 0x0008, 0x0060, b"CS", 2) + b"CT"
    many = b"".join(
        struct.pack(">HH2sH", 0x0009 + (n >> 12) * 2, 0x1000 | (n & 0xFFF), b"LO", 2) + b"ab"
        for n in range(count)
    )
    meta = element(0x00020010, b"UI", b"1.2.840.10008.1.2.2\0")
    meta = element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta
    pixels = struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 2) + b"ab"
    return bytes(128) + b"DICM" + meta + head + many + pixels


def yaml_mapping(count: int) -> bytes:
    return b"".join(b"key%d: value %d\n" % (n, n) for n in range(count))


def yaml_aliases(count: int) -> bytes:
    return b"a: &a 1\nb:\n" + b"- *a\n" * count


def yaml_anchors(count: int) -> bytes:
    return b"".join(b"k%d: &a%d {x: 1}\nl%d: *a%d\n" % (n, n, n, n) for n in range(count))


def yaml_merges(count: int) -> bytes:
    return b"a: &a {x: 1}\n" + b"".join(b"k%d: {<<: *a, y: 2}\n" % n for n in range(count))


def read_yaml(text: bytes) -> object:
    return parse_yaml(SITE, text).data


def zipped(count: int) -> BytesIO:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for n in range(count):
            archive.writestr(f"folder {n % 7}/{n}", b"x")
    return stream


def open_zip(stream: BytesIO, path: Path) -> None:
    path.write_bytes(stream.getvalue())
    with Zip.opened(path, Bounds(most_bytes=1e9)) as opened:
        assert opened.members


def one_rule(number: int) -> Rule:
    tests = [
        Compare(f"A{number % 50}", "contains", f"word {number}"),
        Compare("A1", "contains", "text"),
    ]
    return Rule(name=f"rule {number}", when=Every((Either(tuple(tests)), tests[0])), template="t")


def excluding(number: int) -> Rule:
    """Return a rule that the prefilter cannot leave out."""
    when = Either((Compare("A1", "contains", f"no word {number}"),))
    return Rule(name=f"rule {number}", when=when, template=None, exclude=True)


def decide_all(made: tuple[RuleHeader, Rules]) -> object:
    return decide(*made).explanation


HEADER = RuleHeader({f"A{n}": (f"a text with word {n} of some length",) for n in range(50)})


def json_keys(count: int) -> bytes:
    return json.dumps({f"key {n}": n for n in range(count)}).encode()


def json_nested(count: int) -> bytes:
    """Return many lists, each nested as deep as is still read."""
    return b"[" + b",".join([b"[" * 400 + b"]" * 400] * count) + b"]"


def json_doubled(count: int) -> bytes:
    return b"{" + b",".join([b'"a": 1'] * count) + b"}"


def dripped(count: int) -> httpx.Response:
    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"] * count)

    return httpx.Response(200, stream=Drip())


def read_parts(pieces: list[bytes]) -> int:
    reader = PartReader(b"xYz")
    return sum(1 for piece in pieces for _ in reader.feed(piece))


def parts(count: int) -> list[bytes]:
    body = b"--xYz\r\nContent-Type: application/dicom\r\n\r\nabc\r\n" * count + b"--xYz--\r\n"
    return [body[at : at + 100] for at in range(0, len(body), 100)]


def long_part(count: int) -> list[bytes]:
    body = b"--xYz\r\nA: b\r\n\r\n" + b"\r\n--xY" * count + b"\r\n--xYz--\r\n"
    return [body[at : at + 100] for at in range(0, len(body), 100)]


def eclipse(count: int) -> bytes:
    one = b'<Structure ID="a" Name="b"><Identification/></Structure>'
    begin = b'<StructureTemplate><Preview ID="x"/><Structures>'
    return begin + one * count + b"</Structures></StructureTemplate>"


def answers(count: int) -> bytes:
    one = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00080060": {"vr": "CS", "Value": ["CT"]}}
    return json.dumps([one] * count).encode()


def many_limits(count: int) -> Every:
    return Every(
        tuple(Compare("SliceThickness", "at_least", n) for n in range(count))
        + tuple(Compare("SliceThickness", "at_most", n) for n in range(count))
    )


RULES: Final = Rules(map(one_rule, range(100)))
CASES: Final[dict[str, tuple[Callable[[int], Any], Read, int]]] = {
    "header: elements": (lambda n: HEAD + elements(n), loose, 500),
    "header: items in nested sequences": (nested_items, loose, 500),
    "header: in small pieces": (
        lambda n: HEAD + elements(n),
        lambda data: header_of_stream(Dripping(data)),
        1000,
    ),
    "header: big endian": (big_endian, convert_file, 500),
    "fragments: end": (Items, lambda stream: end_of_fragments(stream, 0), 1000),
    "fragments: list": (Items, lambda stream: fragments._items(stream, 0), 1000),
    "strict reader: elements": (lambda n: HEAD + elements(min(n, 9_999)), strict, 500),
    "strict reader: items in nested sequences": (nested_items, strict, 500),
    "structure set: contours": (structure_set, read_set, 50),
    "structure set: images of a contour": (lambda n: structure_set(1, n), read_set, 200),
    "contour: points": (lambda n: [contour(points(n))], inspect, 1000),
    "contour: spikes": (lambda n: [contour(zigzag(n))], inspect, 320),
    "contour: crossings": (lambda n: [contour(star(n))], inspect, 100),
    "contour: spiral": (lambda n: [contour(spiral(n))], inspect, 500),
    "contours: apart": (lambda n: squares(n, 0.2, 0.5), inspect, 100),
    "contours: overlapping": (lambda n: squares(n, 0.7, 0.5), inspect, 100),
    "contours: on each other": (lambda n: squares(1, 10, 1) * n, inspect, 100),
    "contours: nearly on each other": (lambda n: squares(n, 20, 0.01), inspect, 50),
    "contours: within each other": (inside_each_other, inspect, 20),
    "YAML: keys": (yaml_mapping, read_yaml, 200),
    "YAML: keys, for PyYAML": (lambda n: yaml_mapping(n) + b"# \t\n", read_yaml, 100),
    "YAML: aliases": (yaml_aliases, read_yaml, 2000),
    "YAML: anchors": (yaml_anchors, read_yaml, 100),
    "YAML: merge keys": (yaml_merges, read_yaml, 100),
    "JSON: keys": (json_keys, plain_json, 1000),
    "JSON: the same key": (json_doubled, plain_json, 1000),
    "JSON: nesting": (json_nested, plain_json, 10),
    "JSON: DICOM answers": (answers, decode_answers, 100),
    "HTTP: bytes one by one": (dripped, lambda one: sum(map(len, iter_body(one, 1 << 30))), 1000),
    "multipart: parts": (parts, read_parts, 100),
    "multipart: what resembles a delimiter": (long_part, read_parts, 300),
    "Eclipse: structures": (eclipse, read_eclipse, 100),
    "rules": (lambda n: (HEADER, Rules(map(one_rule, range(n)))), decide_all, 30),
    "rules with the same condition": (
        lambda n: [Rule(name=f"{k}", when=many_limits(1), template="t") for k in range(n)],
        lambda rules: list(explain._overlaps(rules)),
        200,
    ),
    "rules that exclude, and an incomplete series": (
        lambda n: Rules(map(excluding, range(n))),
        lambda rules: decide_early(HEADER, rules),
        30,
    ),
    "limits of an element": (many_limits, lambda when: list(doubts(when)), 50),
    "values of an element": (
        lambda n: Every(tuple(Compare("Modality", "equals", f"{k}") for k in range(n))),
        lambda when: list(explain._contradictions(when)),
        100,
    ),
    "elements of a condition": (
        lambda n: (RuleHeader({f"A{k}": (f"w {k}",) for k in range(n)}), RULES),
        decide_all,
        500,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_work_grows_no_faster_than_the_input(case: str) -> None:
    make, read, size = CASES[case]

    assert growth(make, read, size) < MOST


REPEATED: Final = (
    *("a", "1", "a@", "@", "1 ", "jan", "1 jan ", ".", " ", "-1", "a.", "\u00e4", "\\1", "1st of "),
    *("\0", "2000 ", "<a", "1e", "^"),
)
PATIENT: Final = Traces()
PATIENT.learn("Lindqvist^Astrid 7734021")
TEXTS: Final[dict[str, Callable[[str], object]]] = {
    "days": lambda text: sum(1 for _ in days(f"1999 {text}")),
    "mail": has_mail,
    "long numbers": has_long_number,
    "words": words,
    "spellings": spellings,
    "traces": lambda text: PATIENT.in_text(text) or PATIENT.in_longer_words(text),
    "digits": lambda text: sum(1 for _ in digit_runs(text)),
    "shown": plain,
}


@pytest.mark.parametrize("search", TEXTS)
def test_a_repetitive_text_is_searched_in_one_pass(search: str) -> None:
    """Regular expressions try again at each place, unless they are bounded."""
    read = TEXTS[search]
    for repeated in REPEATED:
        assert growth(repeated.__mul__, read, 2000) < MOST, repeated


def test_a_zip_is_opened_in_a_time_that_grows_with_its_members(tmp_path: Path) -> None:
    path = tmp_path / "case.zip"

    assert growth(zipped, lambda stream: open_zip(stream, path), 100) < MOST


def test_an_export_of_a_former_client_is_read_in_a_time_that_grows_with_it(tmp_path: Path) -> None:
    path = tmp_path / "export.json"

    def read(text: str) -> object:
        path.write_text(text)
        return list(FormerExport(path).rules())

    def make(count: int) -> str:
        kinds = ("rulegroup", {"rulegroup_name": "x"}), ("ruleset", {"rulegroup": 1})
        return json.dumps(
            [
                {"model": f"draw.{kind}", "pk": n, "fields": {**fields, "rulegroup": n}}
                for n in range(count)
                for kind, fields in kinds
            ]
        )

    assert growth(make, read, 50) < MOST


def test_quadratic_growth_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of the measure, at one size: quadratic work is above it, sorting is not."""
    monkeypatch.setattr(f"{__name__}.SIZES", 1)

    def square(count: int) -> int:
        return sum(1 for a in range(count) for b in range(count) if a == b)

    assert growth(int, square, 50) > MOST
    assert growth(lambda n: random.Random(7).sample(range(n), n), sorted, 1000) < MOST  # noqa: S311
