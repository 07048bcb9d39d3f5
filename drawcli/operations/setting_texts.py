"""Values of settings as text, for `config show` and the web page; secrets are not shown."""

from typing import Any, Final

from drawcli.core.protocol.bandwidth import Bandwidth

SECRET: Final = {  # settings that may contain a secret, and the text shown instead
    "token_command": "a command; its arguments are not shown",
    "token_store_command": "a command; its arguments are not shown",
    "heartbeat_url": "set; not shown, since anyone with the address can send heartbeats",
}


def setting_text(key: str, value: Any) -> str:
    """Return the value of a setting as text; `key` is its name in its section."""
    if key in SECRET:
        return SECRET[key] if value else "none"
    if isinstance(value, Bandwidth):
        value = [f"{rate or 'off'} from {start:%H:%M} on" for start, rate in value.since]
    if isinstance(value, list | tuple):
        return ", ".join(_item_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = f"{value:g}" if isinstance(value, float) else value
    return "none" if value in (None, "") else str(value)


def _item_text(item: Any) -> str:
    """Return an item of a list; of a record, as a target, the keys that are set."""
    if not isinstance(item, dict):
        return str(item)
    shown = {key: value for key, value in item.items() if value not in (None, "", [], False)}
    texts = (f"{key}: {SECRET.get(key) or _inner_text(value)}" for key, value in shown.items())
    return f"{{{', '.join(texts)}}}"


def _inner_text(value: Any) -> str:
    return _item_text(value) if isinstance(value, dict) else setting_text("", value)


def setting_plain(key: str, value: Any) -> Any:
    """Return the value of a setting as a JSON type; None for a secret."""
    if key in SECRET:
        return None
    if isinstance(value, dict):
        return {str(name): setting_plain(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [setting_plain("", item) for item in value]
    return value if isinstance(value, str | int | float | None) else setting_text(key, value)
