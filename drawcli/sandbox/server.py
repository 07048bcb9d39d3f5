"""Start and stop a sandbox: on loopback only, in this process or in a thread of it."""

import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from drawcli.errors import UsageError
from drawcli.sandbox.accounts import Accounts, TokenPair
from drawcli.sandbox.api import ApiParts, refusal, routes
from drawcli.sandbox.demo import scan_patients
from drawcli.sandbox.fault_injection import FaultlessServer
from drawcli.sandbox.faults import Panel
from drawcli.sandbox.middleware import SandboxMiddleware
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dicomweb import dicomweb_routes
from drawcli.sandbox.pacs.options import LOOPBACK
from drawcli.sandbox.tasks import Tasks
from drawcli.sandbox.whole_files import prepare
from drawcli.sandbox.worker import Worker

if TYPE_CHECKING:
    from drawcli.sandbox.pacs.dimse import PacsServer

_GRACE_SECONDS: Final = 2


class Sandbox:
    """A sandbox in a folder: its state, its worker, and its ASGI application.

    The first start writes `token.json` into the folder, the token file of a client. Close it after
    use.
    """

    def __init__(self, folder: Path, options: SandboxOptions | None = None) -> None:
        self.folder = folder
        self.options = options or SandboxOptions()
        faults = self.options.faults
        self.requests: Counter[str] = Counter()  # by endpoint, see `middleware`
        prepare(folder)
        accounts_file = folder / "accounts.json"
        first_start = not accounts_file.exists()
        self.accounts = Accounts(accounts_file, lifetime=self.options.token_lifetime)
        self.token_file = folder / "token.json"
        if first_start:
            self.new_pair().write(self.token_file)
        self.tasks = Tasks(folder / "tasks")
        self.worker = Worker(self.tasks, self.options)
        self.panel = Panel(tuple(each for each in faults if not each.is_of_archive))
        self.archive_panel = Panel(tuple(each for each in faults if each.is_of_archive))
        self.archive = self._opened_archive()
        self.app = self._application()

    def new_pair(self, client_id: str = "sandbox") -> TokenPair:
        """Return new tokens for a client; its old ones become invalid."""
        return self.accounts.first_pair(client_id)

    def close(self) -> None:
        """Stop the worker."""
        self.worker.close()

    def _opened_archive(self) -> PacsArchive | None:
        """Return the archive; the first start writes the phantoms into it."""
        pacs = self.options.pacs
        if pacs is None:
            return None
        folder, part = self.folder / "pacs", self.folder / "pacs.part"
        if not folder.exists():
            shutil.rmtree(part, ignore_errors=True)  # of a start that was interrupted
            scan_patients(part, pacs.slices, pacs.size, lambda _line: None)
            part.rename(folder)
        return PacsArchive(folder)

    def _application(self) -> SandboxMiddleware:
        endpoints = routes(strict=self.options.strict)
        if self.archive is not None:
            endpoints += dicomweb_routes(self.archive, self.archive_panel)
        app = Starlette(
            routes=endpoints,
            exception_handlers={HTTPException: refusal, ClientDisconnect: refusal},
        )
        app.router.redirect_slashes = False
        app.state.parts = ApiParts(self.accounts, self.tasks, self.worker, self.options)
        acts = {
            "expire": self.accounts.expire,
            "lockout": self.accounts.close_all,
            "forget": self.tasks.forget,
        }
        server = FaultlessServer(app, acts)
        return SandboxMiddleware(server, self.panel, endpoints=endpoints, requests=self.requests)


class Running:
    """A sandbox that is served at a URL."""

    def __init__(self, sandbox: Sandbox, url: str, pacs: "PacsServer | None" = None) -> None:
        self.sandbox = sandbox
        self.pacs = pacs
        self.url = url
        self.folder = sandbox.folder
        self.token_file = sandbox.token_file
        self.requests = sandbox.requests


def serve(
    folder: Path,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    options: SandboxOptions | None = None,
    ready: Callable[[Running], None] | None = None,
) -> None:
    """Serve a sandbox until the process is interrupted.

    Parameters
    ----------
    folder
        The folder of its tasks and accounts, which a second start uses again.
    port, host
        The address; port 0 takes a free one, and only loopback hosts are allowed.
    options
        Its behaviour.
    ready
        Called once it can be reached.

    Raises
    ------
    UsageError
        If the host is not loopback, or the port is in use.
    """
    with (
        _listening(host, port) as (listener, url),
        closing(Sandbox(folder, options)) as sandbox,
        _pacs_of(sandbox) as pacs,
    ):
        if ready is not None:
            ready(Running(sandbox, url, pacs))
        _server(sandbox).run(sockets=[listener])


@contextmanager
def running(
    folder: Path, *, port: int = 0, options: SandboxOptions | None = None
) -> Iterator[Running]:
    """Serve a sandbox in a thread during a `with` block."""
    with (
        _listening("127.0.0.1", port) as (listener, url),
        closing(Sandbox(folder, options)) as sandbox,
        _pacs_of(sandbox) as pacs,
    ):
        server = _server(sandbox)
        thread = Thread(target=server.run, args=([listener],), name="sandbox-server")
        thread.start()
        try:
            while thread.is_alive() and not server.started:
                sleep(0.005)
            yield Running(sandbox, url, pacs)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _pacs_of(sandbox: Sandbox) -> Iterator["PacsServer | None"]:
    """Serve the archive of a sandbox by the DICOM network, if it has one."""
    pacs = sandbox.options.pacs
    if pacs is None or sandbox.archive is None:
        yield None
        return
    from drawcli.sandbox.pacs.dimse import PacsServer

    with closing(PacsServer(sandbox.archive, pacs, sandbox.archive_panel)) as server:
        yield server


@contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """Bind a socket on loopback; yield it and its URL."""
    if host not in LOOPBACK:
        raise UsageError(
            "the sandbox listens on loopback only", hint="Leave the host at 127.0.0.1."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as err:
        raise UsageError(f"port {port} cannot be opened", hint="Choose another port.") from err
    with listener:
        shown = f"[{host}]" if ":" in host else host
        yield listener, f"http://{shown}:{listener.getsockname()[1]}"


def _server(sandbox: Sandbox) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            sandbox.app,
            lifespan="off",
            loop="asyncio",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
