"""The network between hosts: namespaces on a bridge, or loopback where that is not allowed."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HUB: Final = "10.77.0.1"
APART: Final = ("unshare", "--net")


def is_possible() -> bool:
    """Return whether this user may make network namespaces, with a bridge between them."""
    if sys.platform != "linux" or os.geteuid():
        return False
    trial = [*APART, "ip", "link", "add", "bridge0", "type", "bridge"]
    try:
        return not subprocess.run(trial, check=False, capture_output=True).returncode
    except OSError:
        return False


def ip(*words: str, within: int | None = None) -> None:
    """Run `ip`, optionally in the network namespace of a process."""
    enter = [] if within is None else ["nsenter", f"--net=/proc/{within}/ns/net"]
    subprocess.run([*enter, "ip", *words], check=True, capture_output=True)


@dataclass
class Network:
    """Where database and server are, and the hosts' way to them."""

    is_apart: bool  # this process is in a namespace of its own
    address: str = "127.0.0.1"  # of database and server
    anchors: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the bridge."""
        if self.is_apart:
            self.address = HUB
            ip("link", "set", "lo", "up")
            ip("link", "add", "bridge0", "type", "bridge")
            ip("addr", "add", f"{HUB}/24", "dev", "bridge0")
            ip("link", "set", "bridge0", "up")

    def add(self, host: str) -> None:
        """Make the namespace of a host; a process keeps it."""
        if not self.is_apart:
            return
        number = len(self.anchors) + 1
        anchor = subprocess.Popen([*APART, "sleep", "infinity"])
        self.anchors[host] = anchor
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{anchor.pid}/ns/net").readlink() == own:  # it is not there yet
            pass
        ip("link", "add", f"v{host}", "type", "veth", "peer", "name", f"e{host}")
        ip("link", "set", f"e{host}", "netns", str(anchor.pid))
        ip("link", "set", f"v{host}", "master", "bridge0", "up")
        ip("link", "set", "lo", "up", within=anchor.pid)
        ip("addr", "add", f"10.77.0.{number + 10}/24", "dev", f"e{host}", within=anchor.pid)
        ip("link", "set", f"e{host}", "up", within=anchor.pid)

    def command(self, host: str) -> list[str]:
        """Return the words that start a program on a host."""
        if not self.is_apart:
            return []
        return ["nsenter", f"--net=/proc/{self.anchors[host].pid}/ns/net"]

    def cut(self, host: str) -> None:
        """Drop all packets to and from a host."""
        ip("link", "set", f"v{host}", "down")

    def mend(self, host: str) -> None:
        """End a cut."""
        ip("link", "set", f"v{host}", "up")

    def close(self) -> None:
        """End the processes that keep the namespaces."""
        for anchor in self.anchors.values():
            anchor.kill()
            anchor.wait()
