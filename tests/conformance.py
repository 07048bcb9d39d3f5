"""The DICOM Conformance Statement after PS3.2, written from the code.

`tests/test_conformance.py` compares its tables with what real associations negotiate.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from pydicom.datadict import keyword_for_tag

from drawcli.adapters.archive.archive import as_job_error
from drawcli.adapters.delivery.dicom_node import DEFAULT, ECHO, EXPLICIT, KEEPING, offers_for
from drawcli.adapters.delivery.judgement import DUPLICATE, TargetJudge
from drawcli.adapters.delivery.stow import request_headers
from drawcli.adapters.dicom_network.query_association import MOST_CONTEXTS as MOST_PULLED
from drawcli.adapters.dicom_network.requests import LONGEST_PDU
from drawcli.config.load import Settings
from drawcli.config.sections_network import NOT_RECEIVED, STORAGE_CLASSES
from drawcli.config.supported import supported_by
from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS
from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.delivery.commitment import PUSH_MODEL
from drawcli.core.dicom.header import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from drawcli.core.dicom_service import association_answer
from drawcli.core.dicom_service.association_answer import (
    VERIFICATION,
    AbortReason,
    Rejection,
    Supported,
)
from drawcli.core.dicom_service.association_request import (
    APPLICATION_CONTEXT,
    MOST_CONTEXTS,
    OfferedContext,
)
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries, return_keys
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, TAGS, QueryKey
from drawcli.core.pull.offers import storage_offers
from drawcli.core.pull.retrieval import (
    FIND,
    GET,
    MODELS,
    MOVE,
    QueryRefused,
    QueryResponse,
    check_end,
)
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.limits import (
    NODE_REPORT_SECONDS,
    NODE_SECONDS,
    RECEIVE_PDU_BYTES,
    RECEIVE_REQUEST_SECONDS,
)
from drawcli.system.network.limit import KB
from drawcli.system.network.pull_limits import PULL_PDU_BYTES

RTSTRUCT: Final = STORAGE_CLASSES["RTSTRUCT"]
NAMES: Final = SYNTAXES | {
    VERIFICATION: "Verification",
    PUSH_MODEL: "Storage Commitment Push Model",
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.128": "Positron Emission Tomography Image Storage",
    "1.2.840.10008.5.1.4.1.1.128.1": "Legacy Converted Enhanced PET Image Storage",
    "1.2.840.10008.5.1.4.1.1.130": "Enhanced PET Image Storage",
    RTSTRUCT: "RT Structure Set Storage",
    STORAGE_CLASSES["RTPLAN"]: "RT Plan Storage",
    STORAGE_CLASSES["RTDOSE"]: "RT Dose Storage",
}
QUERIES: Final = {
    FIND: "Study Root Query/Retrieve Information Model - FIND",
    MOVE: "Study Root Query/Retrieve Information Model - MOVE",
    GET: "Study Root Query/Retrieve Information Model - GET",
}
LEVELS: Final = (STUDY, SERIES, IMAGE)
COMMANDS: Final = {FIND: "a query", GET: "a retrieval by C-GET", MOVE: "a retrieval by C-MOVE"}
_USUAL: Final = {"datastore": "store", "state_dir": "state"}
_SWITCHED_ON: Final = {  # what adds to the usual classes, without naming any
    "qa": {"enabled": True},
    "deliver": {"targets": [{"node": "ARCHIVE@pacs.example:104", "commitment": True}]},
}
_STATUSES: Final = {
    ServiceStatus.SUCCESS: "the object is whole and durable, or is stored already, byte for byte",
    ServiceStatus.DUPLICATE: "another object of this SOP Instance UID is stored; this one is kept "
    "apart",
    ServiceStatus.NO_SUCH_CLASS: "the SOP class is not that of the presentation context",
    ServiceStatus.UNRECOGNIZED: "the request is neither C-STORE nor C-ECHO",
    ServiceStatus.MISTYPED: "the SOP Instance UID is not valid, or no data set is announced",
    ServiceStatus.OUT_OF_RESOURCES: "no room, or the folder failed: the sender should try again",
    ServiceStatus.MISMATCH: "the UIDs of the data set are not those of the request",
    ServiceStatus.CANNOT_UNDERSTAND: "the data set cannot be read, or has no SeriesInstanceUID",
}
_ABORTS: Final = {
    AbortReason.NONE: "a time limit, a folder that does not answer, the end of the program",
    AbortReason.UNEXPECTED_PDU: "a PDU that does not fit the state of the association",
    AbortReason.INVALID_PARAMETER: "a message that breaks the standard or a limit",
}
_REJECTIONS: Final = {
    "NO_SUCH_CALLER": "`receive.callers` has no such AE title with this address",
    "NOT_CALLED_SO": "the called AE title is not `receive.ae_title`",
    "NO_SUCH_APPLICATION": "another application context",
    "NO_SUCH_VERSION": "another version of the protocol",
    "TOO_MANY": "`receive.associations` or `receive.associations_per_address` is reached",
}
_PARAMETERS: Final = """
    receive.listen receive.ae_title receive.callers receive.folder receive.storage_classes
    receive.transfer_syntaxes receive.tls_cert receive.tls_key receive.tls_ca receive.associations
    receive.associations_per_address receive.first_request_seconds receive.idle_seconds
    receive.largest_gib receive.unfinished_gib receive.keep_free_gib deliver.ae_title deliver.node
    deliver.targets deliver.senders deliver.use deliver.uid_root deliver.character_set pull.sources
