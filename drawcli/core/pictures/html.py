"""HTML files that need nothing else: no script, no external resources."""

import base64
import hashlib
from html import escape


def standalone_page(title: str, style: str, main: str, *, images: bool = True) -> str:
    """Return an HTML file; its policy allows its own style sheet and, if asked, embedded images.

    Parameters
    ----------
    title
        The title, as text.
    style
        The style sheet.
    main
        The content of the page, as HTML.
    images
        Whether the page has images.
    """
    sha256 = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; {'img-src data:; ' if images else ''}style-src 'sha256-{sha256}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{main}
</main>
</body>
</html>
"""
