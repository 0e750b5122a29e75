"""STUN binding requests and their answers (RFC 8489), as much as `services.wall.relay.engine.ice` needs."""

import hmac
import secrets
import struct
import zlib
from ipaddress import ip_address
from typing import Final, NamedTuple

MAGIC_COOKIE: Final = 0x2112A442
_COOKIE_BYTES: Final = MAGIC_COOKIE.to_bytes(4, "big")
BINDING_REQUEST: Final = 0x0001
BINDING_INDICATION: Final = 0x0011
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111

_USERNAME: Final = 0x0006
_MESSAGE_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_XOR_MAPPED_ADDRESS: Final = 0x0020
_PRIORITY: Final = 0x0024
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_ICE_CONTROLLING: Final = 0x802A
_ICE_CONTROLLED: Final = 0x8029
_FINGERPRINT_XOR: Final = 0x5354554E
_HEADER: Final = struct.Struct(">HHI12s")
_ATTRIBUTE: Final = struct.Struct(">HH")
_MAX_BYTES: Final = 1500
_PEER_REFLEXIVE_PRIORITY: Final = 110 << 24 | 65535 << 8 | 255
"""Of the candidate that a check may reveal (RFC 8445, 5.1.2 and 7.1.1)."""


class BindingSuccess(NamedTuple):
    """An authenticated-to-be answer to a check of ours: check it with `verify`."""

    transaction: bytes
    integrity_at: int


class BindingRequest(NamedTuple):
    """An authenticated-to-be binding request: check it with `verify` before believing any of it."""

    transaction: bytes
    username: str
    """``<ours>:<theirs>``."""
    use_candidate: bool
    controlled: bool
    """The peer takes the controlled role, which is ours: a role conflict."""
    integrity_at: int
    """Where the MESSAGE-INTEGRITY attribute begins."""


def parse_binding_request(data: bytes) -> BindingRequest | None:
    """The request in ``data``; None for anything else, malformed or without integrity. Never raises."""
    total = len(data)
    transaction = _transaction(data, BINDING_REQUEST)
    if transaction is None:
        return None
    username, use_candidate, controlled, integrity_at = "", False, False, 0
    at = 20
    while at + 4 <= total:
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        end = at + 4 + size
        if end > total:
            return None
        if kind == _FINGERPRINT:
            if size != 4 or end != total or not _fingerprint_right(data, at):
                return None
        elif integrity_at:
            pass  # RFC 8489, 14.5: what follows the integrity attribute is not protected by it
        elif kind == _USERNAME:
            try:
                username = data[at + 4 : end].decode("ascii")
            except UnicodeDecodeError:
                return None
        elif kind == _USE_CANDIDATE:
            use_candidate = True
        elif kind == _ICE_CONTROLLED:
            controlled = True
        elif kind == _MESSAGE_INTEGRITY:
            if size != 20:
                return None
            integrity_at = at
        at = end + (-size % 4)
    if not integrity_at or not username:
        return None
    return BindingRequest(transaction, username, use_candidate, controlled, integrity_at)


def parse_binding_success(data: bytes) -> BindingSuccess | None:
    """The answer in ``data``; None for anything else, malformed or without integrity. Never raises."""
    transaction = _transaction(data, BINDING_SUCCESS)
    if transaction is None:
        return None
    at = 20
    while at + 4 <= len(data):
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        if kind == _MESSAGE_INTEGRITY:
            return BindingSuccess(transaction, at) if size == 20 and at + 24 <= len(data) else None
        at += 4 + size + (-size % 4)
    return None


def _transaction(data: bytes, kind: int) -> bytes | None:
    """The transaction of a message of that kind; None where its header is not one's."""
    total = len(data)
    if total < 20 or total > _MAX_BYTES or total % 4 or data[4:8] != _COOKIE_BYTES:
        return None
    found, length, _, transaction = _HEADER.unpack_from(data)
    return transaction if found == kind and length == total - 20 else None


def verify(data: bytes, request: BindingRequest | BindingSuccess, password: bytes) -> bool:
    """Whether ``request``, parsed from ``data``, was made by somebody who knows ``password`` (RFC 8489, 14.5)."""
    at = request.integrity_at
    # RFC 8489, 14.5: the length field ends with the integrity attribute, although others may follow.
    covered = data[:2] + (at + 24 - 20).to_bytes(2, "big") + data[4:at]
    return hmac.compare_digest(hmac.digest(password, covered, "sha1"), data[at + 4 : at + 24])


def binding_success(transaction: bytes, host: str, port: int, password: bytes) -> bytes:
    """The answer to a request from ``host`` (an address, not a name) and ``port``."""
    packed = ip_address(host.partition("%")[0]).packed
    mask = _COOKIE_BYTES + transaction
    address = bytes(a ^ b for a, b in zip(packed, mask, strict=False))
    # The attribute's length is 8 for IPv4 and 20 for IPv6: family and port, then the address.
    value = struct.pack(">BBH", 0, 1 if len(packed) == 4 else 2, port ^ MAGIC_COOKIE >> 16) + address
    return _seal(BINDING_SUCCESS, transaction, _attribute(_XOR_MAPPED_ADDRESS, value), password)


def binding_error(transaction: bytes, code: int, reason: str, password: bytes) -> bytes:
    """The answer that refuses (RFC 8489, 14.8)."""
    value = struct.pack(">HBB", 0, code // 100, code % 100) + reason.encode("ascii")
    return _seal(BINDING_ERROR, transaction, _attribute(_ERROR_CODE, value), password)


def binding_request(
    transaction: bytes, username: str, password: bytes, *, use_candidate: bool = False, controlled: bool = False
) -> bytes:
    """A connectivity check (RFC 8445, 7.2.2) of a host candidate."""
    role = _ICE_CONTROLLED if controlled else _ICE_CONTROLLING
    attributes = _attribute(_USERNAME, username.encode("ascii")) + _attribute(role, secrets.token_bytes(8))
    attributes += _attribute(_PRIORITY, struct.pack(">I", _PEER_REFLEXIVE_PRIORITY))
    if use_candidate:
        attributes += _attribute(_USE_CANDIDATE, b"")
    return _seal(BINDING_REQUEST, transaction, attributes, password)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + b"\0" * (-len(value) % 4)


def _seal(kind: int, transaction: bytes, attributes: bytes, password: bytes) -> bytes:
    head = _HEADER.pack(kind, len(attributes) + 24, MAGIC_COOKIE, transaction)
    integrity = hmac.digest(password, head + attributes, "sha1")
    body = attributes + _ATTRIBUTE.pack(_MESSAGE_INTEGRITY, 20) + integrity
    head = _HEADER.pack(kind, len(body) + 8, MAGIC_COOKIE, transaction)
    checksum = zlib.crc32(head + body) ^ _FINGERPRINT_XOR
    return head + body + struct.pack(">HHI", _FINGERPRINT, 4, checksum)


def _fingerprint_right(data: bytes, at: int) -> bool:
    (value,) = struct.unpack_from(">I", data, at + 4)
    return bool(value == zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR)
