"""The folder that pulled series go to, and the archive that a source names."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.receive_folder.folder import ReceiveFolder, locked, remove_unfinished
from drawcli.adapters.receive_folder.known_objects import KnownObjects
from drawcli.adapters.state.pull_records import FOLDER
from drawcli.adapters.state.receive_state import is_listening, mark_file
from drawcli.config.supported import supported_by
from drawcli.core.protocol.dicom_address import parse_node
from drawcli.errors import OutOfReach
from drawcli.system.failures import in_words
from drawcli.system.platforms import fsync_folder

if TYPE_CHECKING:
    from drawcli.adapters.archive.archive import ImageArchive
    from drawcli.adapters.archive.dimse_archive import DimseArchive
    from drawcli.adapters.archive.web_archive import WebArchive
    from drawcli.config.load import Settings
    from drawcli.config.sections_pull import PullSource

_GIB: Final = 1 << 30


@contextmanager
def open_store(settings: "Settings", folder: Path) -> Iterator[ReceiveFolder]:
    """Open the folder of a source; nothing unfinished is in it before and after.

    Raises
    ------
    OutOfReach
        If it cannot be used.
    AnotherRun
        If another process writes into it.
    """
    state = settings.state_dir / FOLDER
    name = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    try:
        if not folder.is_dir():
            folder.mkdir()  # in an existing folder only: a share may not be mounted
            fsync_folder(folder.parent)
        with locked(folder):
            remove_unfinished(folder)
            known = KnownObjects(state / f"known-{name}.sqlite", folder)
            try:
                yield ReceiveFolder(
                    folder,
                    known,
                    keep_free=settings.receive.keep_free_gib * _GIB,
                    most_unfinished=settings.receive.unfinished_gib * _GIB,
                    mark=mark_file(settings.state_dir),
                )
            finally:
                known.close()
                remove_unfinished(folder)
    except OSError as err:
        raise OutOfReach(
            f"the folder of a source of 'pull' cannot be used: {in_words(err)}",
            code="pull-folder",
            hint="Mount the share, or correct 'folder'; the user who runs drawcli must be able to "
            "write there.",
        ) from None


Tick = Callable[[], None]  # called before each query and object; may raise TryLater


def open_archive(source: "PullSource", settings: "Settings", tick: Tick) -> "ImageArchive":
    """Return the archive of a source; nothing is sent yet.

    Raises
    ------
    ConfigError
        If an extra is not installed, or the files of `tls` or a token cannot be used.
    """
    if source.dicomweb:
        return open_web(source, settings, tick)
    return open_node(source, settings, tick)


def open_web(source: "PullSource", settings: "Settings", tick: Tick) -> "WebArchive":
    """Return an archive by DICOMweb; raise ConfigError as `open_archive`."""
    from drawcli.adapters.archive.web_archive import WebArchive
    from drawcli.adapters.dicom_web.web_client import WebTarget

    largest = int(settings.receive.largest_gib * _GIB)
    web = WebTarget.of(source, source.dicomweb)
    return WebArchive(source.dicomweb, web, supported_by(settings), largest, tick)


def open_node(source: "PullSource", settings: "Settings", tick: Tick) -> "DimseArchive":
    """Return an archive as a DICOM node; raise ConfigError as `open_archive`."""
    from drawcli.adapters.archive.dimse_archive import DimseArchive, check_installed
    from drawcli.system.network.client_tls import TlsFiles, client_context

    check_installed()
    tls = source.tls
    return DimseArchive(
        node=parse_node(source.node),
        calling=source.ae_title,
        supported=supported_by(settings),
        largest=int(settings.receive.largest_gib * _GIB),
        tick=tick,
        tls=None if tls is None else client_context(TlsFiles(tls.ca_file, tls.cert, tls.key)),
        destination=settings.receive.ae_title,
    )


def check_receiver(settings: "Settings") -> None:
    """Raise OutOfReach unless `drawcli receive` runs, which a C-MOVE needs."""
    if not is_listening(settings.state_dir):
        raise OutOfReach(
            "'drawcli receive' is not running: an archive can send nothing by C-MOVE",
            code="pull-receiver",
            hint="Start its service, or take 'by: get'.",
        )
