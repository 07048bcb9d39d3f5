"""Whether `drawcli receive` can run, and whether it does: for `receive --check` and `doctor`."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.delivery.folder import check_writable
from drawcli.adapters.dicom_network.listener import bound_socket
from drawcli.adapters.dicom_network.tls import expiry_of
from drawcli.adapters.receive_folder.folder import CONFLICTS, conflicts_in
from drawcli.adapters.state.receive_state import is_listening
from drawcli.config.supported import supported_by
from drawcli.errors import ConfigError, DiskFull
from drawcli.operations.receive.serve import receive_folder, tls_of
from drawcli.system.failures import in_words

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_GIB: Final = 1 << 30
_SOON: Final = timedelta(days=30)


class ReceiveCheck(NamedTuple):
    """What was checked, and what a person should look at."""

    facts: list[tuple[str, str]]
    remarks: list[tuple[str, str]]  # what is wrong, and the remedy
    is_running: bool


def check(settings: "Settings", now: datetime) -> ReceiveCheck:
    """Check folder, space, certificate and port.

    Raises
    ------
    ConfigError
        If it cannot run.
    DiskFull
        If it would refuse every object.
    """
    wanted, folder = settings.receive, receive_folder(settings)
    _check_folder(folder, wanted.keep_free_gib)
    tls_of(wanted)
    is_running = is_listening(settings.state_dir)
    if not is_running:
        bound_socket(*wanted.address).close()
    supported = supported_by(settings)
    facts = [
        ("address", f"{wanted.listen}, AE title {wanted.ae_title}"),
        ("TLS", _tls_text(settings)),
        ("callers", ", ".join(wanted.callers)),
        ("folder", f"{folder}, {shutil.disk_usage(folder).free / _GIB:.1f} GiB free"),
        ("classes", f"{len(supported.storage_classes)} storage classes"),
        ("state", "running" if is_running else "not running"),
    ]
    return ReceiveCheck(facts, list(_remarks(settings, folder, now)), is_running)


def _check_folder(folder: Path, keep_free_gib: float) -> None:
    try:
        check_writable(folder)
        free = shutil.disk_usage(folder).free
    except OSError as err:
        raise ConfigError(
            f"receive.folder {folder} cannot be written: {in_words(err)}",
            code="receive",
            hint="Give the user who runs 'drawcli receive' the permission to write there.",
        ) from None
    if free < keep_free_gib * _GIB:
        raise DiskFull(
            f"less than receive.keep_free_gib = {keep_free_gib:g} GiB are free in {folder}: "
            "every object is refused",
            hint="Free some space; senders try again.",
        )


def _tls_text(settings: "Settings") -> str:
    wanted = settings.receive
    if wanted.tls_cert is None:
        return "off: images cross the network unencrypted"
    who = "callers need a certificate" if wanted.tls_ca else "callers need no certificate"
    return f"until {expiry_of(wanted.tls_cert):%Y-%m-%d}, {who}"


def _remarks(settings: "Settings", folder: Path, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what a person should look at."""
    cert = settings.receive.tls_cert
    if cert is not None and (end := expiry_of(cert)) < now + _SOON:
        word = "expired" if end < now else "expires"
        yield f"the certificate {word} on {end:%Y-%m-%d}", f"Renew {cert}, then restart receive."
    kept = sum(1 for _ in conflicts_in(folder))
    if kept:
        text = f"{kept} received with a known SOP Instance UID and other content, kept apart"
        yield text, f"Compare them with what is stored, then remove {folder / CONFLICTS}"
