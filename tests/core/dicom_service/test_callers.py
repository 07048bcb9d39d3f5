"""Who may call."""

import pytest

from drawcli.core.dicom_service.callers import (
    address_of,
    is_in_networks,
    is_known,
    parse_caller,
    parse_listen,
)

CALLERS = [parse_caller("CT1@10.1.2.0/24"), parse_caller("MR 1@fd00::/8")]


@pytest.mark.parametrize(
    ("title", "address", "known"),
    [
        ("CT1", "10.1.2.255", True),
        ("CT1", "::ffff:10.1.2.3", True),
        ("CT1", "10.1.3.0", False),
        ("CT1", "fd00::1", False),
        ("MR 1", "fd00::1%eth0", True),
        ("MR 1", "10.1.2.3", False),
        ("CT", "10.1.2.3", False),
        ("", "10.1.2.3", False),
    ],
)
def test_a_title_counts_in_its_own_network_only(title: str, address: str, known: bool) -> None:  # noqa: FBT001 - a table
    assert is_known(title, address_of(address), CALLERS) is known


def test_an_address_of_no_network_may_say_nothing() -> None:
    assert is_in_networks(address_of("10.1.2.3"), CALLERS)
    assert not is_in_networks(address_of("10.1.3.3"), CALLERS)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("10.1.2.0/24", "AE_TITLE@network"),
        ("@10.1.2.0/24", "1 to 16 characters"),
        ("CT1@10.1.2.3/24", "CT1@10.1.2.0/24"),
        ("CT1@ct1.ward.example", "an address or a network"),
        ("CT1@10.1.2.0/99", "an address or a network"),
        ("SEVENTEEN-LETTERS@10.1.2.3", "1 to 16 characters"),
    ],
)
def test_a_caller_that_cannot_be_is_refused_with_what_it_should_be(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_caller(text)


@pytest.mark.parametrize("text", ["11112", "localhost:1", "127.0.0.1:70000", "127.0.0.1:", ":1"])
def test_an_address_to_listen_on_has_an_address_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        parse_listen(text)
