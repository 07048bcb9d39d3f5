"""The record of the files of one job that a DICOM target may have."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.adapters.delivery.target import keep_nothing
from drawcli.core.protocol.dicom_address import Node
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably

RECORD: Final = "node.json"  # in the work folder: which files of the job the node may have


def record_of(target: Node | str) -> str:
    """Return the name of the record of one of several targets."""
    return f"node-{hashlib.sha256(str(target).encode('utf-8')).hexdigest()[:8]}.json"


@dataclass(frozen=True, slots=True)
class Sendings:
    """The SHA-256 digests of the files of one job that a target may have, in its work folder.

    One of several targets that has no record yet has that of `deliver.node`, if it was the same.

    A node that answers 0111 (duplicate SOP instance) has the file that is being sent only if no
    other file was sent with that UID.
    """

    path: Path
    node: Node | str  # or the address of a DICOMweb target
    kept: Callable[[], None] = keep_nothing  # after each change

    def include(self, sha256: str) -> bool:
        """Return whether a file was sent to this node before."""
        return sha256 in self._digests()

    def are_only(self, sha256: str) -> bool:
        """Return whether this file, and no other of the job, was sent to this node before."""
        return self._digests() == {sha256}

    def add(self, sha256: str) -> None:
        """Record a file before the node can have it; durable when this returns."""
        digests = self._digests()
        if sha256 not in digests:
            self._write(digests | {sha256})

    def settle(self, sha256: str) -> None:
        """Record that the node has this file only, or that the user is asked to compare it."""
        if not self.are_only(sha256):
            self._write({sha256})

    def _digests(self) -> set[str]:
        path = self.path if self.path.exists() else self.path.with_name(RECORD)
        try:
            plain = json.loads(path.read_bytes())
            return set(map(str, plain["sha256"])) if plain["node"] == str(self.node) else set()
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise_shortage(err)
            return set()

    def _write(self, digests: set[str]) -> None:
        plain = {"node": str(self.node), "sha256": sorted(digests)}
        write_durably(self.path, json.dumps(plain).encode("ascii"))
        self.kept()
