"""Sender reports."""

from hypothesis import given
from hypothesis import strategies as st

from services.sim import rtcp


@given(st.integers(0, 2**62), st.text(max_size=300))
def test_a_report_is_whole_words_and_says_when(unix_ns: int, cname: str) -> None:
    packet = rtcp.sender_report(7, unix_ns, 2**33 + 5, 10, 20, cname)
    assert len(packet) % 4 == 0
    at, kinds = 0, []
    while at < len(packet):
        kinds.append(packet[at + 1])
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    assert at == len(packet)
    assert kinds == [200, 202]
    seconds, fraction = int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[12:16], "big")
    given_seconds, rest_ns = divmod(unix_ns, 10**9)
    assert seconds == (given_seconds + 2_208_988_800) % 2**32
    assert abs(fraction * 10**9 / 2**32 - rest_ns) < 2
    assert int.from_bytes(packet[16:20], "big") == 5
