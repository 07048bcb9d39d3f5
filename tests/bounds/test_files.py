"""Files from outside just within their bounds and just beyond."""

import json
import struct
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from drawcli.adapters.datastore.zips import Bounds, Zip
from drawcli.adapters.gate import package_search
from drawcli.adapters.gate.package_search import find_source_series
from drawcli.adapters.rulebook.rulebook import check_rules
from drawcli.adapters.state import former_client
from drawcli.authoring import former_records
from drawcli.authoring.former_export import FormerExport
from drawcli.cli import scan_command, token_commands
from drawcli.core.dicom import header, streaming
from drawcli.core.dicom.header import Incomplete, NotDicom, read_header
from drawcli.core.dicom.streaming import header_of_stream
from drawcli.core.frames import decoding
from drawcli.core.frames.decoding import SampleFormat, decode_frame
from drawcli.core.rules import conditions, operators
from drawcli.core.rules.conditions import Compare
from drawcli.core.templates import eclipse
from drawcli.errors import ConfigError, SeriesRefused, UsageError
from drawcli.operations import keys
from drawcli.system import yaml_read
from drawcli.system.yaml_read import parse_yaml, read_yaml
from tests.bounds.data_sets import HEAD, element, nested
from tests.cli.conftest import Run
from tests.conftest import Site

SITE = Path("rules.yaml")
USUAL = Bounds(most_bytes=float(1 << 40))


