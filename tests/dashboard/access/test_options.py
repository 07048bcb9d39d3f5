"""What is refused before a socket is opened."""

from pathlib import Path

import pytest

from drawcli.dashboard.access.options import DashboardOptions
from drawcli.errors import UsageError


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "cert.pem"
    path.write_text("-")
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "planning-7"])  # noqa: S104
def test_another_address_needs_a_password_and_tls(host: str, pem: Path) -> None:
    with pytest.raises(UsageError, match="no password is set"):
        DashboardOptions(host=host, tls_cert=pem, names=("a",)).check(secret=False)
    with pytest.raises(UsageError, match="sent unencrypted"):
        DashboardOptions(host=host, names=("a",)).check(secret=True)

    DashboardOptions(host=host, tls_cert=pem, names=("a",)).check(secret=True)


def test_every_address_needs_a_name(pem: Path) -> None:
    with pytest.raises(UsageError, match="no name is given"):
        DashboardOptions(host="0.0.0.0", tls_cert=pem).check(secret=True)  # noqa: S104


@pytest.mark.parametrize("more", ["allow_actions", "identify"])
def test_to_act_or_to_see_patients_needs_a_password_even_here(more: str) -> None:
    options = DashboardOptions(**{more: True})  # type: ignore[arg-type] # one flag by its name

    with pytest.raises(UsageError, match="needs a password"):
        options.check(secret=False)
    options.check(secret=True)


def test_tls_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        DashboardOptions(tls_cert=tmp_path / "none.pem").check(secret=True)
    with pytest.raises(UsageError, match="without --tls-cert"):
        DashboardOptions(tls_key=tmp_path / "none.pem").check(secret=True)


def test_only_own_names_are_answered_to() -> None:
    assert DashboardOptions().hosts == {"127.0.0.1", "localhost", "[::1]"}
    assert DashboardOptions(host="0.0.0.0", names=("Draw.Hospital",)).hosts == {"draw.hospital"}  # noqa: S104
    assert DashboardOptions(host="10.1.2.3").hosts == {"10.1.2.3"}
