"""`drawcli receive` as a process of its own, with the senders of dcmtk where they are installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore.walk import read_datastore
from tests.cli.conftest import Run
from tests.conftest import HEAD_NECK, PELVIS, Site
from tests.dicom_sender import Sender, data_set, store_command
from tests.phantoms.planning import write_planning_ct
from tests.scripted_peer import fragment, pdu
from tests.tls import Authority
from tests.waiting import PATIENCE, wait_until

dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
posix = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


@dataclass
class Node:
    """A running `drawcli receive`."""

    process: "subprocess.Popen[str]"
    port: int


def environment(site: Site) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(site.folder), "TCP_NODELAY": "1"}


def configure(site: Site, **more: object) -> None:
    facts: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "folder": "store/in",
        "callers": "[STORESCU@127.0.0.1, ECHOSCU@127.0.0.1, CT1@127.0.0.1]",
    }
    lines = [f"  {name}: {value}" for name, value in (facts | more).items()]
    site.add_line("\n".join(["receive:", *lines]))


@contextmanager
def running(site: Site) -> Iterator[Node]:
    """Run `drawcli receive`; it ends well and says nothing but its address."""
    words = [sys.executable, "-m", "drawcli", "receive"]
    with subprocess.Popen(
        words,
        cwd=site.folder,
        env=environment(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on 127.0.0.1:"):
            raise AssertionError(line + process.communicate()[1])
        try:
            yield Node(process, int(line.split(",")[0].rpartition(":")[2]))
        except BaseException:
            process.kill()
            raise
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")


def call(site: Site, program: str, node: Node, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program, "-aec", "DRAWCLI", *words[:-1], "127.0.0.1", str(node.port), *words[-1:]],
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@posix
@dcmtk
def test_a_scan_that_is_pushed_is_found_whole_by_the_next_scan(
    site: Site, drawcli: Run, tmp_path: Path
) -> None:
    sent = write_planning_ct(tmp_path / "scanner", PELVIS, slices=6, size=48)
    configure(site)
    with running(site) as node:
        assert (
            subprocess.run(
                ["echoscu", "-aec", "DRAWCLI", "127.0.0.1", str(node.port)], check=False
            ).returncode
            == 0
        )
        for _ in range(2):
            pushed = call(site, "storescu", node, "+sd", str(tmp_path / "scanner"))
            assert pushed.returncode == 0, pushed.stderr

    found = read_datastore([site.store])
    originals = {str(dcmread(path).SOPInstanceUID): dcmread(path) for path in sent}
    assert sorted(one.sop_uid for one in found.slices) == sorted(originals)
    for one in found.slices:
        assert dcmread(one.path) == originals[one.sop_uid]
    scanned = drawcli("scan", "--json")
    assert scanned.code == 0
    assert "found" in scanned.out


@posix
@dcmtk
def test_an_aborted_push_leaves_only_whole_images(site: Site, tmp_path: Path) -> None:
    write_planning_ct(tmp_path / "scanner", PELVIS, slices=4, size=48)
    configure(site)
    with running(site) as node:
        call(site, "storescu", node, "--abort", "+sd", str(tmp_path / "scanner"))
        call(site, "storescu", node, "-aet", "NOBODY", "+sd", str(tmp_path / "scanner"))
    assert len(read_datastore([site.store]).slices) == 4
    assert list(site.store.rglob("*.part")) == []


@posix
@dcmtk
def test_with_tls_only_callers_with_a_certificate_are_served(site: Site, tmp_path: Path) -> None:
    write_planning_ct(tmp_path / "scanner", PELVIS, slices=2, size=32)
    (tmp_path / "others").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "others")
    cert, key = authority.certificate("127.0.0.1")
    client, client_key = authority.certificate()
    strange, strange_key = other.certificate("x")
    configure(site, tls_cert=cert, tls_key=key, tls_ca=authority.file)
    known = ["+tls", str(client_key), str(client), "+cf", str(authority.file)]
    unknown = ["+tls", str(strange_key), str(strange), "+cf", str(authority.file)]
    source = ["+sd", str(tmp_path / "scanner")]
    with running(site) as node:
        assert call(site, "storescu", node, *unknown, *source).returncode != 0
        assert call(site, "storescu", node, *source).returncode != 0
        anonymous = ["+tla", "+cf", str(authority.file)]
        assert call(site, "storescu", node, *anonymous, *source).returncode != 0
        pushed = call(site, "storescu", node, *known, *source)
        assert pushed.returncode == 0, pushed.stderr
    assert len(read_datastore([site.store]).slices) == 2


@posix
def test_one_listener_for_a_site_and_for_a_folder(site: Site, drawcli: Run) -> None:
    configure(site)
    with running(site):
        second = drawcli("receive")
        assert (second.code, second.out) == (11, "")
        assert "running already" in second.err
        moved = drawcli("receive", DRAWCLI_STATE_DIR="other")
        assert moved.code == 11
        assert "into this folder" in moved.err


@posix
def test_what_a_dead_process_left_is_removed_and_never_scanned(site: Site) -> None:
    configure(site)
    with running(site) as node:
        sender = Sender(node.port)
        assert sender.associate() == 2
        sender.send(pdu("data", fragment(1, store_command("1.2.3"))))
        sender.send_data(data_set("1.2.3", pixels=bytes(400_000)), last=False)
        wait_until(lambda: any(site.store.rglob("*.part")))
        node.process.kill()
        sender.line.close()
        node.process.wait()
        assert len(list(site.store.rglob("*.part"))) == 1
        walked = read_datastore([site.store])
        assert (walked.slices, dict(walked.passed_over)) == ([], {})
        node.process.returncode = 0  # as the frame expects
    with running(site):
        assert list(site.store.rglob("*.part")) == []


def test_check_says_what_is_ready(site: Site, drawcli: Run) -> None:
    configure(site)
    checked = drawcli("receive", "--check", "--json")

    assert checked.code == 0
    assert checked.answer["data"]["running"] is False
    assert "0 objects" not in checked.out
    assert checked.answer["data"]["callers"].startswith("STORESCU@127.0.0.1/32")


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"callers": "[]"}, "receive.callers"),
        ({"folder": "null"}, "receive.folder"),
        ({"folder": "store/no/such"}, "cannot be used"),
        ({"folder": "elsewhere"}, "not in the datastore"),
        ({"listen": "192.0.2.1:11112"}, "cannot listen"),
        ({"tls_cert": "no.pem"}, "cannot use TLS"),
        ({"tls_key": "no.pem"}, "tls_cert"),
        ({"transfer_syntaxes": "[1.2.840.10008.1.2.1.99]"}, "deflated"),
    ],
)
def test_settings_that_cannot_be_used_are_said_before_anything_listens(
    site: Site, drawcli: Run, wrong: dict[str, object], what: str
) -> None:
    configure(site, **wrong)
    for words in (["receive"], ["receive", "--check"]):
        ended = drawcli(*words)
        assert ended.code == 3
        assert what in ended.err


def test_without_room_the_check_fails(site: Site, drawcli: Run) -> None:
    configure(site, keep_free_gib=100_000)
    assert drawcli("receive", "--check").code == 12


@posix
def test_the_log_names_no_patient(site: Site) -> None:
    configure(site)
    with running(site) as node:
        sender = Sender(node.port)
        sender.associate()
        sender.store("1.2.3", data_set("1.2.3"))
        sender.store("1.2.3", data_set("1.2.3", pixels=b"xx"))
        sender.release()
        sender.line.close()
    logged = (site.state / "logs" / "drawcli.log").read_text()
    assert "ae=CT1 end=released requests=2 stored=1 repeated=0 conflict=1" in logged
    kept = [*site.state.rglob("*")]
    for path in (one for one in kept if one.is_file()):
        data = path.read_bytes()
        assert b"Kowalski" not in data
        assert b"1.2.3" not in data
    assert json.loads((site.state / "receive" / "state.json").read_text())["tally"]["stored"] == 1


@posix
def test_two_patients_interleaved_are_two_series(site: Site, tmp_path: Path) -> None:
    files = [
        path
        for pair in zip(
            write_planning_ct(tmp_path / "a", PELVIS, slices=4, size=32),
            write_planning_ct(tmp_path / "b", HEAD_NECK, slices=4, size=32),
            strict=True,
        )
        for path in pair
    ]
    configure(site)
    with running(site) as node:
        sender = Sender(node.port)
        sender.associate()
        for path in files:
            raw = path.read_bytes()
            body = raw[144 + int.from_bytes(raw[140:144], "little") :]
            assert sender.store(str(dcmread(path).SOPInstanceUID), body) == 0
        sender.release()
        sender.line.close()
    assert {len(many) for many in read_datastore([site.store]).by_series().values()} == {4}
