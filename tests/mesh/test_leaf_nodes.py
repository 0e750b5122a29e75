"""What `pantau site` writes for nats-server: with a bad file or port the whole mesh would not start again."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from services.contracts.bus_rights import Rights
from services.contracts.errors import InvalidInputError
from services.mesh import leaf_nodes
from services.mesh.authority import CITY, Authority
from services.mesh.leaf_nodes import Joined, Listening
from services.mesh.nats_claims import AccountClaims, AccountLimits, Import, read_claims
from services.mesh.sites import Invitation


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "authority", "city")


@pytest.fixture
def invitation(authority: Authority) -> Invitation:
    leaf_nodes.listen(authority, Listening("hub.example", 7422))
    creds = authority.user_creds(CITY, "mall", Rights((), ()))
    ca = leaf_nodes.ca_path(authority).read_text()
    return Invitation("mall", "city", "hub.example:7422", ca, creds.text(), "2099-12-31")


def test_an_invitation_is_read_as_it_was_written(invitation: Invitation, tmp_path: Path) -> None:
    path = tmp_path / "mall.invitation"
    path.write_text(invitation.text())
    assert Invitation.read(path) == invitation


@pytest.mark.parametrize(
    "wrong",
    [
        {"ca": ""},
        {"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"creds": "x"},
        {"creds": None},
        {"address": "hüb.example"},
        {"address": 'hub"\n}'},
        {"address": "hub.example:7422/x"},
        {"site": "../mall"},
        {"until": "soon"},
        {"format": "pantau-invitation-2"},
    ],
)
def test_a_spoilt_invitation_is_refused_before_anything_is_kept(
    invitation: Invitation, wrong: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "mall.invitation"
    path.write_text(json.dumps(json.loads(invitation.text()) | wrong))
    with pytest.raises(InvalidInputError, match="no invitation"):
        Invitation.read(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hub.example", Listening("hub.example", 7422)),
        ("10.0.0.1:9000", Listening("10.0.0.1", 9000)),
        ("[2001:db8::1]", Listening("2001:db8::1", 7422)),
        ("[2001:db8::1]:9000", Listening("2001:db8::1", 9000)),
    ],
)
def test_an_address_has_a_host_and_perhaps_a_port(text: str, found: Listening) -> None:
    assert Listening.parse(text) == found
    assert Listening.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", ":7422", "hub:0", "hub:65536", "hub:x", "2001:db8::1", "[hub]", "a b", "hub:٧"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is no address"):
        Listening.parse(text)


def test_a_port_that_something_listens_on_is_refused() -> None:
    with socket.create_server(("", 0)) as server:
        where = Listening("hub.example", server.getsockname()[1])
        with pytest.raises(InvalidInputError, match=r"cannot listen on port \d+ here"):
            leaf_nodes.require_free(where)
    leaf_nodes.require_free(where)


def test_a_new_address_has_a_certificate_that_owners_of_the_former_one_know_too(authority: Authority) -> None:
    leaf_nodes.listen(authority, Listening("10.9.9.9", 7422))
    before = leaf_nodes.server_lines(authority)
    leaf_nodes.listen(authority, Listening("hub.example", 7422))
    assert leaf_nodes.server_lines(authority) != before  # nats-server reads the certificate at its start
    leaf_nodes.certify(authority, Listening("hub.example", 7422))
    pem = (authority.folder / "tls" / "server.pem").read_bytes()
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "hub.example" in names.get_values_for_type(x509.DNSName)
    assert "10.9.9.9" in [str(each) for each in names.get_values_for_type(x509.IPAddress)]


def test_owners_learn_no_other_address_of_the_hubs_machine(authority: Authority) -> None:
    """nats-server tells leaf nodes all its addresses, which the certificate is not for, and they try each."""
    leaf_nodes.listen(authority, Listening("hub.example", 7422))
    assert any(line.strip().startswith("no_advertise: true") for line in leaf_nodes.server_lines(authority))


def test_another_ca_of_the_same_hub_is_read(authority: Authority) -> None:
    authority.make_account(leaf_nodes.HUB_ACCOUNT, AccountClaims(AccountLimits()))
    to = Joined("city", "mall", "tls://hub.example:7422", "2099-12-31")
    leaf_nodes.keep_joined(authority, to, "one", "creds")
    before = leaf_nodes.server_lines(authority)
    leaf_nodes.keep_joined(authority, to, "one", "other creds")  # which are read at each connection
    assert leaf_nodes.server_lines(authority) == before
    leaf_nodes.keep_joined(authority, to, "two", "creds")
    assert leaf_nodes.server_lines(authority) != before


def test_a_mesh_takes_nothing_from_a_site_whose_invitation_is_over(authority: Authority) -> None:
    """With such an import nats-server gives the city's account no JetStream for ten seconds after its start."""
    for name, expires_s in (("SITE_over", int(time.time()) - 1), ("SITE_alive", 0)):
        authority.save_account(name, AccountClaims(AccountLimits(), expires_s=expires_s))
    keys = {name: authority.account_key(name).public for name in ("SITE_over", "SITE_alive")}
    imports = tuple(Import(name, key) for name, key in keys.items())
    authority.save_account(CITY, authority.claims(CITY)._replace(imports=imports))
    taken = read_claims(authority.account_jwt(CITY))["nats"]["imports"]
    assert [each["account"] for each in taken] == [keys["SITE_alive"]]
    assert not any(keys["SITE_over"] in line for line in authority.server_lines("accounts"))
