"""The list of software of unknown provenance (IEC 62304), from pyproject, lock and architecture."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.hospital.flow_pages import table
from tests.test_architecture import OUTSIDE

_ROOT: Final = Path(__file__).parents[2]
# Not installed at sites.
_OURS: Final = frozenset({"bench", "dev", "docs", "fuzz", "mutation", "release"})
IMPORTED_AS: Final = {
    "argon2-cffi": ("argon2",),
    "google-re2": ("re2",),
    "httpx": ("httpx", "h2"),
    "jinja2": ("jinja2", "markupsafe"),
    "pillow": ("PIL",),
    "procrastinate": ("procrastinate", "psycopg_pool"),
    "pyjpegls": ("jpeg_ls",),
    "pyjwt": ("jwt",),
    "pylibjpeg-libjpeg": ("libjpeg",),
    "pylibjpeg-openjpeg": ("openjpeg",),
    "pyyaml": ("yaml",),
}
BY_OTHERS: Final = {  # not imported by drawcli
    "itsdangerous": "by starlette",
    "pylibjpeg": "by pydicom",
    "python-multipart": "by starlette",
}
_SAME_DECODER: Final = (
    "images of known pixels in tests; the gate decodes by the same library, unless gdcm is there"
)
REQUIREMENTS: Final = {  # what drawcli requires of a package, and what detects a failure of it
    "argon2-cffi": ("a password is kept as its argon2id hash", "an error refuses the login"),
    "apprise": (
        "delivers a message or says that it did not",
        "own process, 20 s, 512 MiB; a heartbeat by other means",
    ),
    "contourpy": (
        "outlines of masks for pictures",
        "pictures only; nothing delivered depends on it",
    ),
    "cryptography": (
        "AES-256-GCM, TLS keys, signatures",
        "every flipped byte of a vault is refused",
    ),
    "filelock": (
        "one process at a time; free when it dies",
        "torture tests with several processes",
    ),
    "google-re2": ("patterns match in linear time", "tests of patterns that run away elsewhere"),
    "httpx": (
        "HTTPS with verified certificates, no redirect",
        "own limits of time and bytes for each exchange",
    ),
    "isal": (
        "deflate that any zip reader inflates",
        "the gate inflates each package before it is sent, its first slice also with zlib",
    ),
    "itsdangerous": (
        "a signed cookie cannot be forged",
        "forged cookies in tests; sessions of users also need a key that the site keeps",
    ),
    "jinja2": (
        "escapes every text on a page",
        "hostile names in browser tests; content security policy",
    ),
    "keyring": ("keeps a token pair", "read back before the old pair is given up"),
    "numpy": ("arithmetic of arrays", "volumes and crossings against formulas and shapely"),
    "orjson": (
        "exact JSON, and the decimal numbers of contours",
        "digest of the ledger; records are checked when read; coordinates are delivered as text",
    ),
    "pillow": (
        "draws PNG; decodes JPEG and JPEG 2000 for previews (by pydicom)",
        "pictures only; nothing delivered depends on it",
    ),
    "platformdirs": ("the folder of settings", "settings not found is an error"),
    "pydicom": (
        "reads DICOM for the gate, apart from the engine",
        "compared with our reader and with dcmtk, also over damaged files",
    ),
    "pyjpegls": (
        "decodes JPEG-LS without loss",
        "the gate decodes again, by pylibjpeg-libjpeg, and compares pixels",
    ),
    "pyjwt": ("verifies ID tokens", "forged, expired and foreign tokens in tests"),
    "pylibjpeg": ("offers decoders to pydicom", "the gate refuses what it cannot decode"),
    "pylibjpeg-libjpeg": ("decodes JPEG lossless and extended", _SAME_DECODER),
    "pylibjpeg-openjpeg": ("decodes HT-J2K without loss", _SAME_DECODER),
    "pynetdicom": (
        "encodes requests of C-STORE, queries and retrievals",
        "answers are read by our own code; statuses decide",
    ),
    "obstore": (
        "reads and writes whole objects in S3-compatible storage",
        "objects are sealed by us; digests compared after each read",
    ),
    "procrastinate": (
        "runs a task that was queued, at least once",
        "the ledger decides what is due; a task that runs twice or never does no harm",
    ),
    "psycopg": (
        "runs SQL statements in transactions",
        "simulated schedules, killed hosts and databases; every write is checked by its fence",
    ),
    "python-multipart": (
        "reads forms of the page, and uploads of the sandbox",
        "own limits of size before it; a form token; hostile forms in tests",
    ),
    "pyyaml": (
        "safe loading of settings, rules, templates",
        "own limits of size, depth and aliases",
    ),
    "reportlab": ("writes PDF", "reports to sign only"),
    "rich": ("tables at a terminal", "texts are made printable before"),
    "scipy": (
        "distances of surfaces",
        "figures against formulas and other programs; nothing delivered depends on it",
    ),
    "shapely": ("areas and crossings of contours", "cylinders and rings against formulas"),
    "starlette": (
        "requests and sessions of the page",
        "own guard of host, origin, size and time before it",
    ),
    "tenacity": (
        "repeats safe requests a few times",
        "total time of each exchange is bounded by us",
    ),
    "tinydb": (
        "reads and writes the ledger file",
        "digest; kill tests at each effect; checked against a dictionary",
    ),
    "truststore": (
        "certificates verified as the system does",
        "tests with wrong, expired and foreign certificates",
    ),
    "typer": ("parses the command line", "every command and option in tests"),
    "uvicorn": ("serves the page", "own limits of connections, time and bytes before it"),
    "watchfiles": ("reports changes of folders", "a scan without it finds the same"),
}
NATIVE: Final = {  # important libraries of other makers inside the wheels
    "argon2-cffi-bindings": "Argon2",
    "cryptography": "OpenSSL",
    "google-re2": "RE2, Abseil",
    "isal": "ISA-L",
    "numpy": "OpenBLAS",
    "obstore": "rustls with its own cryptography (TLS to the object store)",
    "pillow": "libjpeg-turbo, OpenJPEG, libtiff, libwebp, FreeType and others",
    "psycopg-binary": "libpq, OpenSSL (TLS to the database), Kerberos, OpenLDAP",
    "pyjpegls": "CharLS",
    "pylibjpeg-libjpeg": "libjpeg (Thor)",
    "pylibjpeg-openjpeg": "OpenJPEG",
    "pyyaml": "libyaml",
    "scipy": "OpenBLAS",
    "shapely": "GEOS",
}
_NATIVE_WHAT: Final = """
## Native libraries inside the packages

