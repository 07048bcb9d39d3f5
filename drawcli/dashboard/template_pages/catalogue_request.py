"""The server's catalogue, asked for from the page: in a thread, one request at a time."""

import logging
from threading import Event, Lock, Thread
from typing import Final

from drawcli.authoring.server_catalogue import pull_catalogue
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import DrawcliError

_log = logging.getLogger(__name__)
PATIENCE_SECONDS: Final = 5.0  # of the page; the request continues within its limits


class CatalogueRequest:
    """The request of the server's catalogue; safe for any number of threads.

    Parameters
    ----------
    site
        The site whose server is asked.
    """

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()
        self._ended = Event()
        self._ended.set()
        self.problem = ""  # of the last request

    @property
    def is_running(self) -> bool:
        """Whether the server has not answered yet."""
        return not self._ended.is_set()

    def ask(self) -> bool:
        """Ask the server, unless somebody does already; return whether it has answered."""
        with self._lock:
            if not self.is_running:
                self._ended.clear()
                self.problem = ""
                Thread(target=self._run, name="catalogue", daemon=True).start()
        return self._ended.wait(PATIENCE_SECONDS)

    def _run(self) -> None:
        problem = "the answer could not be stored; see the log"
        try:
            with self._site.reopen() as ctx:
                pull_catalogue(ctx)
            problem = ""
        except DrawcliError as err:
            problem = f"{err}. {err.hint}".strip()
        finally:
            _log.info("catalogue=%s from=page", "failed" if problem else "stored")
            self.problem = problem
            self._ended.set()
