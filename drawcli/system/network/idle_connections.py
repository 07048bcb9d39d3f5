"""Whether an idle connection has ended, without asking the other end."""

import selectors


def has_news(descriptor: int) -> bool:
    """Return whether something has arrived at an idle socket, such as its end."""
    with selectors.DefaultSelector() as arrived:
        arrived.register(descriptor, selectors.EVENT_READ)
        return bool(arrived.select(0))
