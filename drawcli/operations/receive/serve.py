"""Run the DICOM node of a site until SIGTERM or Ctrl-C. It needs no ledger and no token."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.dicom_network.admission import Admission, max_waiting
from drawcli.adapters.dicom_network.commitments import CommitmentFolder
from drawcli.adapters.dicom_network.listener import DicomListener, bound_socket
from drawcli.adapters.dicom_network.service import Service
from drawcli.adapters.dicom_network.tls import server_tls
from drawcli.adapters.receive_folder.folder import (
    ReceiveFolder,
    locked,
    remove_unfinished,
)
from drawcli.adapters.receive_folder.known_objects import FILE_NAME, KnownObjects
from drawcli.adapters.state.receive_state import (
    FOLDER,
    ReceiveState,
    listening,
    mark_file,
    read_state,
    write_state,
)
from drawcli.config.supported import supported_by, takes_reports
from drawcli.core.dicom_service.tally import Tally
from drawcli.errors import ConfigError, DrawcliError
from drawcli.system.failures import in_words
from drawcli.system.limits import RECEIVE_STOP_SECONDS, RECEIVE_WAITING
from drawcli.system.platforms import fsync_folder, max_open_files
from drawcli.system.threads import DaemonPool

if TYPE_CHECKING:
    import ssl
    from socket import socket

    from drawcli.config.load import Settings
    from drawcli.config.sections_network import Receive

_log = logging.getLogger(__name__)
_GIB: Final = 1 << 30
_THREADS: Final = 8  # that write and sync files


def receive(settings: "Settings", ready: Callable[[str, DicomListener], None]) -> None:
    """Listen until SIGTERM or SIGINT.

    Parameters
    ----------
    settings
        Of the site; `receive` must be configured.
    ready
        Called with the address and the listener once connections are accepted.

    Raises
    ------
    ConfigError
        If the settings cannot be used, or the address is taken.
    AnotherRun
        If another process receives for this site or into this folder.
    """
    wanted, folder = settings.receive, receive_folder(settings)
    tls = tls_of(wanted)
    with (
        listening(settings.state_dir),
        _opened(settings, folder) as store,
        bound_socket(*wanted.address) as waiting,
    ):
        host, port = waiting.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _serve(settings, store, tls, address, partial(_run, waiting, ready, address))


def receive_folder(settings: "Settings") -> Path:
    """Return the folder, created if its parent exists; raise ConfigError if it cannot be used."""
    folder = settings.receive.folder
    if folder is None:
        raise ConfigError(
            "'receive.folder' is not set: drawcli receives nothing",
            code="receive",
            hint="Set receive.folder, a folder of the datastore, and receive.callers.",
        )
    if not settings.receive.callers:
        raise ConfigError(
            "'receive.callers' is empty: nobody may send",
            code="receive",
            hint="Name them with their networks, such as [CT1@10.1.2.0/24].",
        )
    try:
        if not folder.is_dir():
            folder.mkdir()  # in an existing folder only: a share may not be mounted
            fsync_folder(folder.parent)
    except OSError as err:
        hint = "Mount the share, or correct receive.folder."
        text = f"receive.folder {folder} cannot be used: {in_words(err)}"
        raise ConfigError(text, code="receive", hint=hint) from None
    return folder


def tls_of(wanted: "Receive") -> "ssl.SSLContext | None":
    """Return the TLS context of the settings; None for an unencrypted listener."""
    if wanted.tls_cert is None:
        return None
    return server_tls(wanted.tls_cert, wanted.tls_key, wanted.tls_ca)


@contextmanager
def _opened(settings: "Settings", folder: Path) -> Iterator[ReceiveFolder]:
    """Yield the store of a site; nothing unfinished is in it before and after."""
    wanted, state = settings.receive, settings.state_dir / FOLDER
    with locked(folder):
        if left := remove_unfinished(folder):
            _log.warning("receive=start unfinished_removed=%d", left)
        known = KnownObjects(state / FILE_NAME, folder)
        try:
            yield ReceiveFolder(
                folder,
                known,
                keep_free=wanted.keep_free_gib * _GIB,
                most_unfinished=wanted.unfinished_gib * _GIB,
                mark=mark_file(settings.state_dir),
            )
        finally:
            known.close()
            remove_unfinished(folder)


def _serve(
    settings: "Settings",
    store: ReceiveFolder,
    tls: "ssl.SSLContext | None",
    address: str,
    run: Callable[[DicomListener], None],
) -> None:
    """Serve with an open store; keep the state file up to date."""
    wanted, pool = settings.receive, DaemonPool(_THREADS)
    earlier = read_state(settings.state_dir)
    tally = earlier.tally if earlier else Tally()
    tally.open, tally.changed = 0, True
    state = ReceiveState(address, wanted.ae_title, tls is not None, time.time(), tally)
    service = Service(
        ae_title=wanted.ae_title,
        callers=wanted.known_callers,
        supported=supported_by(settings),
        store=store,
        pool=pool,
        first_request_seconds=wanted.first_request_seconds,
        idle_seconds=wanted.idle_seconds,
        largest=int(wanted.largest_gib * _GIB),
        tally=tally,
        reports=CommitmentFolder.of(settings.state_dir) if takes_reports(settings) else None,
    )
    waiting = max_waiting(RECEIVE_WAITING, 2 * wanted.associations, max_open_files())
    admission = Admission(waiting, wanted.associations, wanted.associations_per_address)
    writer = StateWriter(settings.state_dir, state, pool)
    _log.info("receive=start address=%s tls=%s", address, tls is not None)
    run(DicomListener(service, admission, tls, writer.write_later))
    pool.drain(RECEIVE_STOP_SECONDS)
    writer.write()
    _log.info("receive=stop stored=%d", tally.stored)


def _run(
    waiting: "socket",
    ready: Callable[[str, DicomListener], None],
    address: str,
    listener: DicomListener,
) -> None:
    asyncio.run(listener.run(waiting, lambda: ready(address, listener)))


class StateWriter:
    """Writes the state file in a thread, while something changes."""

    def __init__(self, state_dir: Path, state: ReceiveState, pool: DaemonPool) -> None:
        self._state_dir = state_dir
        self._state = state
        self._pool = pool
        self._is_writing = False

    def write_later(self) -> None:
        """Let a thread write the state, if it has changed and none is at it."""
        if self._state.tally.changed and not self._is_writing:
            self._is_writing = True
            self._pool.submit(self._write, self._copy())

    def write(self) -> None:
        """Write the state."""
        self._write(self._copy())

    def _copy(self) -> ReceiveState:
        """Return the state as it is now: the event loop goes on counting."""
        tally = self._state.tally
        tally.changed = False
        return self._state._replace(tally=replace(tally, refused=Counter(tally.refused)))

    def _write(self, state: ReceiveState) -> None:
        """Write a state; an error is logged, and it is written again later."""
        try:
            write_state(self._state_dir, state)
        except (DrawcliError, OSError) as err:
            self._state.tally.changed = True
            _log.warning("receive=state outcome=%s", type(err).__name__)
        finally:
            self._is_writing = False
