"""The forms of a page, as a browser without script sends them."""

from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

Fields = dict[str, Any]  # a text, or a list of those with one name


class _Form(HTMLParser):
    """Read the first form of a page with an action."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: Fields = {}
        self.found = False
        self._action = action
        self._inside = False
        self._text: list[str] | None = None  # of an open textarea, or of an option without a value
        self._name = ""  # of an open textarea or select
        self._options: list[tuple[bool, str]] = []  # of an open select: whether chosen, its value

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.found and given.get("action") == self._action:
            self.found = self._inside = True
        elif self._inside:
            self._begin(tag, given)

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        if tag == "input":
            is_box = given.get("type") in ("radio", "checkbox")
            if not is_box or "checked" in given:
                self._add(given.get("name", ""), given.get("value", "on" if is_box else ""))
        elif tag == "select":
            self._name, self._options = given.get("name", ""), []
        elif tag == "textarea":
            self._name, self._text = given.get("name", ""), []
        elif tag == "option":
            self._options.append(("selected" in given, given.get("value", "")))
            self._text = None if "value" in given else []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self._inside:
            return
        text = "".join(self._text or ())
        if tag == "textarea":
            self._add(self._name, text.removeprefix("\n"))
            self._text = None
        elif tag == "option" and self._text is not None:
            self._options[-1] = (self._options[-1][0], " ".join(text.split()))
            self._text = None
        elif tag == "select":
            chosen = next((one for one in self._options if one[0]), self._options[0])
            self._add(self._name, chosen[1])
        elif tag == "form":
            self._inside = False

    def _add(self, name: str, value: str) -> None:
        if name in self.fields:
            first = self.fields[name]
            self.fields[name] = [*(first if isinstance(first, list) else [first]), value]
        elif name:
            self.fields[name] = value


def form_in(page: str, action: str) -> Fields:
    """Return the fields of the first form of a page with an action, without its buttons."""
    form = _Form(action)
    form.feed(page)
    assert form.found, page
    return form.fields


def submitted(client: TestClient, page: str, action: str, step: str, **changed: Any) -> Any:
    """Send a form of a page with a button, after changing fields."""
    return client.post(action, data=form_in(page, action) | changed | {"step": step})
