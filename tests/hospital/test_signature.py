"""A release is signed with a key of the hour, and verified by OpenSSH and by code of its own."""

import base64
import hashlib
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROOT = Path(__file__).parents[2]
NAMESPACE = b"drawcli-release"
FILES = ("drawcli-1.whl", "drawcli-1.tar.gz", "drawcli-sbom.cdx.json", "drawcli-vex.cdx.json")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "ssh-keygen", "sha256sum"))),
    reason="needs make, OpenSSH and sha256sum",
)


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A release that is not signed yet, with a key and its public half beside it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in (*FILES, "drawcli-documents.zip"):
        (folder / name).write_text(name)
    make_key(tmp_path / "key")
    line = (tmp_path / "key.pub").read_text()
    (tmp_path / "signers").write_text(f'releases namespaces="{NAMESPACE.decode()}" {line}')
    return folder


def make_key(path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f", str(path)]
    subprocess.run(words, check=True)


def sign(dist: Path, key: str = "key") -> subprocess.CompletedProcess[str]:
    folder = dist.parent
    words = [f"KEY={folder / key}", f"DIST={dist}", f"SIGNERS={folder / 'signers'}"]
    return subprocess.run(
        ["make", "--no-print-directory", "sign", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def verify(dist: Path) -> bool:
    """Do what the page tells a hospital to do."""
    page = (ROOT / "docs" / "hospital" / "releases.md").read_text(encoding="utf-8")
    commands = page.partition("```sh\n")[2].partition("```")[0]
    shutil.copy(dist.parent / "signers", dist / "allowed_signers")
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=dist, capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def fields(blob: bytes) -> Iterator[bytes]:
    """Yield the strings of an SSH structure."""
    while blob:
        (size,) = struct.unpack_from(">I", blob)
        yield blob[4 : 4 + size]
        blob = blob[4 + size :]


def test_openssh_verifies_a_signed_release(dist: Path) -> None:
    done = sign(dist)

    assert done.returncode == 0, done.stderr
    assert 'Good "drawcli-release" signature for releases' in done.stdout
    sums = (dist / "SHA256SUMS").read_text()
    assert {line.split()[1] for line in sums.splitlines()} == {*FILES, "drawcli-documents.zip"}
    assert verify(dist)


def test_code_that_shares_nothing_with_openssh_verifies_it_too(dist: Path) -> None:
    sign(dist)
    armoured = (dist / "SHA256SUMS.sig").read_text().splitlines()[1:-1]
    blob = base64.b64decode("".join(armoured))
    assert blob[:10] == b"SSHSIG\x00\x00\x00\x01"
    key, namespace, reserved, hashing, signature = fields(blob[10:])
    digest = hashlib.new(hashing.decode(), (dist / "SHA256SUMS").read_bytes()).digest()
    parts = (namespace, reserved, hashing, digest)
    signed = b"SSHSIG" + b"".join(struct.pack(">I", len(one)) + one for one in parts)
    listed = base64.b64decode((dist.parent / "signers").read_text().split()[3])
    public = Ed25519PublicKey.from_public_bytes(list(fields(key))[1])

    assert key == listed
    assert namespace == NAMESPACE
    public.verify(list(fields(signature))[1], signed)
    with pytest.raises(InvalidSignature):
        public.verify(list(fields(signature))[1], signed[:-1] + b"\x00")


@pytest.mark.parametrize("changed", [*FILES, "SHA256SUMS", "SHA256SUMS.sig"])
def test_any_file_that_is_changed_is_found(dist: Path, changed: str) -> None:
    sign(dist)
    content = bytearray((dist / changed).read_bytes())
    content[len(content) // 2] ^= 1
    (dist / changed).write_bytes(content)

    assert not verify(dist)


def test_a_key_that_hospitals_do_not_have_signs_nothing(dist: Path) -> None:
    make_key(dist.parent / "other")

    done = sign(dist, "other")

    assert done.returncode != 0
    assert not (dist / "SHA256SUMS.sig").exists()


@pytest.mark.parametrize("missing", ["signers", "dist/drawcli-vex.cdx.json"])
def test_without_a_known_key_or_a_vex_nothing_is_signed(dist: Path, missing: str) -> None:
    (dist.parent / missing).unlink()

    done = sign(dist)

    assert done.returncode != 0
    assert "docs/hospital/releases.md" in done.stderr or "make vex" in done.stderr
    assert not (dist / "SHA256SUMS.sig").exists()
