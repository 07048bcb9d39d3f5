"""Tables as CSV files to download."""

from collections.abc import Iterable, Sequence

from starlette.responses import PlainTextResponse, Response

from drawcli.operations.ledger_copies import as_csv


def csv_download(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return a table as a CSV file; no value is a formula for a spreadsheet."""
    text = as_csv([dict(zip(columns, row, strict=True)) for row in rows], columns)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text, media_type="text/csv", headers=headers)
