"""The limits of every exchange with other systems: total time, bytes, and the consequence.

The code takes its limits from this table, and docs/reference/exchanges.md is generated from it. A
time limit covers the whole exchange with name lookup, connecting and handshake: a peer that sends
a byte now and then never exceeds the timeouts of single reads and writes.
"""

from typing import Final

from drawcli.system.network.cluster_limits import CLUSTER_EXCHANGES
from drawcli.system.network.limit import KB, MB, Limit

REQUEST_TIMEOUTS: Final = 2.0  # times server.timeout_seconds: one to send, one for the answer
SHARE_ANSWERS: Final = 10.0  # times scan.answer_seconds: disks of a file server may have to spin up
REFUSAL_BYTES: Final = 16 * KB  # read of the body of an error
SILENT_IN_A_ROW: Final = 2  # unanswered requests after which a step stops ...
SILENT_IN_ALL: Final = 4  # ... also if others between them were answered
SENDER_BYTES: Final = 512 * MB  # memory of the process that sends a message
NODE_SECONDS: Final = {  # of each phase of a C-STORE; a node may answer after storing the file
    "connect": 15.0,
    "associate": 15.0,
    "send": 15.0,
    "answer": 120.0,
    "rest": 15.0,  # from the first byte of the answer to the last
    "release": 5.0,
}
NODE_REPORT_SECONDS: Final = 5.0  # for a report of commitment in the association of the request
NODE_ECHO_SECONDS: Final = 15.0  # until a C-ECHO is answered
NODE_BYTES_PER_SECOND: Final = 10_000  # the line also carries images
NODE_ANSWER_BYTES: Final = 64 * KB  # of an A-ASSOCIATE-AC, and of all PDUs of one answer
PAGE_HEAD_BYTES: Final = 16 * KB  # of a request to the dashboard
PAGE_FORM_BYTES: Final = 16 * KB
PAGE_EDIT_BYTES: Final = 128 * KB  # of a form with the text of a rule or template
PAGE_MANY_BYTES: Final = 64 * KB  # of a form with many jobs
PAGE_CONNECTIONS: Final = 256  # to the dashboard at once; at most half of them from one network
PAGE_STREAMS: Final = 64  # event streams at once
RECEIVE_PDU_BYTES: Final = 128 * KB  # of an A-ASSOCIATE-RQ, and of a P-DATA-TF
RECEIVE_COMMAND_BYTES: Final = 16 * KB  # of the command set of a request
RECEIVE_REQUEST_SECONDS: Final = 10.0  # from the connection, with TLS, to the whole request
RECEIVE_STALL_SECONDS: Final = 15.0  # for a PDU, and for an answer to be read
RECEIVE_OBJECT_SECONDS: Final = 30.0  # for a request with its data set
RECEIVE_BYTES_PER_SECOND: Final = NODE_BYTES_PER_SECOND  # each adds a second for so many bytes
RECEIVE_SMALL_BYTES: Final = 64
RECEIVE_SMALL_FRAGMENTS: Final = 1000  # of fewer bytes than that, in one message
RECEIVE_FOLDER_SECONDS: Final = 120.0  # for the folder to write a block, or to finish an object
RECEIVE_WAITING: Final = 256  # connections without an association, at once
RECEIVE_STOP_SECONDS: Final = 10.0  # for objects that are being received, at the end
RECEIVE_CONFLICTS: Final = 1000  # objects of a known UID with other bytes that are kept
QA_SECONDS: Final = 60.0  # no pair is begun later, and no folder read further, in a run
PAIR_SECONDS: Final = 180.0  # of one pair of structure sets; usual ones take a few
RUN_HOURS: Final = 6.0  # five packages of 200 MB over the slowest line


_REQUEST: Final = REQUEST_TIMEOUTS * 60.0
_TIMEOUT: Final = f"{REQUEST_TIMEOUTS:g} x `server.timeout_seconds`"
_ANSWER: Final = "`scan.answer_seconds`"
_SERVER: Final = "DRAW server"
_BROWSER: Final = "browser"
_SCANNER: Final = "scanner"
_LATER: Final = "the job is tried again; held after `server.deadline_hours`"
_RUN_GOES_ON: Final = "a line in the log; the run is not delayed and does not fail"


def _request(content: str, consequence: str, largest: int = MB, *, grows: bool = False) -> Limit:
    return Limit(
        peer=_SERVER,
        content=content,
        seconds=_REQUEST,
        setting=_TIMEOUT,
        grows=grows,
        largest=largest,
        consequence=consequence,
    )


