"""The routes of these pages."""

import asyncio

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.records.audit import audit, audit_csv
from drawcli.dashboard.records.notifications import notifications, silence
from drawcli.dashboard.records.statistics import statistics, statistics_csv
from drawcli.dashboard.records.users import logout_everywhere, users
from drawcli.dashboard.turns import in_turn


def record_routes(turn: asyncio.Semaphore) -> list[BaseRoute]:
    """Return the routes."""
    return [
        Route("/statistics", in_turn(turn, statistics)),
        Route("/statistics.csv", in_turn(turn, statistics_csv)),
        Route("/audit", in_turn(turn, audit)),
        Route("/audit.csv", in_turn(turn, audit_csv)),
        Route("/notifications", notifications),
        Route("/notifications/silence", silence, methods=["POST"]),
        Route("/users", users),
        Route("/users/logout", logout_everywhere, methods=["POST"]),
    ]
