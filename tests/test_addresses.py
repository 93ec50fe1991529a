"""Which addresses a download may connect to: the special ones of every kind, and their neighbours."""

import pytest

from runner import addresses

NOT_PUBLIC = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.1", "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *(
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:7f00:1",
        "::ffff:8.8.8.8",
    ),
    *("::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8"),
    *("100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "2620:4f:8000::1"),
    *("2a00:1450:4001::5efe:127.0.0.1", "2a00:1450:4001:0:200:5efe:10.0.0.1"),
    *("fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
    *("", "localhost", "127.1", "2130706433", "0x7f.1", "010.0.0.1", "1.2.3.4.5", "2a00:1450::1%eth0", " 8.8.8.8"),
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_on_the_internet_is_known_as_such(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "8.8.8.8",
            "93.184.216.34",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.254",
        ),
        *("2a00:1450:4001:80b::2004", "2001:4860:4860::8888", "2606:4700:4700::1111", "64:ff9b::8.8.8.8"),
    ],
)
def test_an_address_on_the_internet_is_let_pass(address: str) -> None:
    assert addresses.is_public(address)


def test_own_addresses_are_private_ones_but_never_a_metadata_service() -> None:
    own = ("127.0.0.1", "10.1.2.3", "172.18.0.3", "192.168.1.1", "::1", "fd12:3456::1")
    assert all(addresses.is_own(address) for address in own)
    foreign = ("8.8.8.8", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1", "0.0.0.0", "224.0.0.1")
    assert not any(addresses.is_own(address) for address in (*foreign, "::ffff:127.0.0.1", "::1%lo", "", "localhost"))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "a.0x7f"])
def test_a_host_that_could_be_a_number_is_no_name(host: str) -> None:
    assert not addresses.is_name(host)
    assert not addresses.is_address(host)
