"""The routes of the pages about contour QA."""

import asyncio

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.qa.chart import chart, chart_csv
from drawcli.dashboard.qa.overview import overview, pairs
from drawcli.dashboard.qa.pair import pair, pair_picture, pair_pictures
from drawcli.dashboard.turns import in_turn


def qa_routes(turn: asyncio.Semaphore) -> list[BaseRoute]:
    """Return the routes; requests for pictures take turns."""
    return [
        Route("/qa", overview),
        Route("/qa/pairs", pairs),
        Route("/qa/chart", chart),
        Route("/qa/chart.csv", chart_csv),
        Route("/qa/pair/{job}", pair),
        Route("/qa/pair/{job}/pictures", in_turn(turn, pair_pictures)),
        Route("/qa/pair/{job}/pictures/{number:int}/{plane}.png", in_turn(turn, pair_picture)),
    ]
