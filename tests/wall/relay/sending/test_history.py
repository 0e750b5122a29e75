from hypothesis import given
from hypothesis import strategies as st

from services.media.packetize import packetize_h264
from services.wall.relay.engine.template import RtpRun
from services.wall.relay.sending.history import KEEP_SECONDS, MAX_PACKETS, History


def run_of(packets: int) -> RtpRun:
    unit = (packets * 100 - 50).to_bytes(4, "big") + b"\x65" + bytes(packets * 100 - 51)
    payloads = packetize_h264(unit, 102)[:packets]
    return RtpRun(payloads, 0, 16, True)


RUNS = {count: run_of(count) for count in range(1, 25)}


@given(st.lists(st.integers(1, 24), min_size=1, max_size=60), st.integers(0, 0x1FFFF))
def test_every_packet_sent_is_found_over_the_wrap(counts: list[int], first: int) -> None:
    history = History()
    expected = {}
    for count in counts:
        history.add_run(first, 1.0, RUNS[count], 0, 96, b"")
        for packet in range(count):
            expected[(first + packet) & 0xFFFF] = (first, packet)
        first += count
    for sequence, (begin, packet) in expected.items():
        found = history.find_packet(sequence)
        assert found is not None
        assert (found[0].first, found[1]) == (begin, packet)
    assert history.find_packet(first & 0xFFFF) is None


def test_what_is_old_or_too_much_is_forgotten() -> None:
    history = History()
    history.add_run(0, 0.0, RUNS[24], 0, 96, b"")
    history.add_run(24, KEEP_SECONDS + 0.1, RUNS[1], 0, 96, b"")
    assert history.find_packet(3) is None
    assert history.find_packet(24) is not None
    for n in range(MAX_PACKETS // 24 + 10):
        history.add_run(25 + 24 * n, KEEP_SECONDS + 0.2, RUNS[24], 0, 96, b"")
    assert history.find_packet(25) is None
