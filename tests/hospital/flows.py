"""The connections of a site: what goes where, and every exchange of the code in one of them."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from drawcli.config.sections_network import Receive
from drawcli.dashboard.access.options import PORT
from drawcli.system.limits import EXCHANGES


class Data(Enum):
    """What a connection carries of patients."""

    IDENTIFIED = "identified"
    PSEUDONYMOUS = "pseudonymous"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection between drawcli and another system."""

    peer: str
    content: str
    opens: str  # who opens the connection
    protocol: str
    port: str
    protection: str
    data: Data
    setting: str
    exchanges: tuple[str, ...]  # keys of EXCHANGES
    is_inwards: bool = False  # the peer opens it
    is_always: bool = False  # it is there without a setting
    may_be_outside: bool = False  # of the network of the hospital


OURS: Final = "drawcli"
_LISTEN: Final = str(Receive.fields["listen"].default).rpartition(":")[2]

FLOWS: Final = (
    Flow(
        "DRAW server",
        "out: packages of de-identified images, template, tokens; back: structure sets, states",
        OURS,
        "HTTPS",
        "443, or that of `server.url`",
        "TLS 1.2 or later, certificate verified; `server.client_cert` for mutual TLS; plain http "
        "only with `server.allow_http`",
        Data.PSEUDONYMOUS,
        "`server.url`",
        ("health", "models", "upload", "status", "rtstruct", "confirm", "refresh", "probe"),
        is_always=True,
        may_be_outside=True,
    ),
    Flow(
        "mail relay, chat, webhook",
        "alarms and the digest: job ids, codes, counts, names of templates and structures",
        OURS,
        "SMTP or HTTPS",
        "that of the address; 587, 465 or 443",
        "TLS with `mailtos://`, `jsons://`, `ntfys://` and the like; else not (`mailto://`)",
        Data.NONE,
        "`notify.urls_file`",
        ("message",),
        may_be_outside=True,
    ),
    Flow(
        "monitor of runs",
        "a heartbeat: its address, and the version of drawcli",
        OURS,
        "HTTPS",
        "443",
        "TLS; plain http only with `metrics.allow_http`",
        Data.NONE,
        "`metrics.heartbeat_url`",
        ("heartbeat",),
        may_be_outside=True,
    ),
    Flow(
        "identity provider",
        "logins to the page by OpenID Connect: names and groups of staff",
        OURS,
        "HTTPS",
        "443",
        "TLS, certificate verified",
        Data.NONE,
        "`oidc.issuer`",
        ("login",),
        may_be_outside=True,
    ),
    Flow(
        "pages of other sites",
        "their summaries for the group view: counts, verdict, times; no patient data",
        OURS,
        "HTTPS",
        "443",
        "TLS, certificate verified; the password of each page as bearer token",
        Data.NONE,
        "`group.sites` (a site that copies its file into `group.folder` opens nothing)",
        ("group-site",),
        may_be_outside=True,
    ),
    Flow(
        "shared storage of several machines",
        "packages and received structure sets, sealed with the site key",
        f"{OURS}; for a folder, the operating system",
        "HTTPS (S3), or an NFS mount",
        "443, or that of `cluster.s3_endpoint` (empty: AWS); 2049",
        "sealed by drawcli (AES-256-GCM) before they leave the machine; TLS with https; `doctor` "
        "warns of plain http",
        Data.PSEUDONYMOUS,
        "`cluster.work`",
        ("work-store", "work-folder"),
        may_be_outside=True,  # without cluster.s3_endpoint it is AWS
    ),
    Flow(
        "file server of the images",
        "images, clinical structure sets: read only; with `deliver.folder: beside` (the default) "
        "the new structure sets are written beside the images",
        "the operating system",
        "NFS or SMB mount, or a local disk",
        "2049 or 445",
        "the mount, not drawcli (SMB 3 encryption, NFS `sec=krb5p`)",
        Data.IDENTIFIED,
        "`datastore`, `qa.folders`",
        ("datastore", "reading", "clinical"),
        is_always=True,
    ),
    Flow(
        "scanner, or any sender of images",
        "images (C-STORE); reports of storage commitment",
        "the sender",
        "DICOM (DIMSE)",
        f"{_LISTEN}, or that of `receive.listen`",
        "TLS with `receive.tls_cert`, mutual with `receive.tls_ca`; else not encrypted",
        Data.IDENTIFIED,
        "`receive.folder`, `receive.callers`",
        ("receive-request", "receive-idle", "receive-object"),
        is_inwards=True,
    ),
    Flow(
        "archive",
        "queries out; images back (C-FIND with C-GET or C-MOVE, QIDO-RS with WADO-RS)",
        f"{OURS}; for the images of C-MOVE the archive, as a sender of images",
        "DICOM (DIMSE) or HTTPS",
        "that of the archive; often 104 or 443",
        "TLS with `tls` of the source, or https; else not encrypted",
        Data.IDENTIFIED,
        "`pull.sources`",
        ("pull-query", "pull-object"),
    ),
    Flow(
        "database of the ledger",
        "jobs: states, counts, codes; vaults, records and tokens only sealed with the site key; "
        "`group.database`: summaries of sites",
        OURS,
        "PostgreSQL",
        "5432, or that of `ledger`",
        "TLS, certificate and name verified, on any address except loopback; `doctor` warns of "
        "another `sslmode` in `ledger`, or a `service` without one",
        Data.IDENTIFIED,
        "`ledger`, `group.database`",
        ("database",),
    ),
    Flow(
        "file server of the planning system",
        "re-identified structure sets: new files only",
        "the operating system",
        "NFS or SMB mount, or a local disk",
        "2049 or 445",
        "the mount, not drawcli (SMB 3 encryption, NFS `sec=krb5p`)",
        Data.IDENTIFIED,
        "`deliver.folder`",
        ("delivery",),
        is_always=True,
    ),
    Flow(
        "DICOM node",
        "re-identified structure sets (C-STORE), C-ECHO, storage commitment",
        OURS,
        "DICOM (DIMSE)",
        "that of the node; often 104, with TLS 2762",
        "TLS with `tls` of the target; else not encrypted",
        Data.IDENTIFIED,
        "`deliver.node`, `deliver.targets`, `deliver.senders`",
        ("store", "echo", "commitment"),
    ),
    Flow(
        "DICOMweb archive",
        "re-identified structure sets (STOW-RS)",
        OURS,
        "HTTPS",
        "that of the address; 443",
        "TLS, certificate verified; plain http only with `allow_http` of the target",
        Data.IDENTIFIED,
        "`deliver.targets`",
        ("stow", "stow-check"),
    ),
    Flow(
        "browser",
        "the web page; `/metrics` and `/health` for a monitor, `/summary` for a group",
        "the browser",
        "HTTP on loopback, else HTTPS",
        f"{PORT}, or `--port`",
        "TLS and a login on any address but loopback; required there",
        Data.IDENTIFIED,
        "`drawcli dashboard`; patients only with `--identify`",
        ("page-request", "page-answer", "page-login", "page-live"),
        is_inwards=True,
    ),
    Flow(
        "this machine",
        "commands that print secrets, keyring, git; a file of metrics",
        OURS,
        "processes and files",
        "none",
        "modes of files; nothing leaves the machine by drawcli",
        Data.NONE,
        "`server.token_command` and other commands, `server.token_keyring`, `metrics.textfile`",
        ("token-command", "keyring", "git", "git-commit", "textfile"),
        is_always=True,
    ),
)


def unplaced() -> set[str]:
    """Return the exchanges of the code that are in no connection, or in several."""
    named = [key for flow in FLOWS for key in flow.exchanges]
    return (EXCHANGES.keys() ^ set(named)) | {key for key in named if named.count(key) > 1}