@pytest.mark.parametrize("beyond", [0, 1])
def test_elements_of_a_header(beyond: int) -> None:
    tags = (0x31010000 + (n // 60_000 << 17) + 16 + n % 60_000 for n in range(1 << 20))
    most = header._MOST_ELEMENTS - 1 + beyond  # and the one of HEAD
    data = HEAD + b"".join(element(next(tags), b"LO", b"") for _ in range(most))

    if beyond:
        with pytest.raises(NotDicom, match="more elements"):
            read_header(data, complete=True)
    else:
        assert len(read_header(data, complete=True).elements) == header._MOST_ELEMENTS


@pytest.mark.parametrize("beyond", [0, 1])
def test_nesting_of_a_header(beyond: int) -> None:
    data = HEAD + nested(0x30060020, header.DEEPEST + beyond)

    if beyond:
        with pytest.raises(NotDicom, match="nested too deep"):
            read_header(data, complete=True)
    else:
        read_header(data, complete=True)


@pytest.mark.parametrize("beyond", [0, 1])
def test_bytes_of_a_header(beyond: int) -> None:
    most = streaming.LARGEST_HEADER
    pixels = element(0x7FE00010, b"OB", b"")
    value = bytes(most - len(HEAD) - 12 - len(pixels) + 2 * beyond)
    stream = BytesIO(HEAD + element(0x30070010, b"UN", value) + pixels + bytes(most))

    if beyond:
        with pytest.raises(Incomplete):
            header_of_stream(stream)
        assert stream.tell() == most
    else:
        assert header_of_stream(stream).pixels is not None


def test_bytes_of_a_decoded_frame() -> None:
    rows = 1 << 13
    within = SampleFormat(rows, decoding.LARGEST_FRAME // rows // 2, 16, 16, signed=False)
    beyond = within._replace(columns=within.columns + 1)
    texts = []
    for form in (within, beyond):
        frame = struct.pack(">HHHBHHB", 0xFFD8, 0xFFC3, 11, 16, form.rows, form.columns, 1)
        with pytest.raises(SeriesRefused) as caught:
            decode_frame(frame + bytes(40), "1.2.840.10008.1.2.4.70", form)
        texts.append(str(caught.value))

    assert "more than 64 MiB" not in texts[0]
    assert "more than 64 MiB" in texts[1]


@pytest.mark.parametrize("beyond", [0, 1])
def test_bytes_of_a_yaml_file(beyond: int, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    begin = b"a: 1\n#"
    path.write_bytes(begin + b"x" * (yaml_read._LARGEST_FILE - len(begin) + beyond))

    if beyond:
        with pytest.raises(ConfigError, match="larger than 1000000 bytes"):
            read_yaml(path)
    else:
        assert read_yaml(path).data == {"a": 1}


@pytest.mark.parametrize("beyond", [0, 1])
def test_values_of_a_yaml_file(beyond: int) -> None:
    ten = b"a: &a [" + b",".join([b"1"] * 9) + b"]\n"  # ten values
    count = (yaml_read._MOST_VALUES - 10 - 2) // 10
    rest = b",".join([b"*a"] * count + [b"1"] * (8 + beyond))
    text = ten + b"b: [" + rest + b"]\n"

    if beyond:
        with pytest.raises(ConfigError, match="more than 100000 values"):
            parse_yaml(SITE, text)
    else:
        assert len(parse_yaml(SITE, text).data["b"]) == count + 8


@pytest.mark.parametrize("text", [b"%d: a", b"a: %d", b"a: -%d", b"a: [{? %d, b: 1}]"])
@pytest.mark.parametrize("beyond", [0, 1])
def test_whole_numbers_of_a_yaml_file(beyond: int, text: bytes) -> None:
    source = text % (yaml_read._LARGEST_WHOLE + beyond)

    if beyond:
        with pytest.raises(ConfigError, match="is too long for a number; put a text in quotes"):
            parse_yaml(SITE, source)
    else:
        parse_yaml(SITE, source)


@pytest.mark.parametrize("beyond", [0, 1])
def test_name_of_a_rule(beyond: int) -> None:
    name = "a" * (conditions.LONGEST_NAME + beyond)
    document = parse_yaml(SITE, f"rules:\n- {{name: {name}, template: t, when: always}}\n".encode())

    if beyond:
        with pytest.raises(ConfigError, match=r"rules\.yaml:2:4: 'name' has more than 200"):
            check_rules(document, {"t"})
    else:
        check_rules(document, {"t"})


@pytest.mark.parametrize("beyond", [0, 1])
def test_pattern_of_a_rule(beyond: int) -> None:
    pattern = "a" * (operators._LONGEST_PATTERN + beyond)

    if beyond:
        with pytest.raises(ValueError, match="more than 1000 characters"):
            Compare("ProtocolName", "matches", pattern)
    else:
        Compare("ProtocolName", "matches", pattern)


@pytest.mark.parametrize("tab", [b"", b"  # \t"], ids=["libyaml", "PyYAML"])
@pytest.mark.parametrize("beyond", [0, 1])
def test_nesting_of_a_yaml_file(beyond: int, tab: bytes) -> None:
    deep = yaml_read._DEEPEST + beyond
    text = b"[" * deep + b"1" + b"]" * deep + tab

    if beyond:
        with pytest.raises(ConfigError, match="nested too deep"):
            parse_yaml(SITE, text)
    else:
        parse_yaml(SITE, text)


@pytest.mark.parametrize("deep", [900, 50_000])
def test_nesting_far_beyond_the_bound_is_refused_as_quickly(deep: int) -> None:
    with pytest.raises(ConfigError):
        parse_yaml(SITE, b"[" * deep + b"]" * deep)


@pytest.mark.parametrize("beyond", [0, 1])
def test_members_of_a_zip(beyond: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, dict.fromkeys(map(str, range(500 + beyond)), b""))

    check_zip(path, Bounds(most_bytes=1000, most_members=500), beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_size_of_an_unpacked_zip(beyond: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"1": bytes(1000), "2": bytes(1000 + beyond)})

    check_zip(path, Bounds(most_bytes=2000), beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_compression_of_a_zip(beyond: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"1": bytes(USUAL.calm_bytes + beyond)})

    check_zip(path, USUAL, beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_list_of_members_of_a_zip(beyond: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"1": b"x"})
    size = 46 + 1

    check_zip(path, Bounds(most_bytes=1000, most_directory=size - beyond), beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_member_of_a_package(beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_search, "_LARGEST_MEMBER", 1000)
    path = zip_of(tmp_path, {"1.dcm": b"x" * (1000 + beyond)})

    if not beyond:
        assert find_source_series(path, []) == []
        return
    with pytest.raises(UsageError, match="a member is too large to be searched"):
        find_source_series(path, [])


def zip_of(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "case.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def check_zip(path: Path, bounds: Bounds, beyond: int) -> None:
    if beyond:
        with pytest.raises(SeriesRefused) as caught, Zip.opened(path, bounds):
            pass
        assert caught.value.code == "zip-too-large"
    else:
        with Zip.opened(path, bounds) as opened:
            assert opened.members


@pytest.mark.parametrize("beyond", [0, 1])
def test_export_of_a_former_client(
    beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"model": "draw.rule", "pk": 1, "fields": {}}]))
    monkeypatch.setattr(former_records, "_LARGEST", path.stat().st_size - beyond)

    if beyond:
        with pytest.raises(ConfigError, match="larger than"):
            FormerExport(path)
    else:
        assert FormerExport(path).all("rule")


def test_records_of_patients_in_an_export_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"model": "draw.rule", "pk": 1, "fields": {}}, *[{}] * 50_000]))
    tracemalloc.start()
    try:
        assert FormerExport(path).passed_over.total() == 50_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * path.stat().st_size  # bytes and text; the records take 18 times as much


