"""Records of a former DRAW client, as its exports have them."""

from typing import Any


def record(model: str, pk: object, **fields: Any) -> dict[str, Any]:
    """Return one record of an export."""
    return {"model": f"dicom_handler.{model}", "pk": pk, "fields": fields}
