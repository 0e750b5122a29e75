from hypothesis import given
from hypothesis import strategies as st

from services.media.nal import join_length_prefixed
from services.media.packetize import packetize_h264
from services.wall.relay.engine.template import MAX_PAYLOAD_BYTES, MAX_RUN_PACKETS, PACKETS_AT, lay_out


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=6), st.sampled_from([0, 8, 12]), st.sampled_from([10, 16]))
def test_runs_hold_every_packet_once_with_room_around_it(sizes: list[int], extension: int, tag: int) -> None:
    unit = join_length_prefixed([b"\x65" + bytes(n % 251 for n in range(size)) for size in sizes])
    payloads = packetize_h264(unit, MAX_PAYLOAD_BYTES)
    runs = lay_out(payloads, extension, tag)
    assert [run.payload(n) for run in runs for n in range(run.count)] == payloads
    assert [run.ends_frame for run in runs] == [False] * (len(runs) - 1) + [True]
    for run in runs:
        assert run.count <= MAX_RUN_PACKETS
        assert run.stride == 12 + extension + len(run.payload(0)) + tag
        assert (
            run.wire_bytes
            == len(run.image) - PACKETS_AT
            == sum(12 + extension + len(run.payload(n)) + tag for n in range(run.count))
        )
        assert all(len(run.payload(n)) == len(run.payload(0)) for n in range(run.count - 1))
        assert len(run.payload(run.count - 1)) <= len(run.payload(0))
        # Segmentation offload: every datagram must fit into an IPv6 path of the least MTU.
        assert run.stride + 48 <= 1280