@pytest.mark.parametrize("beyond", [0, 1])
def test_history_of_a_former_client(
    beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former_client.write_history(tmp_path, former_client.FormerHistory())
    size = (tmp_path / former_client.FILE_NAME).stat().st_size
    monkeypatch.setattr(former_client, "_LARGEST", size - beyond)

    if beyond:
        with pytest.raises(ConfigError, match="cannot be read"):
            former_client.read_history(tmp_path)
    else:
        assert former_client.read_history(tmp_path) == former_client.FormerHistory()


@pytest.mark.parametrize("beyond", [0, 1])
def test_list_of_paths(
    beyond: int, tmp_path: Path, drawcli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "paths.txt"
    path.write_bytes(f"{tmp_path}/nothing\n".encode())
    monkeypatch.setattr(scan_command, "LARGEST_LIST", path.stat().st_size - beyond)

    said = drawcli("scan", "--from-list", str(path)).err

    assert ("the list is longer than" in said) == bool(beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_file_of_tokens(beyond: int, site: Site, drawcli: Run) -> None:
    path = site.folder / "new.json"
    text = json.dumps({"access_token": "access-1", "refresh_token": "refresh-1"})
    path.write_text(text + " " * (token_commands.LARGEST - len(text) + beyond))

    ended = drawcli("token", "set", "--force", str(path))

    assert ended.code == (2 if beyond else 0), ended.err
    assert ("these are no tokens" in ended.err) == bool(beyond)


@pytest.mark.parametrize("beyond", [0, 1])
def test_backup_of_keys(beyond: int, tmp_path: Path, drawcli: Run) -> None:
    whole = tmp_path / "keys.txt"
    assert drawcli("key", "backup", str(whole)).code == 0
    text = whole.read_bytes()
    whole.write_bytes(text + b"#" * (keys.LARGEST_BACKUP - len(text) + beyond))
    other = tmp_path / "state"

    if beyond:
        with pytest.raises(ConfigError, match="not an intact backup"):
            keys.restore(whole, other)
        assert not other.exists()
    else:
        assert keys.restore(whole, other)


@pytest.mark.parametrize("beyond", [0, 1])
def test_template_of_eclipse(beyond: int) -> None:
    begin = b"<a>"
    data = begin + b" " * (eclipse._LARGEST - len(begin) - 4 + beyond) + b"</a>"

    with pytest.raises(ValueError, match="larger than" if beyond else "not a StructureTemplate"):
        eclipse.read_eclipse(data)
