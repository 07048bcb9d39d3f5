"""Gives each reason code an anchor of its own when the site is built: reasons.html#source-moved."""

import re
from typing import Any


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Put an anchor before each code in the first column of the tables of reasons."""
    if page.file.src_uri != "reasons.md":
        return markdown
    known: set[str] = set()

    def anchored(row: re.Match[str]) -> str:
        new = [code for code in re.findall(r"`([a-z0-9-]+)`", row[1]) if code not in known]
        known.update(new)
        return "| " + "".join(f'<span id="{code}"></span>' for code in new) + row[1] + " |"

    return re.sub(r"^\| (`[^|]+`) \|", anchored, markdown, flags=re.MULTILINE)
