"""cluster status: the database of the ledger, its hosts, leases, jobs and waits."""

from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drawcli.cli import render
from drawcli.cli.door import Door
from drawcli.cli.render import Result
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


def status(door: Door) -> Result:
    """Show the database of the ledger: hosts, claims, workers, queues, servers that wait."""
    from drawcli.adapters.ledger.postgres.site import database_ledger
    from drawcli.operations.cluster.status import status_of

    settings = door.settings()
    if not settings.ledger:
        text = "The ledger is a file: one machine. 'drawcli status' shows its jobs."
        return Result(data={"ledger": "file"}, show=lambda out: out.print(text, soft_wrap=True))
    with ExitStack() as opened:
        ledger = opened.enter_context(database_ledger(settings))
        data = status_of(ledger)

    def show(out: "Console") -> None:
        render.lines(_facts(data))(out)
        for title, titles, rows in _tables(data):
            if rows:
                out.print(f"\n{title}")
                render.columns(titles, rows)(out)

    return Result(data=_plain(data), show=show)


def _facts(data: dict[str, Any]) -> "list[tuple[str, str]]":
    standby = "; a read-only standby" if data["standby"] else ""
    return [
        ("database", f"{data['database']}, PostgreSQL {data['server_version']}{standby}"),
        ("tables", f"version {data['tables']}"),
        ("site", data["site"]),
        ("role", data["role"]),
        ("this host", data["host"]),
        ("hosts", counted(len(data["hosts"]), "host")),
        ("claimed", counted(len(data["leases"]), "job")),
    ]


def _tables(
    data: dict[str, Any],
) -> "list[tuple[str, Sequence[str], list[Sequence[str]]]]":
    hosts = [
        (one["host"], f"{one['silent_seconds']:.0f} s ago", str(one["leases"]), one["version"])
        for one in data["hosts"]
    ]
    leases = [
        (one["job"], one["state"], one["host"], str(one["pid"]), f"{one['seconds_left']:.0f} s")
        for one in data["leases"]
    ]
    jobs = [
        (one["state"], str(one["jobs"]), str(one["held"]), str(one["due"])) for one in data["jobs"]
    ]
    workers = [
        (
            one["host"],
            str(one["pid"]),
            f"{one['silent_seconds']:.0f} s ago",
            f"{len(one['running'])} of {one['parallel']}",
            ", ".join(one["queues"]),
        )
        for one in data["workers"]
    ]
    queues = [
        (one["queue"], *(str(one[name]) for name in ("waiting", "later", "running")), _age(one))
        for one in data["queues"]
    ]
    waits = [(one["server"], f"{one['until']:%H:%M:%S}", one["reason"]) for one in data["waits"]]
    return [
        ("Hosts", ("host", "last active", "claimed", "drawcli"), [*hosts]),
        ("Claimed jobs", ("job", "state", "host", "process", "lease ends in"), [*leases]),
        ("Jobs", ("state", "jobs", "held", "due"), [*jobs]),
        ("Workers", ("host", "process", "last active", "busy", "kinds of work"), [*workers]),
        ("Queues", ("queue", "waiting", "later", "running", "oldest"), [*queues]),
        ("Servers that asked to wait", ("server", "until (UTC)", "reason"), [*waits]),
    ]


def _age(queue: dict[str, Any]) -> str:
    return f"{queue['oldest_seconds']:.0f} s" if queue["waiting"] else ""


def _plain(value: Any) -> Any:
    """Return a value with times as text."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