EXCHANGES: Final[dict[str, Limit]] = {
    "health": _request("whether it accepts uploads", "no upload in this run; exit 7"),
    "models": _request("the catalogue", "the command reports it; exit 7", 8 * MB),
    "upload": _request(
        "a package",
        "the upload is repeated after 15 minutes; held after 5 unanswered uploads",
        grows=True,
    ),
    "status": _request("the status of a task", _LATER),
    "rtstruct": _request("a structure set", _LATER, 256 * MB, grows=True),
    "confirm": _request("the confirmation", "a later run confirms the delivered job"),
    "refresh": _request("new tokens", "the old pair stays; a late answer is stored; exit 7"),
    "probe": _request("a check by `doctor`, of response headers only", "`doctor` reports it", 0),
    "heartbeat": Limit(
        peer="monitor",
        content="the heartbeat; only the status of the answer is read",
        seconds=5.0,
        consequence=f"{_RUN_GOES_ON}; no wait for the first, for the last after the run's lock",
    ),
    "message": Limit(
        peer="mail relay, chat, webhook",
        content="an alarm or the digest, to all recipients at once; each from a process with "
        f"{SENDER_BYTES // MB} MiB of memory",
        seconds=20.0,
        consequence=f"{_RUN_GOES_ON}; the sending process is killed, the next run sends it again, "
        "`doctor` shows since when the recipient accepts nothing",
    ),
    "login": Limit(
        "identity provider", "its addresses, its keys, a code", "no login", 10.0, largest=256 * KB
    ),
    "token-command": Limit(
        peer="program of the site",
        content="`server.token_command`, `token_store_command`, and each other command in the "
        "settings that prints a secret",
        seconds=30.0,
        largest=128 * KB,
        consequence="the program and its child processes are killed; the run exits with 3",
    ),
    "keyring": Limit(
        "keyring of the system", "`server.token_keyring`", "exit 3", 30.0, largest=128 * KB
    ),
    "git": Limit(
        peer="git",
        content="the commit of the rules; a revision for `rules diff`",
        seconds=10.0,
        largest=16 * MB,
        consequence="the commit is not recorded; `rules diff` reports an unknown revision",
    ),
    "git-commit": Limit(
        peer="git",
        content="a commit of rules or templates that were changed on the page, with its hooks",
        seconds=60.0,
        largest=64 * KB,
        consequence="the file is put back as it was, and the page says so",
    ),
    "datastore": Limit(
        peer="file server",
        content="the first access to a folder of `datastore`",
        seconds=120.0,
        setting=_ANSWER,
        consequence="the folder is skipped in this run, the others are scanned; exit 7",
    ),
    "reading": Limit(
        peer="file server",
        content="the next file or folder while a series is scanned, matched, packed or compared",
        seconds=SHARE_ANSWERS * 120.0,
        setting=f"{SHARE_ANSWERS:g} x {_ANSWER}",
        consequence="the process exits with 7; the next run goes on",
    ),
    "delivery": Limit(
        peer="file server",
        content="a structure set into `deliver.folder`, made durable and read back",
        seconds=120.0,
        setting=_ANSWER,
        grows=True,
        consequence="the job waits; no further file goes into that folder in this run; exit 7",
    ),
    "store": Limit(
        peer="DICOM node",
        content="a structure set by C-STORE",
        seconds=sum(NODE_SECONDS.values()),
        grows=True,
        rate=NODE_BYTES_PER_SECOND,
        largest=NODE_ANSWER_BYTES,
        consequence="the job waits; exit 7",
    ),
    "echo": Limit(
        peer="DICOM node",
        content="a C-ECHO, by `doctor`",
        seconds=sum(NODE_SECONDS.values()) - NODE_SECONDS["answer"] + NODE_ECHO_SECONDS,
        largest=NODE_ANSWER_BYTES,
        consequence="`doctor` reports it",
    ),
    "commitment": Limit(
        peer="DICOM node",
        content="a request for storage commitment, and its report in the same association",
        seconds=sum(NODE_SECONDS.values()) + NODE_SECONDS["rest"] + NODE_REPORT_SECONDS,
        largest=2 * NODE_ANSWER_BYTES,
        consequence="the job waits; exit 7",
    ),
    "stow": Limit(
        peer="DICOMweb archive",
        content="a structure set by STOW-RS",
        seconds=sum(NODE_SECONDS.values()),
        grows=True,
        rate=NODE_BYTES_PER_SECOND,
        largest=NODE_ANSWER_BYTES,
        consequence="the job waits; exit 7",
    ),
    "stow-check": Limit(
        peer="DICOMweb archive",
        content="an OPTIONS request, by `doctor` and `nodes check`",
        seconds=30.0,
        largest=NODE_ANSWER_BYTES,
        consequence="`doctor` reports it",
    ),
    "clinical": Limit(
        peer="file server",
        content="clinical structure sets, at the end of a run without its lock (`qa.enabled`)",
        seconds=QA_SECONDS + PAIR_SECONDS,
        consequence=f"{_RUN_GOES_ON}; after {QA_SECONDS:g} s no pair is begun, and the next run "
        f"goes on; a pair that takes {PAIR_SECONDS:g} s has failed",
    ),
    "receive-request": Limit(
        peer=_SCANNER,
        content="a connection to `drawcli receive` with TLS, until its association is requested",
        seconds=RECEIVE_REQUEST_SECONDS,
        largest=RECEIVE_PDU_BYTES,
        consequence=f"it is closed; above {RECEIVE_WAITING} such connections a new one closes the "
        "one that has waited longest, of the address with most",
    ),
    "receive-idle": Limit(
        peer=_SCANNER,
        content="the next request of an association; the first within "
        "`receive.first_request_seconds`",
        seconds=120.0,
        setting="`receive.idle_seconds`",
        largest=RECEIVE_COMMAND_BYTES,
        consequence="the association is aborted",
    ),
    "receive-object": Limit(
        peer=_SCANNER,
        content="an object by C-STORE; `receive.largest_gib`",
        seconds=RECEIVE_OBJECT_SECONDS,
        grows=True,
        rate=RECEIVE_BYTES_PER_SECOND,
        largest=2 * KB * MB,
        consequence="the association is aborted, nothing of the object is left",
    ),
    "pull-query": Limit(
        peer="archive",
        content="a query by C-FIND or QIDO-RS, with all its answers; of `doctor` and `nodes "
        "check`: 15 or 30 s",
        seconds=300.0,
        largest=64 * KB,
        consequence="the archive is asked again in a later run; exit 7; each answer has that size, "
        "or a page of 1,000 answers 16 MiB, and a query at most 10,000 studies, 2,000 series or "
        "100,000 images",
    ),
    "pull-object": Limit(
        peer="archive",
        content="the next image, after a wait of at most 120 s; `receive.largest_gib`",
        seconds=30.0,
        grows=True,
        rate=NODE_BYTES_PER_SECOND,
        largest=2 * KB * MB,
        consequence="the association is aborted; the series waits and the next run goes on",
    ),
    "group-site": Limit(
        peer="page of another site",
        content="its summary for the group view (`group.sites`), or its file in `group.folder`",
        seconds=10.0,
        largest=4 * MB,
        consequence="the site is shown as unknown, with the reason",
    ),
    "textfile": Limit(
        peer="file server",
        content="`metrics.textfile`",
        seconds=10.0,
        consequence=_RUN_GOES_ON,
    ),
    "page-request": Limit(
        peer=_BROWSER,
        content="a request to `drawcli dashboard` with TLS, head and form (a rule or template may "
        f"have {PAGE_EDIT_BYTES // KB} KiB), from the connection or the previous response on",
        seconds=10.0,
        largest=PAGE_HEAD_BYTES + PAGE_FORM_BYTES,
        consequence="it is refused and the connection is closed; above "
        f"{PAGE_CONNECTIONS} connections, or {PAGE_CONNECTIONS // 2} from one network, a new one "
        "closes the one that has waited longest",
    ),
    "page-answer": Limit(
        peer=_BROWSER,
        content="a response that the browser does not read",
        seconds=15.0,
        grows=True,
        consequence="the connection is closed",
    ),
    "page-login": Limit(
        peer=_BROWSER,
        content="a password that waits to be checked",
        seconds=40.0,
        largest=PAGE_FORM_BYTES,
        consequence="it is not checked; the page says how long to wait",
    ),
    "page-live": Limit(
        peer=_BROWSER,
        content="the event stream of an open page",
        seconds=60.0,
        largest=PAGE_HEAD_BYTES,
        consequence=f"it ends, and the page opens another; above {PAGE_STREAMS} streams the page "
        "says that it is not live",
    ),
    **CLUSTER_EXCHANGES,
}
