"""The record of the files of one job that a DICOM node may have."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.core.protocol.dicom_address import Node
from drawcli.system.files import write_durably

RECORD: Final = "node.json"  # in the work folder: which files of the job the node may have


@dataclass(frozen=True, slots=True)
class Sendings:
    """The files of one job that the node may have: kept beside the job, as it was sent.

    A node that says 0111 (it has this SOP instance) has the file that is sent now only where no
    other was ever sent under that UID.
    """

    path: Path
    node: Node

    def include(self, sha256: str) -> bool:
        """Tell whether a file was sent to this node before."""
        return sha256 in self._digests()

    def are_only(self, sha256: str) -> bool:
        """Tell whether a file was sent to this node before, and no other of the job."""
        return self._digests() == {sha256}

    def add(self, sha256: str) -> None:
        """Note a file before the node can have it; durable when this returns."""
        digests = self._digests()
        if sha256 not in digests:
            self._write(digests | {sha256})

    def settle(self, sha256: str) -> None:
        """Note that the node has this file, or that somebody is asked whether it does."""
        if not self.are_only(sha256):
            self._write({sha256})

    def _digests(self) -> set[str]:
        try:
            plain = json.loads(self.path.read_bytes())
            return set(map(str, plain["sha256"])) if plain["node"] == str(self.node) else set()
        except (OSError, ValueError, KeyError, TypeError):
            return set()

    def _write(self, digests: set[str]) -> None:
        plain = {"node": str(self.node), "sha256": sorted(digests)}
        write_durably(self.path, json.dumps(plain).encode("ascii"))
