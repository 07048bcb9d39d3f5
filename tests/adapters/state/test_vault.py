import errno
import stat
from pathlib import Path

import pytest

from drawcli.adapters.state.vault import Vault
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.errors import NeedsPerson, TryLater

KEY, KEY_ID = bytes(range(32)), "01234567"
JOB = "0123456789ab-1"
CROSSWALK = Crosswalk(
    series_uid="1.2.826.0.1.999.1",
    study_uid="1.2.826.0.1.999.2",
    patient_id="MRN-IN-7734021",
    patient_name="Lindqv\udced" + "st^Asa",  # a byte beyond ASCII, as the scan keeps it
    files=(SourceFile("/store/Lindqvist \udcff/1.dcm", 524_288, 1_700_000_000_000, "1.2.3"),),
    pseudonym="DEID-ABCDEFGHIJKLMNOP",
    uids={"2.25.1": "1.2.826.0.1.999.1"},
    dates={"20250101": "20260314"},
    identity={0x00100010: b"Lindqv\xedst^\xc5sa", 0x00100030: b""},
    character_set=b"ISO_IR 100",
)


@pytest.fixture
def vault() -> Vault:
    return Vault(KEY, KEY_ID)


def test_a_sealed_crosswalk_is_opened_unchanged(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)

    assert Vault(KEY, KEY_ID).open(tmp_path, JOB) == CROSSWALK


def test_the_file_contains_no_plain_text(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)

    raw = (tmp_path / "vault").read_bytes()
    for word in (
        b"Lindqv",
        b"7734021",
        b"999.1",
        b"20260314",
        b"store",
        b"DEID",
        KEY,
        KEY.hex().encode(),
    ):
        assert word not in raw
    assert raw.startswith(b"drawcli vault 1\n01234567")
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o600


def test_each_seal_of_the_same_content_differs(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)
    first = (tmp_path / "vault").read_bytes()

    vault.seal(tmp_path, JOB, CROSSWALK)

    second = (tmp_path / "vault").read_bytes()
    assert first[24:36] != second[24:36]
    assert first[36:] != second[36:]


def test_another_site_key_is_distinguished_from_damage(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)

    with pytest.raises(NeedsPerson, match="another site key") as caught:
        Vault(bytes(32), "76543210").open(tmp_path, JOB)

    assert caught.value.code == "vault-key"


def test_a_key_that_only_claims_to_be_the_right_one_opens_nothing(
    tmp_path: Path, vault: Vault
) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)

    with pytest.raises(NeedsPerson) as caught:
        Vault(bytes(32), KEY_ID).open(tmp_path, JOB)

    assert caught.value.code == "vault-damaged"


def test_the_vault_of_one_job_does_not_open_for_another(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)

    for other in ("0123456789ab-2", "0123456789ab-11", ""):
        with pytest.raises(NeedsPerson) as caught:
            vault.open(tmp_path, other)
        assert caught.value.code == "vault-damaged"


def test_every_flipped_byte_is_refused(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)
    path = tmp_path / "vault"
    whole = path.read_bytes()

    for place in [*range(40), *range(40, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(NeedsPerson) as caught:
            vault.open(tmp_path, JOB)
        assert caught.value.code == ("vault-key" if 16 <= place < 24 else "vault-damaged")


def test_a_truncated_vault_is_damaged_wherever_it_ends(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)
    path = tmp_path / "vault"
    whole = path.read_bytes()

    for length in [*range(16), *range(24, 40), *range(40, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(NeedsPerson) as caught:
            vault.open(tmp_path, JOB)
        assert caught.value.code == "vault-damaged"


def test_a_missing_vault_is_reported_as_missing(tmp_path: Path, vault: Vault) -> None:
    with pytest.raises(NeedsPerson) as caught:
        vault.open(tmp_path, JOB)

    assert caught.value.code == "vault-missing"


def test_a_vault_that_cannot_be_read_is_retried(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    vault.seal(tmp_path, JOB, CROSSWALK)
    monkeypatch.setattr(Path, "read_bytes", fail)

    with pytest.raises(TryLater, match="cannot be read: Input/output error"):
        vault.open(tmp_path, JOB)


def test_no_error_of_the_vault_contains_patient_data_or_paths(tmp_path: Path, vault: Vault) -> None:
    vault.seal(tmp_path, JOB, CROSSWALK)
    (tmp_path / "vault").write_bytes((tmp_path / "vault").read_bytes()[:-1])

    with pytest.raises(NeedsPerson) as caught:
        vault.open(tmp_path, JOB)

    said = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert "Lindqv" not in said
    assert str(tmp_path) not in said
    assert caught.value.__cause__ is None
