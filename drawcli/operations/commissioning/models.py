"""The version that contours of a template come from, by the server's present catalogue."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from drawcli import __version__
from drawcli.adapters.server.catalogue_cache import Catalogue, load_catalogue, save_catalogue
from drawcli.core.qa.records import version_of
from drawcli.core.templates.template import Template
from drawcli.errors import ConfigError, JobError
from drawcli.pipeline.context import Context

ENDPOINT: Final = "endpoint"  # code of an address that the server does not have
_RECENT: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """What contours of a template depend on."""

    template_digest: str
    catalogue_digest: str  # "" if the server has no catalogue
    drawcli: str = __version__

    @property
    def name(self) -> str:
        """The version in charts: 12 hex digits."""
        return version_of(self.template_digest, self.catalogue_digest, self.drawcli)


def current_catalogue(ctx: Context, *, recent: timedelta = timedelta()) -> Catalogue | None:
    """Return the server's catalogue; the stored one if the server does not answer.

    Parameters
    ----------
    ctx
        The site.
    recent
        The age up to which the stored one is good enough, without a request.
    """
    kept = load_catalogue(ctx.site_dir)
    if kept is not None and abs(ctx.now() - kept.at) < recent:
        return kept
    try:
        save_catalogue(ctx.site_dir, ctx.server.models(), ctx.now())
    except JobError:  # no answer
        return kept
    except ConfigError as err:
        if err.code != ENDPOINT:
            raise
        return kept  # a server without a catalogue
    return load_catalogue(ctx.site_dir)


def catalogue_of_the_day(ctx: Context) -> Catalogue | None:
    """Return the catalogue, asked for at most every twelve hours."""
    return current_catalogue(ctx, recent=_RECENT)


def version_now(template: Template, catalogue: Catalogue | None) -> TemplateVersion:
    """Return the version of a template by a catalogue."""
    entries = "" if catalogue is None else catalogue.digest_of(template.models)
    return TemplateVersion(template.contours_digest, entries)
