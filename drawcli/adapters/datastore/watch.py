"""Change events of the operating system for the folders of the datastore."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from drawcli.system.packages import not_installed

CALM_SECONDS: Final = 5.0  # without a change, then `wait` returns
LONGEST_SECONDS: Final = 60.0  # of ongoing changes, then `wait` returns
_TICK_MS: Final = 500

_Batches = Generator[set[Any], None, None]


class Changes:
    """Changes in folders from now on.

    `blind` is the reason if the system does not report all changes: a network share, too many
    folders, a missing folder. Then the caller scans more often.

    Parameters
    ----------
    folders
        The folders of the datastore.
    shares
        The kinds of network shares among them.
    clock
        A monotonic clock, seconds.

    Raises
    ------
    ConfigError
        If watchfiles is not installed.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        shares: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = folders
        self._shares = ", ".join(sorted(shares))
        self._clock = clock
        self._batches: _Batches | None = None
        self.blind = ""
        self.listen()

    def listen(self) -> None:
        """Begin to listen, unless already listening."""
        if self._batches is not None:
            return
        self.blind = (
            f"a share ({self._shares}) does not report changes by other machines"
            if self._shares
            else ""
        )
        try:
            self._batches = _watch([folder for folder in self._folders if folder.is_dir()])
            next(self._batches)  # begins to listen
        except StopIteration:
            self._stop("there is no folder to watch")
        except OSError as err:
            self._stop(f"the system cannot watch so many folders: {err.strerror or 'its limit'}")

    def wait(self, seconds: float) -> bool:
        """Wait for a change, and until it has ended or lasts a minute; False if there is none."""
        deadline, first, last = self._clock() + seconds, None, 0.0
        while True:
            changed, now = self._changed(), self._clock()
            if changed:
                first, last = first or now, now
            if first is not None and (now - last >= CALM_SECONDS or now - first >= LONGEST_SECONDS):
                return True
            if first is None and now >= deadline:
                return False

    def forget(self) -> None:
        """Stop listening; `listen` begins again."""
        if self._batches is not None:
            self._batches.close()
        self._batches = None

    def _changed(self) -> bool:
        """Wait for one tick; return whether anything changed in it."""
        if self._batches is None:
            time.sleep(_TICK_MS / 1000)
            return False
        try:
            return bool(next(self._batches))
        except (StopIteration, OSError):
            self._stop("the system no longer reports changes")
            return False

    def _stop(self, why: str) -> None:
        self._batches, self.blind = None, why


def _watch(folders: Sequence[Path]) -> _Batches:
    try:
        from watchfiles import watch
    except ImportError:
        raise not_installed("--follow", "follow", or_else="Or use cron.") from None
    if not folders:
        return (set[Any]() for _ in ())
    return watch(
        *folders,
        watch_filter=None,
        debounce=_TICK_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        force_polling=False,
        ignore_permission_denied=True,
    )
