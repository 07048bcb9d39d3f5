"""The addresses of the pages that find cases."""

import asyncio

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.access.request_guard import MANY_JOBS
from drawcli.dashboard.find.downloads import download
from drawcli.dashboard.find.filters import save_filter
from drawcli.dashboard.find.held import act_on_many, held, outcomes
from drawcli.dashboard.find.patients import found, patient, patients, search, study
from drawcli.dashboard.turns import in_turn


def find_routes(turn: asyncio.Semaphore) -> list[BaseRoute]:
    """Return the routes; they come before those of single jobs."""
    return [
        Route("/jobs/filters", save_filter, methods=["POST"]),
        Route("/jobs/{job}/files/{kind}", in_turn(turn, download)),
        Route("/held", held),
        Route(MANY_JOBS, act_on_many, methods=["POST"]),
        Route("/held/done/{number}", outcomes),
        Route("/patients", patients),
        Route("/patients", search, methods=["POST"]),
        Route("/patients/found/{search}", found),
        Route("/patients/{patient}", patient),
        Route("/patients/study/{study}", study),
    ]
