"""Sending messages by mail, Teams, Slack, ntfy, webhooks and more, with apprise.

An address contains passwords and tokens, and is never shown, logged or stored: messages name a
recipient by its number and the name of its service.

Most services of apprise have no limit of time or memory. So each message is sent by a separate
process (`send_from_stdin`), which is ended after its time. Address and message go through a pipe,
because all users of the machine can see the arguments of a process.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES, SENDER_BYTES
from drawcli.system.packages import not_installed
from drawcli.system.platforms import is_readable_by_others, limit_memory
from drawcli.system.programs import run_program

if TYPE_CHECKING:
    from drawcli.config.sections_monitoring import Notify

_NAMES: Final = "https://github.com/caronc/apprise/wiki lists the addresses."
_KIND: Final = re.compile(r"[a-z][a-z0-9+.-]{0,19}", re.IGNORECASE)
_TAKEN, _NOT_TAKEN, _NO_PLACE = 0, 1, 3  # exit codes of the sending process
_SENDER: Final = (  # also finds this package if it is not installed
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from drawcli.adapters.notifications import send_from_stdin; sys.exit(send_from_stdin())"
)


class Weight(StrEnum):
    """Importance of a message; the values are apprise's."""

    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


class Message(NamedTuple):
    """A message."""

    title: str
    body: str
    weight: Weight = Weight.INFO


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address for messages."""

    number: int  # of its line, from 1
    url: str = field(repr=False)

    def key(self, salt: str) -> str:
        """Return a digest that identifies the address without revealing it."""
        return hashlib.sha256(f"{salt} {self.url}".encode()).hexdigest()[:16]

    @property
    def masked(self) -> str:
        """Its number and the kind of its address, which says nothing else of it."""
        kind = self.url.partition(":")[0]
        return f"recipient {self.number} ({kind if _KIND.fullmatch(kind) else '?'})"

    @property
    def name(self) -> str:
        """Name for users; raise ConfigError if apprise does not know the service."""
        return f"recipient {self.number} ({_plugin(self).service_name})"

    def send(self, message: Message) -> bool:
        """Send a message; return whether the service accepted it in time.

        Raises
        ------
        ConfigError
            If apprise is not installed, or does not know the service.
        """
        if find_spec("apprise") is None:
            raise _no_apprise()
        letter = {"number": self.number, "url": self.url, **message._asdict()}
        stdin = json.dumps(letter).encode("ascii")
        ended = run_program([sys.executable, "-P", "-c", _SENDER], EXCHANGES["message"], stdin)
        if ended.code == _NO_PLACE:
            raise _unknown_service(self)
        return ended.code == _TAKEN


def recipients_of(settings: "Notify", env: Mapping[str, str] | None = None) -> list[Recipient]:
    """Return the recipients of messages, from the environment and the file.

    Raises
    ------
    ConfigError
        If the file cannot be read, or others can read it.
    """
    from drawcli.config.sections_monitoring import URLS_VARIABLE

    urls = (os.environ if env is None else env).get(URLS_VARIABLE, "").split()
    urls += [] if settings.urls_file is None else _lines(settings.urls_file)
    return [Recipient(number, url) for number, url in enumerate(dict.fromkeys(urls), 1)]


def _lines(path: Path) -> Sequence[str]:
    try:
        if is_readable_by_others(path):
            raise ConfigError(
                f"{path}: others can read it, and it holds passwords",
                hint=f"Run 'chmod 600 {path}'.",
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        text = err.strerror if isinstance(err, OSError) else "is not text"
        raise ConfigError(
            f"{path}: cannot be read: {text}",
            hint="notify.urls_file should name a file with one address of apprise per line.",
        ) from None
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def _plugin(recipient: Recipient) -> Any:
    """Return apprise's plugin for a recipient."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        raise _no_apprise() from None
    own = AppriseAsset(app_id="drawcli", app_desc="drawcli", app_url="", image_url_mask="")
    plugin = Apprise.instantiate(recipient.url, asset=own, suppress_exceptions=True)
    if plugin is None:
        raise _unknown_service(recipient)
    return plugin


def _no_apprise() -> ConfigError:
    return not_installed("notify", "notify", code="no-apprise")


def _unknown_service(recipient: Recipient) -> ConfigError:
    return ConfigError(
        f"recipient {recipient.number} of notify: apprise does not know this kind of address",
        code="no-place",
        hint=f"Correct that line. {_NAMES}",
    )


def send_from_stdin() -> int:
    """Send the message on standard input; return the exit code."""
    limit_memory(SENDER_BYTES)
    letter = json.load(sys.stdin)
    try:
        plugin = _plugin(Recipient(letter["number"], letter["url"]))
    except ConfigError:
        return _NO_PLACE
    from apprise import Apprise, NotifyFormat

    sender = Apprise()
    sender.add(plugin)
    is_taken = sender.notify(
        body=letter["body"],
        title=letter["title"],
        notify_type=letter["weight"],
        body_format=NotifyFormat.TEXT,
    )
    return _TAKEN if is_taken else _NOT_TAKEN
