"""The system tells that something in the datastore changes: nobody has to look again and again."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from drawcli.errors import ConfigError

CALM_SECONDS: Final = 5.0  # without a change: whoever writes makes a pause
LONGEST_SECONDS: Final = 60.0  # of ongoing changes: then there is something to be looked at
_TICK_MS: Final = 500

_Batches = Generator[set[Any], None, None]


class Changes:
    """The changes in some folders, from now on; none of them is read.

    Where the system cannot tell of all of them (a share, on which others write; too many folders; a
    folder that is not there), `blind` says why, and who waits looks more often.

    Parameters
    ----------
    folders
        The folders of the datastore.
    shares
        The kinds of network shares among them.
    clock
        Seconds, of a clock that is never put back.

    Raises
    ------
    ConfigError
        Where watchfiles is not installed.
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
        """Begin to listen, where that is not so already; what changes from now on is told."""
        if self._batches is not None:
            return
        self.blind = (
            f"a share ({self._shares}) does not tell what others write" if self._shares else ""
        )
        try:
            self._batches = _watch([one for one in self._folders if one.is_dir()])
            next(self._batches)  # only now does it listen
        except StopIteration:
            self._stop("there is no folder to watch")
        except OSError as err:
            self._stop(f"the system does not watch so many folders: {err.strerror or 'its limit'}")

    def wait(self, seconds: float) -> bool:
        """Return True once something has changed and calmed down, or went on for a minute.

        False after `seconds` without a change.
        """
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
        """Listen anew the next time."""
        if self._batches is not None:
            self._batches.close()
        self._batches = None

    def _changed(self) -> bool:
        """Wait for one tick; tell whether anything changed in it."""
        if self._batches is None:
            time.sleep(_TICK_MS / 1000)
            return False
        try:
            return bool(next(self._batches))
        except (StopIteration, OSError):
            self._stop("the system does not tell of changes any more")
            return False

    def _stop(self, why: str) -> None:
        self._batches, self.blind = None, why


def _watch(folders: Sequence[Path]) -> _Batches:
    try:
        from watchfiles import watch
    except ImportError:
        raise ConfigError(
            "--follow needs the package watchfiles",
            hint="Install drawcli with its extra 'follow' (docs/installing.md), or use cron.",
        ) from None
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
