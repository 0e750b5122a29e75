from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.engine.template import PacketLayout, run_of_payloads
from services.wall.relay.kernel.structs import FIRST_PAST_RUNS, new_stream
from services.wall.relay.sending.history import KEEP_SECONDS, MAX_PACKETS, MAX_RUNS, History, SentLayouts

LAYOUTS = {
    count: PacketLayout((run_of_payloads([bytes([count, n]) for n in range(count)], 0, 16, True),))
    for count in range(1, 25)
}


class Sent:
    """A stream of whom every run is remembered."""

    def __init__(self, first: int = 0) -> None:
        self.stream = new_stream()
        self.stream.sequence = first
        self.layouts = SentLayouts()
        self.history = History(self.stream, self.layouts)

    def send(self, packets: int, now: float) -> None:
        layout = LAYOUTS[packets]
        self.history.reserve(1, now)
        self.layouts.keep(layout, now)
        self.history.add_run(layout, 0, now, 7, 96, 5, keyframe=False)
        self.stream.sequence += packets


@given(st.lists(st.integers(1, 24), min_size=1, max_size=400), st.integers(0, 0x1FFFF))
def test_every_packet_sent_is_found_over_the_wrap(counts: list[int], first: int) -> None:
    sent, expected = Sent(first), {}
    for count in counts:
        sent.send(count, 1.0)
        for packet in range(count):
            expected[(first + packet) & 0xFFFF] = (first, packet, bytes([count, packet]))
        first += count
    for sequence, (begin, packet, payload) in expected.items():
        found = sent.history.find_packet(sequence)
        assert found is not None
        assert (found[0].first, found[1], found[0].run.payload(packet)) == (begin, packet, payload)
    assert sent.history.find_packet(first & 0xFFFF) is None


def test_what_is_old_or_too_much_is_forgotten() -> None:
    sent = Sent()
    sent.send(24, 0.0)
    sent.send(1, KEEP_SECONDS + 0.1)
    assert sent.history.find_packet(3) is None
    assert sent.history.find_packet(24) is not None
    for _ in range(MAX_PACKETS // 24 + 10):
        sent.send(24, KEEP_SECONDS + 0.2)
    assert sent.history.find_packet(25) is None


def test_a_history_grows_while_it_is_young_and_no_further_than_its_most() -> None:
    sent = Sent()
    for _ in range(2 * FIRST_PAST_RUNS):
        sent.send(1, 0.0)
    assert sent.stream.past_mask + 1 == 2 * FIRST_PAST_RUNS
    for n in range(2 * FIRST_PAST_RUNS):
        sent.send(1, KEEP_SECONDS + 0.01 + n / 1000)
    assert sent.stream.past_mask + 1 == 2 * FIRST_PAST_RUNS, "what was old made room"
    for _ in range(2 * MAX_RUNS):
        sent.send(1, KEEP_SECONDS + 1.0)
    assert sent.stream.past_mask + 1 == MAX_RUNS
    assert sent.history.find_packet(sent.stream.sequence - MAX_RUNS & 0xFFFF) is not None
    assert sent.history.find_packet(sent.stream.sequence - MAX_RUNS - 1 & 0xFFFF) is None


def test_layouts_are_let_go_when_nobody_was_sent_them_for_long() -> None:
    layouts = SentLayouts()
    layouts.keep(LAYOUTS[1], 0.0)
    layouts.keep(LAYOUTS[2], 1.0)
    layouts.keep(LAYOUTS[1], 1.5)
    layouts.forget(KEEP_SECONDS + 1.1)
    assert layouts.find(LAYOUTS[1].serial) is LAYOUTS[1]
    assert layouts.find(LAYOUTS[2].serial) is None
    layouts.forget(KEEP_SECONDS + 1.6)
    assert len(layouts) == 0
