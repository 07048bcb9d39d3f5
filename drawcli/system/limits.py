"""The limits of every exchange with the outside: time in total, bytes, and what happens then.

The code takes its limits from this table, and docs/reference/exchanges.md is written from it. A
limit of time is one of the whole exchange, name lookup, connecting and handshake included: the
timeouts of single reads and writes are none, for a peer that sends a byte now and then keeps within
them for ever.
"""

from dataclasses import dataclass
from typing import Final

KB: Final = 1 << 10
MB: Final = 1 << 20
# A transfer may go on as long as it keeps to this rate: a line of half a megabit works.
SLOWEST_BYTES_PER_SECOND: Final = 50_000
REQUEST_TIMEOUTS: Final = 2.0  # times server.timeout_seconds: to be sent, and to be answered
SHARE_ANSWERS: Final = 10.0  # times scan.answer_seconds: disks of a file server may have to spin up
REFUSAL_BYTES: Final = 16 * KB  # of an error's body; the rest is not read
SILENT_IN_A_ROW: Final = 2  # requests without an answer in time, then a step asks no more ...
SILENT_IN_ALL: Final = 4  # ... also where others were answered in between
SENDER_BYTES: Final = 512 * MB  # memory of the process that sends a message
NODE_SECONDS: Final = {  # of each phase of a C-STORE; the answer may come after the file is stored
    "connect": 15.0,
    "associate": 15.0,
    "send": 15.0,
    "answer": 120.0,
    "rest": 15.0,  # of the answer, from its first byte to its last
    "release": 5.0,
}
NODE_ECHO_SECONDS: Final = 15.0  # until a C-ECHO is answered
NODE_BYTES_PER_SECOND: Final = 10_000  # a line that is shared with images
NODE_ANSWER_BYTES: Final = 64 * KB  # of an A-ASSOCIATE-AC, and of all PDUs of one answer
PAGE_HEAD_BYTES: Final = 16 * KB  # of a request to the web page
PAGE_FORM_BYTES: Final = 16 * KB
PAGE_CONNECTIONS: Final = 256  # of the web page, at once; half of them from one network
PAGE_STREAMS: Final = 64  # pages that follow the ledger at once
RUN_HOURS: Final = 6.0  # five packages of 200 MB over the slowest line that works


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limits of one kind of exchange."""

    peer: str
    what: str
    seconds: float  # in total
    setting: str = ""  # what changes the time: "2 x server.timeout_seconds"
    grows: bool = False  # by a second for each `rate` bytes that have moved
    rate: int = SLOWEST_BYTES_PER_SECOND
    largest: int = 0  # bytes that may come in; 0: none are read, or they are bounded elsewhere
    then: str


_REQUEST: Final = REQUEST_TIMEOUTS * 60.0
_TIMEOUT: Final = f"{REQUEST_TIMEOUTS:g} x `server.timeout_seconds`"
_ANSWER: Final = "`scan.answer_seconds`"
_SERVER: Final = "DRAW server"
_BROWSER: Final = "browser"
_LATER: Final = "the job waits and is tried again; held after `server.deadline_hours`"
_RUN_GOES_ON: Final = "a line in the log; the run is not delayed and does not fail"


def _request(what: str, then: str, largest: int = MB, *, grows: bool = False) -> Limit:
    return Limit(
        peer=_SERVER,
        what=what,
        seconds=_REQUEST,
        setting=_TIMEOUT,
        grows=grows,
        largest=largest,
        then=then,
    )


EXCHANGES: Final[dict[str, Limit]] = {
    "health": _request("whether uploads are welcome", "no upload in this run; exit 7"),
    "models": _request("the catalogue", "the command says so; exit 7", 8 * MB),
    "upload": _request(
        "a package",
        "the attempt counts as unanswered and is repeated after 15 minutes; held after 5",
        grows=True,
    ),
    "status": _request("the status of a task", _LATER),
    "rtstruct": _request("a structure set", _LATER, 256 * MB, grows=True),
    "confirm": _request("the confirmation", "the delivered job is confirmed by a later run"),
    "refresh": _request("new tokens", "the old pair stays; a late answer is stored; exit 7"),
    "probe": _request("the look of `doctor`, at the head of an answer", "`doctor` says so", 0),
    "heartbeat": Limit(
        peer="monitor",
        what="the heartbeat; of the answer the status alone is read",
        seconds=5.0,
        then=f"{_RUN_GOES_ON}; the first one is not waited for, the last one after the run's lock",
    ),
    "message": Limit(
        peer="mail relay, chat, webhook",
        what="an alarm or the digest, to all at the same time; each from a process with "
        f"{SENDER_BYTES // MB} MiB of memory",
        seconds=20.0,
        then=f"{_RUN_GOES_ON}; the sending process is ended, the next run sends it again, `doctor` "
        "says since when the recipient takes nothing",
    ),
    "token-command": Limit(
        peer="program of the site",
        what="`server.token_command`, `token_store_command`",
        seconds=30.0,
        largest=128 * KB,
        then="the program and what it started are ended; the run ends with exit 3",
    ),
    "keyring": Limit(
        peer="keyring of the system",
        what="`server.token_keyring`",
        seconds=30.0,
        largest=128 * KB,
        then="the run ends with exit 3",
    ),
    "git": Limit(
        peer="git",
        what="the commit of the rules; a revision for `rules diff`",
        seconds=10.0,
        largest=16 * MB,
        then="the commit is not recorded; `rules diff` says that there is no such revision",
    ),
    "datastore": Limit(
        peer="file server",
        what="the first look at a folder of `datastore`",
        seconds=120.0,
        setting=_ANSWER,
        then="the folder is passed over in this run, the others are scanned; exit 7",
    ),
    "reading": Limit(
        peer="file server",
        what="the next file or folder while a series is scanned, matched, packed or compared",
        seconds=SHARE_ANSWERS * 120.0,
        setting=f"{SHARE_ANSWERS:g} x {_ANSWER}",
        then="the process ends with exit 7; the next run goes on",
    ),
    "delivery": Limit(
        peer="file server",
        what="a structure set into `deliver.folder`, made durable and read back",
        seconds=120.0,
        setting=_ANSWER,
        grows=True,
        then="the job waits with its file; no other is put into that folder in this run; exit 7",
    ),
    "store": Limit(
        peer="DICOM node",
        what="a structure set by C-STORE",
        seconds=sum(NODE_SECONDS.values()),
        grows=True,
        rate=NODE_BYTES_PER_SECOND,
        largest=NODE_ANSWER_BYTES,
        then="the job waits with its file; exit 7",
    ),
    "echo": Limit(
        peer="DICOM node",
        what="a C-ECHO, by `doctor`",
        seconds=sum(NODE_SECONDS.values()) - NODE_SECONDS["answer"] + NODE_ECHO_SECONDS,
        largest=NODE_ANSWER_BYTES,
        then="`doctor` says so",
    ),
    "textfile": Limit(
        peer="file server",
        what="`metrics.textfile`",
        seconds=10.0,
        then=_RUN_GOES_ON,
    ),
    "page-request": Limit(
        peer=_BROWSER,
        what="a request to `drawcli dashboard`, from the connection or the answer before it: TLS, "
        "head, form",
        seconds=10.0,
        largest=PAGE_HEAD_BYTES + PAGE_FORM_BYTES,
        then=f"it is refused and the connection is closed; of {PAGE_CONNECTIONS} connections, or "
        f"{PAGE_CONNECTIONS // 2} of one network, the one that has waited longest is closed for a "
        "new one",
    ),
    "page-answer": Limit(
        peer=_BROWSER,
        what="the time in which a browser does not take what is sent to it",
        seconds=15.0,
        grows=True,
        then="the connection is closed",
    ),
    "page-login": Limit(
        peer=_BROWSER,
        what="a password that waits for its turn",
        seconds=40.0,
        largest=PAGE_FORM_BYTES,
        then="it is not looked at; the page says how long to wait",
    ),
    "page-live": Limit(
        peer=_BROWSER,
        what="a stream that tells an open page of changes",
        seconds=60.0,
        largest=PAGE_HEAD_BYTES,
        then=f"it ends, and the page opens another; above {PAGE_STREAMS} the page says that it is "
        "not live",
    ),
}


def seconds_in_words(limit: Limit) -> str:
    """Return how long an exchange may take, as the table shows it.

    >>> seconds_in_words(EXCHANGES["heartbeat"]), seconds_in_words(EXCHANGES["upload"])
    ('5 s', '120 s (2 x `server.timeout_seconds`) and 1 s for each 50 kB that has moved')
    """
    said = f"{limit.seconds:g} s"
    said += f" ({limit.setting})" if limit.setting else ""
    rate = f"{limit.rate / 1000:g} kB"
    return f"{said} and 1 s for each {rate} that has moved" if limit.grows else said


def bytes_in_words(size: int) -> str:
    """Return a number of bytes as people read it; "" of none.

    >>> bytes_in_words(0), bytes_in_words(128 * KB), bytes_in_words(256 * MB)
    ('', '128 KiB', '256 MiB')
    """
    if not size:
        return ""
    return f"{size // MB} MiB" if size >= MB else f"{size // KB} KiB"