Updates of the operating system **do not update these**: they come with a new version of the
package, that is, with a release of drawcli. The SBOM names the package, not the library in it.
"""
_SYSTEM: Final = """
HTTPS to the DRAW server, TLS of the web page and TLS of DICOM use the OpenSSL
of Python. The system updates it if Python is a package of the system. Other parts of the system:
SQLite (of Python); with a ledger in a database PostgreSQL 15 or newer, and `pg_dump` for upgrades
of its tables; git, if rules are under git; OpenSSH, to verify a release.
"""
_WHAT: Final = """\
Third-party software that drawcli needs at a site, in the terms of IEC 62304 (SOUP). drawcli is
[not a medical device](../explanation/limits.md); the list helps a hospital that assesses it as a
part of its own system. No software safety class is assigned. Names, versions and places come from
`pyproject.toml`, `packaging/requirements.lock` and the table of imports that the architecture
test enforces; a test fails when this page differs.

**Hardware and software that it needs**: Python 3.11 to 3.13 of the system, on Linux (tested),
macOS or Windows; each package must offer wheels for these. Cores, memory, disk:
[planning](../explanation/planning.md). Licences and latest releases: [what drawcli is built
on](../dependencies.md).
"""
_ANOMALIES: Final = """
## Known anomalies

- **Published anomalies.** `make audit` compares the lock with the public database of advisories
  (pip-audit) before each release, and `make vex` writes the result with our assessment: [SBOM and
  VEX](releases.md#known-vulnerabilities-vex). No list of anomalies is copied here: it would be
  out of date the day after.
- **Unpublished anomalies.** The tests run with the locked versions.
  The last column names what detects that a package does not meet its requirement.
- **Anomalies that drawcli works around** are noted in a comment at the code that does so.
- **Limits.** We do not audit the source of these packages, and do not follow each of
  their issue trackers.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that drawcli asks for itself."""

    name: str
    asked: str  # the range in pyproject
    locked: str
    extras: tuple[str, ...]  # none: always installed
    purpose: str
    maker: str
    places: tuple[str, ...]


def soup_list() -> str:
    """Return the body of the page."""
    titles = (
        *("package", "range: locked version", "maker", "extra"),
        *("purpose", "requirement", "control"),
    )
    rows = [
        (
            f"`{one.name}`",
            f"`{one.asked}`: {one.locked}",
            one.maker,
            ", ".join(f"`{extra}`" for extra in one.extras) or "always",
            one.purpose,
            *REQUIREMENTS[one.name],
        )
        for one in packages()
    ]
    places = [
        (
            f"`{one.name}`",
            ", ".join(f"`{place}`" for place in one.places) or f"used {BY_OTHERS[one.name]}",
        )
        for one in packages()
    ]
    direct = {one.name for one in packages()}
    others = [f"`{name}` {version}" for name, version in locked().items() if name not in direct]
    return "\n".join(
        [
            _WHAT,
            *table(titles, rows),
            _ANOMALIES,
            "## Where each is imported\n\nPaths are below `drawcli/`.\n",
            *table(("package", "imported in"), places),
            "\n## Indirect dependencies",
            f"\nAlso pinned: {', '.join(others)}.",
            _NATIVE_WHAT,
            *table(("package", "inside"), [(f"`{name}`", what) for name, what in NATIVE.items()]),
            _SYSTEM,
        ]
    )


def packages() -> list[Package]:
    """Return what drawcli asks for at a site, by name."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked: dict[str, tuple[str, set[str]]] = {}
    extras = project["optional-dependencies"]
    groups = {"": project["dependencies"]} | {
        name: words for name, words in extras.items() if name not in _OURS
    }
    for extra, several in groups.items():
        for words in several:
            wanted = Requirement(words)
            name = canonicalize_name(wanted.name)
            asked.setdefault(name, (str(wanted.specifier), set()))[1].add(extra)
    versions, known = locked(), _purposes_and_makers()
    return [
        Package(
            name,
            specifier,
            versions[name],
            () if "" in found else tuple(sorted(found)),
            *known[name],
            tuple(dict.fromkeys(_places(name))),
        )
        for name, (specifier, found) in sorted(asked.items())
    ]


def locked() -> dict[str, str]:
    """Return the locked version of each package; of one with several, all."""
    lock = (_ROOT / "packaging" / "requirements.lock").read_text(encoding="utf-8")
    versions: dict[str, str] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", lock, re.MULTILINE):
        known = canonicalize_name(name)
        versions[known] = f"{versions[known]}, {version}" if known in versions else version
    return versions


def _purposes_and_makers() -> dict[str, tuple[str, str]]:
    page = (_ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    always, _, extra = page.partition("## Only with an extra")
    end = r"([^|]+) \| [^|]+ \| \d{4}-\d\d, ([^|;]+)(?:;[^|]*)? \|$"
    found = re.findall(rf"^\| `([^`]+)` \| {end}", always, re.MULTILINE)
    found += re.findall(rf"^\| `([^`]+)` \| [^|]+ \| {end}", extra, re.MULTILINE)
    return {name: (purpose, maker.strip()) for name, purpose, maker in found}


def _places(name: str) -> Iterator[str]:
    for module in IMPORTED_AS.get(name, (name.replace("-", "_"),)):
        yield from sorted(OUTSIDE.get(module, ()))
