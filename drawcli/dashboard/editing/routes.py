"""The addresses of the editor of rules, and of a login while one types."""

from starlette.routing import BaseRoute, Route

from drawcli.dashboard.access.login_required import LOGIN_AGAIN
from drawcli.dashboard.editing.kept_forms import login_again
from drawcli.dashboard.editing.rule_pages import FORM, edit_rule, new_rule, submit_rule
from drawcli.dashboard.editing.rule_text_pages import (
    ORDER,
    TEXT,
    edit_rule_text,
    submit_order,
    submit_rule_text,
)
from drawcli.dashboard.editing.trial_pages import TRIALS, stop_trial, trial


def editing_routes() -> list[BaseRoute]:
    """Return the routes."""
    return [
        Route("/edit/rules/new", new_rule),
        Route("/edit/rules/{number:int}", edit_rule),
        Route("/edit/rules/{number:int}/text", edit_rule_text),
        Route(f"{TRIALS}/{{trial}}", trial),
        Route("/edit/rules/stop", stop_trial, methods=["POST"]),
        Route(FORM, submit_rule, methods=["POST"]),
        Route(TEXT, submit_rule_text, methods=["POST"]),
        Route(ORDER, submit_order, methods=["POST"]),
        Route(LOGIN_AGAIN, login_again, methods=["POST"]),
    ]
