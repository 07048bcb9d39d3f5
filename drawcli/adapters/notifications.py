"""Where messages to persons go: mail, Teams, Slack, ntfy, webhooks and more, by apprise.

An address holds passwords and tokens. None is ever shown, logged or stored: a place is called by
its number and by the name of its service.

apprise has a hundred ways to the network, and no limit to the time or the memory of most of them.
A thread cannot be ended, and its memory is ours. So each message is sent by a process of its own
(`send_given`), which is ended when its time is over. The address and the message go through a pipe:
the words of a process are seen by all users of the machine.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES, SENDER_BYTES
from drawcli.system.platforms import is_readable_by_others, limit_memory
from drawcli.system.programs import run_program

if TYPE_CHECKING:
    from drawcli.config.sections_monitoring import Notify

_NAMES: Final = "https://github.com/caronc/apprise/wiki lists what may stand there."
_TAKEN, _NOT_TAKEN, _NO_PLACE = 0, 1, 3  # how the process that sends ends
_SENDER: Final = (  # finds this package where it is, also where it is not installed
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from drawcli.adapters.notifications import send_given; sys.exit(send_given())"
)


class Weight(StrEnum):
    """How a message is marked where its service can do so; the values are apprise's."""

    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told."""

    title: str
    body: str
    weight: Weight = Weight.INFO


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where messages go."""

    number: int  # of its line, from 1
    url: str = field(repr=False)

    def key(self, salt: str) -> str:
        """Return what tells this place from others in a file, and nothing of its address."""
        return hashlib.sha256(f"{salt} {self.url}".encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """What it is called to persons; raise ConfigError where there is no such service."""
        return f"place {self.number} ({_plugin(self).service_name})"

    def send(self, message: Message) -> bool:
        """Send a message; tell whether it was taken in time.

        Raises
        ------
        ConfigError
            Where apprise is not installed, or does not know such an address.
        """
        if find_spec("apprise") is None:
            raise _no_apprise()
        letter = {"number": self.number, "url": self.url, **asdict(message)}
        given = json.dumps(letter).encode("ascii")
        ended = run_program([sys.executable, "-P", "-c", _SENDER], EXCHANGES["message"], given)
        if ended.code == _NO_PLACE:
            raise _no_place(self)
        return ended.code == _TAKEN


def places_of(settings: "Notify", env: Mapping[str, str] | None = None) -> list[Recipient]:
    """Return where messages go; none where nothing is set up.

    Raises
    ------
    ConfigError
        Where the file cannot be read, or others can read it.
    """
    from drawcli.config.sections_monitoring import URLS_VARIABLE

    given = (os.environ if env is None else env).get(URLS_VARIABLE, "").split()
    given += [] if settings.urls_file is None else _lines(settings.urls_file)
    return [Recipient(number, url) for number, url in enumerate(dict.fromkeys(given), 1)]


def _lines(path: Path) -> Sequence[str]:
    try:
        if is_readable_by_others(path):
            raise ConfigError(
                f"{path}: others can read it, and it holds passwords",
                hint=f"Run 'chmod 600 {path}'.",
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        what = err.strerror if isinstance(err, OSError) else "is not text"
        raise ConfigError(
            f"{path}: cannot be read: {what}",
            hint="notify.urls_file should name a file with one address of apprise a line.",
        ) from None
    words = (line.strip() for line in lines)
    return [word for word in words if word and not word.startswith("#")]


def _plugin(place: Recipient) -> Any:
    """Return what sends to a place."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        raise _no_apprise() from None
    own = AppriseAsset(app_id="drawcli", app_desc="drawcli", app_url="", image_url_mask="")
    plugin = Apprise.instantiate(place.url, asset=own, suppress_exceptions=True)
    if plugin is None:
        raise _no_place(place)
    return plugin


def _no_apprise() -> ConfigError:
    return ConfigError(
        "messages are to be sent, and the package apprise is not installed",
        code="no-apprise",
        hint="Install drawcli with its extra 'notify': see docs/installing.md.",
    )


def _no_place(place: Recipient) -> ConfigError:
    return ConfigError(
        f"place {place.number} of notify: apprise knows no such address",
        code="no-place",
        hint=f"Look for a slip in that line. {_NAMES}",
    )


def send_given() -> int:
    """Send the message on standard input from this process; return how the process should end."""
    limit_memory(SENDER_BYTES)
    letter = json.load(sys.stdin)
    try:
        plugin = _plugin(Recipient(letter["number"], letter["url"]))
    except ConfigError:
        return _NO_PLACE
    from apprise import Apprise, NotifyFormat

    way = Apprise()
    way.add(plugin)
    taken = way.notify(
        body=letter["body"],
        title=letter["title"],
        notify_type=letter["weight"],
        body_format=NotifyFormat.TEXT,
    )
    return _TAKEN if taken else _NOT_TAKEN
