from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.engine import stun

# RFC 5769, 2.1: sample request. The password is VOkJxbRl1RmTxUk/WvJxBt.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1"
    "51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def test_the_rfc_sample_request_is_read_and_authentic() -> None:
    request = stun.parse_binding_request(SAMPLE)
    assert request is not None
    assert request.username == "evtj:h6vY"
    assert request.controlled
    assert not request.use_candidate
    assert stun.verify(SAMPLE, request, PASSWORD)
    assert not stun.verify(SAMPLE, request, b"another")


def test_the_rfc_sample_responses_are_what_we_answer_but_for_their_software_attribute() -> None:
    # RFC 5769, 2.2 and 2.3: the mapped addresses as they stand in the samples.
    transaction = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    v4 = stun.binding_success(transaction, "192.0.2.1", 32853, PASSWORD)
    assert bytes.fromhex("002000080001a147e112a643") in v4
    v6 = stun.binding_success(transaction, "2001:db8:1234:5678:11:2233:4455:6677", 32853, PASSWORD)
    assert bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9") in v6
    for answer in (v4, v6):
        assert answer[:2] == b"\x01\x01"
        assert int.from_bytes(answer[2:4], "big") == len(answer) - 20


def test_our_own_request_carries_the_nomination() -> None:
    data = stun.binding_request(b"0123456789ab", "ours:theirs", b"secret", use_candidate=True)
    request = stun.parse_binding_request(data)
    assert request is not None
    assert request.use_candidate
    assert not request.controlled
    assert stun.verify(data, request, b"secret")


@given(st.integers(0, len(SAMPLE) - 9) | st.integers(len(SAMPLE) - 4, len(SAMPLE) - 1), st.integers(1, 255))
def test_a_request_with_one_byte_changed_is_not_believed(place: int, change: int) -> None:
    data = bytearray(SAMPLE)
    data[place] ^= change
    request = stun.parse_binding_request(bytes(data))
    assert request is None or not stun.verify(bytes(data), request, PASSWORD)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    # passes if nothing raises
    stun.parse_binding_request(data)


@given(st.binary(max_size=100).map(lambda b: b + bytes(-len(b) % 4)))
def test_any_attributes_are_read_without_an_exception(attributes: bytes) -> None:
    # passes if nothing raises
    head = b"\0\1" + len(attributes).to_bytes(2, "big") + stun.MAGIC_COOKIE.to_bytes(4, "big") + b"0123456789ab"
    stun.parse_binding_request(head + attributes)