""".split()


def receiver(**more: object) -> Supported:
    """Return what `drawcli receive` accepts with the usual settings and some more."""
    return supported_by(Settings.read(_USUAL | more))


def accepted(supported: Supported) -> dict[str, list[str]]:
    """Return the transfer syntaxes that are accepted, by SOP class."""
    classes = [VERIFICATION, *sorted(supported.storage_classes, key=list(NAMES).index)]
    classes += [PUSH_MODEL] * supported.has_reports
    return {
        one: [
            syntax
            for syntax in SYNTAXES
            if not supported.answer(OfferedContext(1, one, (syntax,))).result
        ]
        for one in classes
    }


def proposed() -> dict[str, list[tuple[str, str]]]:
    """Return SOP class and transfer syntax of each context, by the kind of the association."""
    kinds = {
        "a structure set in Explicit VR Little Endian": offers_for(RTSTRUCT, EXPLICIT_LITTLE),
        "a structure set in Implicit VR Little Endian": offers_for(RTSTRUCT, IMPLICIT_LITTLE),
        "a request for storage commitment": [KEEPING],
        "a check with commitment": [EXPLICIT, DEFAULT, ECHO, KEEPING],
        "a check without commitment": [EXPLICIT, DEFAULT, ECHO],
    }
    return {
        kind: [(one.sop_class, one.transfer_syntax) for one in offers]
        for kind, offers in kinds.items()
    }


def conformance(head: str) -> str:
    """Return the page behind its head."""
    sections = (_overview, _receive, _deliver, _commitment, _pull, _web, _rest)
    return "\n".join([head, *(line for section in sections for line in section())]) + "\n"


def _overview() -> Iterator[str]:
    yield from _table(
        "Network services",
        ("service", "SOP classes", "as user (SCU)", "as provider (SCP)"),
        [
            ("Verification", _named(VERIFICATION), "`doctor`, `nodes check`", "`receive`"),
            ("Storage", "images of CT, MR, PET", "no", "`receive`"),
            ("Storage", _named(RTSTRUCT), "delivery", "`receive`, with `qa.enabled`"),
            (
                "Storage",
                f"{NAMES[STORAGE_CLASSES['RTPLAN']]}",
                "no",
                "`receive`, with `qa.enabled`",
            ),
            ("Storage Commitment", _named(PUSH_MODEL), "delivery, with `commitment: true`", "no"),
            *[
                ("Query/Retrieve", f"{QUERIES[one]} (`{MODELS[one]}`)", use, "no")
                for one, use in (
                    (FIND, "`pull`"),
                    (GET, "`pull`"),
                    (MOVE, "`pull` with `by: move`"),
                )
            ],
            ("Storage, by C-GET", "images of CT, MR, PET", "no", "`pull`, by role selection"),
            ("worklist, MPPS, print, media", "none", "no", "no"),
        ],
    )
    yield from _table(
        "Web services",
        ("service", "resource", "as user agent", "as origin server"),
        [
            ("Store (STOW-RS)", "Studies Service, `POST /studies`", "delivery", "no"),
            ("Search (QIDO-RS)", "studies, series, instances", "`pull` with `dicomweb`", "no"),
            ("Retrieve (WADO-RS)", "series, instances", "`pull` with `dicomweb`", "no"),
        ],
    )
    yield (
        "No media storage (PS3.10 file sets with a DICOMDIR) is claimed. What leaves for the DRAW "
        "server is a zip of de-identified files, by HTTPS and without DICOM network services: "
        "[its conformance statement](../deidentification.md).\n"
    )


def _receive() -> Iterator[str]:
    yield "## `drawcli receive`: storage provider\n"
    yield (
        "It accepts associations, answers C-ECHO and writes the objects of C-STORE into a folder, "
        "the bytes of the data set as received; see [receive by DICOM](../how-to/receive.md). It "
        "requests no association.\n"
    )
    yield from _association("`receive.ae_title`", RECEIVE_PDU_BYTES)
    usual, every = accepted(receiver()), accepted(receiver(**_SWITCHED_ON))
    yield from _table(
        "Presentation contexts that are accepted",
        ("SOP class", "UID", "transfer syntaxes", "our role", "if"),
        [
            (
                NAMES[one],
                one,
                "A" if len(syntaxes) > len(EITHER) else "B",
                "SCU" if one == PUSH_MODEL else "SCP",
                "" if one in usual else _condition(one),
            )
            for one, syntaxes in every.items()
        ],
        level=3,
    )
    yield (
        "`receive.storage_classes` adds classes with transfer syntaxes A, and "
        "`receive.transfer_syntaxes` adds transfer syntaxes to A. Of the transfer syntaxes of a "
        "context the first that is supported is chosen. A context with another class is answered "
        "with result 3, one without a supported transfer syntax with 4. At most "
        f"{MOST_CONTEXTS} contexts are read.\n"
    )
    rows = [
        (SYNTAXES[one], one, "yes", "yes" if one in EITHER else "")
        for one in every[next(iter(receiver().storage_classes))]
    ]
    yield from _table("Transfer syntaxes", ("name", "UID", "A", "B"), rows, level=3)
    never = ", ".join(f"`{uid}`" for uid in sorted(NOT_RECEIVED))
    yield (
        f"Deflated, referenced and big endian transfer syntaxes ({never}) are never accepted, and "
        "cannot be added.\n"
    )
    yield from _receive_answers()


def _receive_answers() -> Iterator[str]:
    yield from _table(
        "Status of C-STORE responses",
        ("status", "name", "when"),
        [(f"{one:04X}", one.name, _STATUSES[one]) for one in ServiceStatus],
        level=3,
    )
    yield (
        "*Success* is answered when the file is written, synced and renamed, and its folder is "
        "synced. Elements are neither added, coerced nor removed. Storage: Level 2 (full).\n"
    )
    rejections = {name: one for name, one in vars(association_answer).items() if _rejects(one)}
    yield from _table(
        "A-ASSOCIATE-RJ",
        ("result", "source", "reason", "when"),
        [
            (str(one.result), str(one.source), str(one.reason), _REJECTIONS[name])
            for name, one in rejections.items()
        ],
        level=3,
    )
    yield from _table(
        "A-ABORT (source 2, service provider)",
        ("reason", "when"),
        [(str(one.value), _ABORTS[one]) for one in AbortReason],
        level=3,
    )
    yield (
        f"An association must be requested {RECEIVE_REQUEST_SECONDS:g} s after the connection; a "
        "connection from an address of no caller is closed. The other limits of time and length: "
        "[limits of exchanges](exchanges.md).\n"
    )


def _deliver() -> Iterator[str]:
    yield "## Delivery: storage user\n"
    yield (
        "Each delivery opens one association and sends one structure set; see "
        "[send by DICOM](../how-to/dicom-node.md). The data set is sent as it is in the file, or, "
        "if the node accepts no other, converted to Implicit VR Little Endian.\n"
    )
    yield from _association("`deliver.ae_title`, or `ae_title` of the target", LONGEST_PDU)
    yield from _table(
        "Presentation contexts that are proposed",
        ("association for", "SOP class", "UID", "transfer syntax", "UID of it"),
        [
            (kind, NAMES[sop_class], sop_class, NAMES[syntax], syntax)
            for kind, offers in proposed().items()
            for sop_class, syntax in offers
        ],
        level=3,
    )
    yield (
        "Our role is SCU in each, and no role selection is proposed. Each context has one transfer "
        "syntax. `nodes check` always proposes storage commitment.\n"
    )
    yield from _table(
        "Status of C-STORE responses of a node",
        ("status", "what drawcli does"),
        list(_ranges(_what_follows)),
        level=3,
    )
    yield (
        "A response counts only if its Message ID, command, presentation context and, where "
        "present, SOP class and instance are those of the request. Limits of time: connection "
        f"{NODE_SECONDS['connect']:g} s, association {NODE_SECONDS['associate']:g} s, response "
        f"{NODE_SECONDS['answer']:g} s. A job that waits is sent again by later runs, the same SOP "
        "instance.\n"
    )


def _pull() -> Iterator[str]:
    yield "## `drawcli pull`: query and retrieve user\n"
    yield (
        "It queries archives by the study root model and retrieves series, by C-GET or by C-MOVE "
        "to `drawcli receive`; see [pull](../how-to/pull.md). Queries are hierarchical, from "
        "studies to images; no relational queries and no fuzzy matching are negotiated. `doctor` "
        "and `nodes check` send a C-ECHO and one query, which no study matches.\n"
    )
    yield from _association("`ae_title` of the source", PULL_PDU_BYTES)
    yield from _table(
        "Presentation contexts of queries and retrievals",
        ("association for", "SOP class", "UID", "transfer syntax", "our role"),
        [
            (name, QUERIES[one], MODELS[one], NAMES[IMPLICIT_LITTLE], "SCU")
            for one, name in COMMANDS.items()
        ],
        level=3,
    )
    series, instances = ArchivedSeries("1.2", "1.3", "CT"), [ArchivedInstance("1.4")]
    offered = dict.fromkeys(pair[0] for pair in storage_offers(series, instances, receiver()))
    yield (
        "In the association of a C-GET the SOP classes of the series are proposed, too, each "
        "context with one transfer syntax of A, native ones first, and with SCP/SCU role selection "
        "(user 0, provider 1). If the archive does not say the SOP class, those of the modality "
        f"are proposed. Those of CT: {', '.join(NAMES[one] for one in offered)}. At most "
        f"{MOST_PULLED - 2} such contexts are proposed.\n"
    )
    yield from _query_keys()


def _query_keys() -> Iterator[str]:
    yield from _table(
        "Keys of queries",
        ("level", "matching keys", "returned"),
        [(level, _keywords(_matched(level)), _keywords(_returned(level))) for level in LEVELS],
        level=3,
    )
    yield (
        "The UIDs of the levels above are keys, too. Others are matching keys only if `keys` of "
        "the source names them: by a single value, a wildcard or a range of dates. A key with "
        "several values is sent empty, and the answers are matched by drawcli. QIDO-RS has the "
        "same keys. A retrieval names instances by their UIDs (level IMAGE). No C-CANCEL is "
        "sent.\n"
    )
    yield from _table(
        "Status of C-FIND, C-GET and C-MOVE responses",
        ("status", "what drawcli does"),
        list(_ranges(query_status)),
        level=3,
    )
    yield (
        "Objects of C-GET are answered with the statuses of `receive`. Images that are not there "
        "are requested again by later runs.\n"
    )


def _matched(level: str) -> list[int]:
    return [tag for name, tag in TAGS.items() if QueryKey(name, ("1",)).level == level]


def _returned(level: str) -> list[int]:
    asked = return_keys(level, ArchivedSeries("1.2", "1.3", "CT"), "1.2")
    return [tag for tag, value in asked.items() if not value]


def _keywords(some: Iterable[int]) -> str:
    return ", ".join(keyword_for_tag(tag) for tag in some) or "none"


def query_status(status: int) -> str:
    """Return what drawcli does after a status of a response to a query or retrieval."""
    answer = QueryResponse(status, has_data_set=False)
    if answer.is_pending:
        return "waits for more"
    try:
        check_end(answer, FIND)
    except QueryRefused as err:
        refused = isinstance(as_job_error(err, ""), NeedsPerson)
        return "reports the refusal" if refused else "a later run tries again"
    return "takes the answers"


def _commitment() -> Iterator[str]:
    yield "## Storage commitment\n"
    yield (
        "With `commitment: true` a node that has stored the structure set is sent an N-ACTION "
        "(action type 1) of the well-known instance, with one instance and a Transaction UID of "
        "its own. The report (N-EVENT-REPORT, event types 1 and 2) is accepted\n\n"
        f"- in the association of the request, within {NODE_REPORT_SECONDS:g} s;\n"
        "- in another association that the node opens to `drawcli receive`, in which the node is "
        "the SCP: it is accepted with SCP/SCU role selection (user 0, provider 1), or without "
        "one;\n"
        "- without `receive.folder`: in one that it opens to `receive.listen` within that time, "
        "where only C-ECHO and such reports are accepted.\n\n"
        "A report is answered with status 0000 once it is stored durably, or with 0110 if its "
        "transaction is not known. A request is repeated with the same Transaction UID until the "
        "report has come. An instance that is reported as failed is sent once more; after the "
        "second such report the job is held.\n"
    )


def _web() -> Iterator[str]:
    headers = request_headers("...", 0)
    yield "## STOW-RS user agent\n"
    yield from _table(
        "",
        ("request", "value"),
        [
            ("method and resource", "`POST {stow}/studies`"),
            ("Content-Type", f"`{headers['content-type']}`"),
            ("Accept", f"`{headers['accept']}`"),
            ("parts", "one, `application/dicom`: the file as delivered"),
            ("check, by `doctor` and `nodes check`", "`OPTIONS {stow}/studies`"),
        ],
        level=0,
    )
    yield (
        "Status 200, 202 and 409 are read; the reasons of warnings and failures have the meaning "
        "of the statuses above. 408, 429 and 5xx: it is sent again by a later run; 400 and 413: "
        "the job is held. Redirects are not followed. Authentication: `Authorization` with "
        "`Bearer` or `Basic` from `token_file` or `token_command`, TLS client certificate.\n"
    )


def _rest() -> Iterator[str]:
    yield (
        "## Objects that are created\n\n"
        "RT Structure Sets, element by element: [delivered structure sets](structure-set.md). No "
        "private elements are written. No other object is created in the hospital.\n"
    )
    yield (
        "## Character sets\n\n"
        "`receive` decodes no text. In structure sets, Specific Character Set is that of the "
        "images, or ISO_IR 192 with `deliver.character_set: utf-8`.\n"
    )
    yield (
        "## Security\n\n"
        "- TLS 1.2 or later, for DIMSE on any port and for HTTPS; with the cipher suites of the "
        "OpenSSL of Python. `receive` can require certificates (`receive.tls_ca`); "
        "delivery verifies that of the node and can show one (`tls` of a target). No secure "
        "transport connection profile of PS3.15 is claimed.\n"
        "- No user identity is negotiated, and no audit trail message (PS3.15 A.5) is sent.\n"
        "- De-identification: [its conformance statement](../deidentification.md).\n"
    )
    yield (
        "## Configuration\n\n"
        "AE titles, addresses and ports are [settings](settings.md); none is looked up elsewhere: "
        + ", ".join(f"`{name}`" for name in _PARAMETERS)
        + "."
    )


def _association(title: str, longest: int) -> Iterator[str]:
    yield from _table(
        "",
        ("association", "value"),
        [
            ("AE title", title),
            ("Application Context Name", f"`{APPLICATION_CONTEXT.decode()}`"),
            ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS}`"),
            ("Implementation Version Name", "`DRAWCLI_` and the version, cut to 16 characters"),
            ("maximum length of a PDU that we receive", f"{longest} bytes ({longest // KB} KiB)"),
            ("asynchronous operations window", "not negotiated: one operation at a time"),
            ("SOP class extended and common extended negotiation, user identity", "none"),
        ],
        level=0,
    )


def _ranges(follows: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    """Yield ranges of statuses and what drawcli does after each."""
    for what, run in groupby(range(0x10000), follows):
        numbers = list(run)
        first, last = numbers[0], numbers[-1]
        yield f"{first:04X}" if first == last else f"{first:04X} to {last:04X}", what


def _what_follows(status: int) -> str:
    if status == DUPLICATE:
        return "delivered, if this file and no other was sent before; else the job is held"
    try:
        said = TargetJudge("").judged(status)
    except TryLater:
        return "the job waits"
    except NeedsPerson:
        return "the job is held"
    return "delivered, with a warning" if said else "delivered"


def _rejects(one: object) -> bool:
    return isinstance(one, Rejection)


def _condition(sop_class: str) -> str:
    return "a target has `commitment: true`" if sop_class == PUSH_MODEL else "`qa.enabled`"


def _named(uid: str) -> str:
    return f"{NAMES[uid]} (`{uid}`)"


def _table(
    title: str, titles: Iterable[str], rows: Iterable[Iterable[str]], level: int = 2
) -> Iterator[str]:
    titles = tuple(titles)
    if title:
        yield f"{'#' * level} {title}\n"
    yield f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


EITHER: Final = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)  # transfer syntaxes B
