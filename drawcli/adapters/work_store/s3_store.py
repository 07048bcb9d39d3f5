"""Shared storage in an S3-compatible object store."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from drawcli.adapters.work_store.store import away
from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.cluster_limits import STORE_PART_BYTES, STORE_SECONDS
from drawcli.system.packages import not_installed
from drawcli.system.programs import run_program

if TYPE_CHECKING:
    from drawcli.config.sections_cluster import Cluster

_AT_ONCE: Final = 2  # such requests, so at most 3 parts are in memory
_REFUSED: Final = (
    "It needs GetObject, PutObject, DeleteObject and ListBucket below the prefix of cluster.work. "
    "Check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the role of the machine, "
    "or cluster.s3_credentials_command."
)


class S3Store:
    """Objects below the prefix of a bucket, for one site."""

    def __init__(self, cluster: "Cluster", site: str) -> None:
        try:
            import obstore.store
        except ImportError:
            raise not_installed("cluster.work: s3://", "cluster") from None
        parts = urlsplit(cluster.work)
        self._where = f"the object store {parts.netloc}{parts.path.rstrip('/')}"
        settings: dict[str, Any] = {"checksum_algorithm": "SHA256"}
        if cluster.s3_endpoint:
            settings["endpoint"] = cluster.s3_endpoint
        if cluster.s3_region:
            settings["region"] = cluster.s3_region
        client: dict[str, Any] = {
            "allow_http": cluster.s3_endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=STORE_SECONDS / 3),
            "timeout": timedelta(seconds=STORE_SECONDS),
        }
        if cluster.s3_ca_file is not None:
            client["root_certificate"] = cluster.s3_ca_file.read_bytes()
        again = {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=STORE_SECONDS),
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        }
        self._store = obstore.store.S3Store(
            parts.netloc,
            prefix=f"{parts.path.strip('/')}/{site}".lstrip("/"),
            config=settings,  # type: ignore[arg-type] # keys of S3Config
            client_options=client,  # type: ignore[arg-type] # keys of ClientConfig
            retry_config=again,  # type: ignore[arg-type] # keys of RetryConfig
            credential_provider=_provider(cluster.s3_credentials_command),  # type: ignore[arg-type] # a dict
        )

    def describe(self) -> str:
        """Return its name for messages."""
        return self._where

    def put(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """Store an object; whole on return."""
        import obstore

        with self._in_words():
            obstore.put(
                self._store, name, pieces, chunk_size=STORE_PART_BYTES, max_concurrency=_AT_ONCE
            )
            there = obstore.head(self._store, name)["size"]
        if there != size:
            raise away(self._where, f"has {there} of {size} bytes that were sent")

    def get(self, name: str) -> Iterator[bytes]:
        """Yield an object in pieces, each from its own request; FileNotFoundError if none.

        So the time limit of a request does not limit the object, and a slow line is enough.
        """
        import obstore

        with self._in_words():
            first = obstore.get(self._store, name, options={"range": (0, STORE_PART_BYTES)})
            size = first.meta["size"]
            yield bytes(first.bytes())
            for start in range(STORE_PART_BYTES, size, STORE_PART_BYTES):
                end = min(start + STORE_PART_BYTES, size)
                yield bytes(obstore.get_range(self._store, name, start=start, end=end))

    def remove(self, names: list[str]) -> None:
        """Remove objects, as far as they exist."""
        import obstore

        with self._in_words():
            for name in names:
                try:
                    obstore.delete(self._store, name)
                except FileNotFoundError:
                    continue

    def older_than(self, limit: datetime) -> Iterator[str]:
        """Yield the names of the objects that were written before a time."""
        import obstore

        with self._in_words():
            for some in obstore.list(self._store):
                yield from (str(one["path"]) for one in some if one["last_modified"] < limit)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError:
            raise
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise away(self._where, "refuses the credentials", _REFUSED) from None
        except (exceptions.BaseError, ValueError, OSError) as err:
            raise away(self._where, f"reports an error: {_kind(err)}") from None


def _kind(err: Exception) -> str:
    """Return what went wrong, without the address, whose query may have a signature."""
    text = str(err).lower().replace("retry_timeout", "")
    for words, said in (
        (("status code: 503", "slow down"), "it is overloaded (status 503)"),
        (("status code: 5",), "it has an error (status 5xx)"),
        (("timed out", "timeout"), "no answer in time"),
        (("connect", "dns error"), "no connection"),
        (("response body", "incomplete", "end of file"), "the answer was cut off"),
    ):
        if any(word in text for word in words):
            return said
    return type(err).__name__


def _provider(command: list[str]) -> "Callable[[], dict[str, Any]] | None":
    """Return a function that runs a command for credentials (AWS `credential_process`)."""
    if not command:
        return None

    def ask() -> dict[str, Any]:
        ended = run_program(command, EXCHANGES["token-command"])
        try:
            plain = json.loads(ended.output)
            found = {
                "access_key_id": str(plain["AccessKeyId"]),
                "secret_access_key": str(plain["SecretAccessKey"]),
                "token": plain.get("SessionToken"),
                "expires_at": _time(plain.get("Expiration")),
            }
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"cluster.s3_credentials_command {ended.why or 'prints no credentials'}",
                hint='It should print {"AccessKeyId": ..., "SecretAccessKey": ...} as JSON.',
            ) from None
        return found

    return ask


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
