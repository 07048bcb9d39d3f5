"""Keys, a folder as shared storage, and an S3 server on loopback with faults."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.work_store.folder_store import FolderStore
from drawcli.adapters.work_store.s3_store import S3Store
from drawcli.adapters.work_store.sealing import FileKeys
from drawcli.adapters.work_store.store import WorkStore
from drawcli.config.sections_cluster import Cluster
from drawcli.core.deid.pseudonyms import StandIns

_numbers = count(1)
KEYS = FileKeys(StandIns(bytes(range(32))))


@dataclass
class S3:
    """An S3 server in this process; each answer to an object may be spoiled."""

    port: int = 0
    faults: list[str] = field(default_factory=list)  # of the next requests about objects
    requests: int = 0

    def __call__(self, app: Any) -> Any:
        """Return a WSGI application with the faults."""

        def faulty(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            self.requests += 1
            fault = self.faults.pop(0) if self.faults else ""
            if fault.isdigit():
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(f"{fault} Fault", [("Content-Type", "text/xml"), ("Content-Length", "0")])
                return [b""]
            if fault == "slow":
                time.sleep(5)
            if fault == "drip":
                return self._dripping(start)
            return self._spoiled(app(environ, start), fault)

        return faulty

    def _dripping(self, start: Callable[..., Any]) -> Iterator[bytes]:
        head = {"Content-Length": "1000", "Content-Range": "bytes 0-999/1000", "ETag": '"1"'}
        head |= {"Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT", "Content-Type": "text/xml"}
        start("206 Partial Content", [*head.items()])
        for _ in range(50):
            yield b" "
            time.sleep(0.1)

    def _spoiled(self, body: Iterable[bytes], fault: str) -> Iterable[bytes]:
        if fault == "cut":
            return [b"".join(body)[:-100]]
        if fault == "wrong":
            whole = bytearray(b"".join(body))
            whole[len(whole) // 2] ^= 1
            return [bytes(whole)]
        return body

    def cluster(self, bucket: str) -> Cluster:
        """Return the settings of a site with its work folders in a bucket."""
        return Cluster(
            work=f"s3://{bucket}/draw",
            s3_endpoint=f"http://127.0.0.1:{self.port}",
            s3_region="us-east-1",
        )


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3]:
    moto = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    s3 = S3()
    server = make_server(
        "127.0.0.1", 0, s3(moto.DomainDispatcherApplication(moto.create_backend_app)), threaded=True
    )
    s3.port = server.port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield s3
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(running_s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield running_s3
    running_s3.faults.clear()


@pytest.fixture
def bucket(s3: S3) -> str:
    import httpx

    name = f"work{next(_numbers)}"
    assert httpx.put(f"http://127.0.0.1:{s3.port}/{name}").status_code == 200
    return name


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> WorkStore:
    """Return each kind of storage."""
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return FolderStore(tmp_path / "shared", "north", is_used=False)
    s3, bucket = (request.getfixturevalue(name) for name in ("s3", "bucket"))
    return S3Store(s3.cluster(bucket), "north")
