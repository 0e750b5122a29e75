import ifaddr
import pytest

from services.wall.relay.addresses import MAX_OWN_SOCKETS, addresses_to_bind


def test_a_host_of_thousands_of_addresses_opens_a_bounded_number_of_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    ips = [ifaddr.IP("127.0.0.1", 8, "lo"), *(ifaddr.IP(f"10.0.{n >> 8}.{n & 255}", 32, "all") for n in range(1, 3000))]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("all", "all", ips)])
    found = addresses_to_bind()
    assert len(found) == MAX_OWN_SOCKETS
    assert found[0] == "10.0.0.1"


def test_a_relay_starts_where_the_system_does_not_tell_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[ifaddr.Adapter]:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(ifaddr, "get_adapters", refuse)
    assert addresses_to_bind() == []
