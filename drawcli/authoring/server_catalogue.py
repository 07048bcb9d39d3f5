"""Asks the server for its catalogue, and keeps the answer."""

from drawcli.adapters.server.catalogue_cache import save_catalogue
from drawcli.core.templates.catalogue import CatalogueModel, parse_catalogue
from drawcli.errors import OutOfReach, ServerUnavailable
from drawcli.pipeline.context import Context


def pull_catalogue(ctx: Context) -> list[CatalogueModel]:
    """Download the catalogue and store it beside the ledger.

    Raises
    ------
    OutOfReach
        If the server does not answer; another error of the server if it refuses.
    """
    try:
        models = ctx.server.models()
    except ServerUnavailable as err:
        raise OutOfReach(str(err), code=err.code) from None
    save_catalogue(ctx.settings.state_dir, models, ctx.now())
    return parse_catalogue(models)
