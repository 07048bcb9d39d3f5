"""The routes of these pages."""

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.records.audit import audit, audit_csv
from drawcli.dashboard.records.notifications import notifications, silence
from drawcli.dashboard.records.statistics import statistics, statistics_csv
from drawcli.dashboard.records.users import logout_everywhere, users


def record_routes() -> list[BaseRoute]:
    """Return the routes."""
    return [
        Route("/statistics", statistics),
        Route("/statistics.csv", statistics_csv),
        Route("/audit", audit),
        Route("/audit.csv", audit_csv),
        Route("/notifications", notifications),
        Route("/notifications/silence", silence, methods=["POST"]),
        Route("/users", users),
        Route("/users/logout", logout_everywhere, methods=["POST"]),
    ]
