"""The report of a site from its web page: GET /summary with the password of the page."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from drawcli import __version__
from drawcli.adapters.site_status.pushed_files import SiteReport
from drawcli.errors import DrawcliError, OutOfReach
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.client_tls import TlsFiles, client_context, empty_context, tls_failure
from drawcli.system.network.secret_source import SecretSource
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    from drawcli.config.sections_group import GroupSite

PATH: Final = "/summary"
_LIMIT: Final = EXCHANGES["group-site"]
_LONGEST_TOKEN: Final = 1000


def query_page(site: "GroupSite") -> SiteReport:
    """Return the report of a site from its page, within limits of time and bytes; never raises."""
    import httpx

    try:
        raw = call_with_timeout(partial(_answer, site), _LIMIT.seconds)
    except (TimeoutError, httpx.TimeoutException):
        return SiteReport(site.name, trouble="its page does not answer in time")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as err:
        failure = tls_failure(err)
        words = "cannot be reached" if failure is None else failure.in_words()
        return SiteReport(site.name, trouble=f"its page {words}")
    except DrawcliError as err:
        return SiteReport(site.name, trouble=str(err))
    return SiteReport(site.name, raw, datetime.now(UTC))


def _answer(site: "GroupSite") -> bytes:
    import httpx

    from drawcli.system.network.http_client import open_http_client, read_at_most

    token = SecretSource(
        file=site.token_file,
        command=site.token_command,
        what="token",
        file_setting="group.sites.token_file",
        command_setting="group.sites.token_command",
        longest=_LONGEST_TOKEN,
    ).read()
    is_plain = site.url.startswith("http:")
    files = TlsFiles(site.ca_file, names=("group.sites.ca_file", "", ""))
    tls = empty_context() if is_plain else client_context(files)
    headers = {"user-agent": f"drawcli/{__version__}", "accept": "application/json"}
    headers |= {"authorization": f"Bearer {token}", "accept-encoding": "identity"}
    timeout = httpx.Timeout(_LIMIT.seconds)
    with (
        open_http_client(timeout, headers, tls, with_proxy=not is_plain) as client,
        client.stream("GET", f"{site.url}{PATH}") as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise OutOfReach(f"its page answers with status {response.status_code}")
        body = read_at_most(response, _LIMIT.largest)
        if body is None:
            raise OutOfReach(f"its page sends more than {_LIMIT.largest:,} bytes")
        return body
