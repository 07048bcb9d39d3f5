"""A template that says everything a template can, and structure sets of it."""

from collections.abc import Callable, Mapping

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.server.catalogue_cache import save_catalogue
from drawcli.adapters.state.workdir import REPORT, TEMPLATE
from drawcli.pipeline.context import Context
from drawcli.sandbox.catalogue import as_json
from tests.conftest import NOON, Site
from tests.dashboard.conftest import WORDS, Serve, log_in

FULL = """    structures:                # our looks
      # agreed in March
      Rectum: {label: Rectum_AI, description: lower part, color: [165, 42, 42], type: ORGAN, volume_cm3: [25, 200]}  # brown
      Femur_Head_L: {required: false}
      Bladder: {color: [255, 255, 0], type: ORGAN, volume_cm3: [20, 1500], required: true}
    derived:
      Rectum-PRV: {crop: Rectum, outside: Bladder, mm: 2, type: AVOIDANCE}
      Bladder_05: {margin: Bladder, mm: 5, hidden: true}
    empty:
      PTV: {type: PTV, color: [255, 0, 0]}
"""  # noqa: E501 - one line of a file
Received = Callable[..., None]


@pytest.fixture
def editor(serve: Serve) -> TestClient:
    """Return the page for a user who may edit."""
    client = serve(password=WORDS, allow_editing=True)
    log_in(client)
    return client


@pytest.fixture
def full(site: Site) -> Site:
    """Write templates.yaml with a template that says everything."""
    path = site.folder / "templates.yaml"
    head, _, rest = path.read_text().partition("    # structures:")
    _, _, tail = rest.partition("\n\n")
    path.write_text(f"{head}{FULL}\n{tail}")
    return site


@pytest.fixture
def catalogue(ctx: Context) -> None:
    """Keep a copy of the sandbox's catalogue."""
    save_catalogue(ctx.settings.state_dir, as_json(), NOON)


@pytest.fixture
def received(ctx: Context) -> Received:
    """Return a function that leaves a checked structure set in the work folder of a job."""

    def leave(job: str, volumes: Mapping[str, float], template: str = "Prostate_OAR") -> None:
        ctx.work.write(job, TEMPLATE, f"name: {template}\nprotocol: DRAW\n".encode())
        structures = [
            {"name": name, "contours": 9 if cm3 else 0, "volume_cm3": cm3}
            for name, cm3 in volumes.items()
        ]
        ctx.work.write_json(job, REPORT, {"findings": [], "structures": structures})

    return leave
