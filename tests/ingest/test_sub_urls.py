"""Where a second stream is looked for."""

import pytest

from services.ingest.sub_urls import sub_urls


@pytest.mark.parametrize(
    ("main", "sub"),
    [
        ("rtsp://h/Streaming/Channels/101", "rtsp://h/Streaming/Channels/102"),
        ("rtsp://h/cam/realmonitor?channel=1&subtype=0", "rtsp://h/cam/realmonitor?channel=1&subtype=1"),
        ("rtsp://h/user=admin&channel=1&stream=0.sdp", "rtsp://h/user=admin&channel=1&stream=1.sdp"),
        ("rtsp://h/h264Preview_01_main", "rtsp://h/h264Preview_01_sub"),
        ("rtsp://h/h264/ch1/main/av_stream", "rtsp://h/h264/ch1/sub/av_stream"),
        ("rtsp://h:8554/cam-001/main", "rtsp://h:8554/cam-001/sub"),
        ("rtsp://h/stream1", "rtsp://h/stream2"),
        ("rtsp://h/media/video1", "rtsp://h/media/video2"),
        ("rtsp://h/unicast/c1/s0/live", "rtsp://h/unicast/c1/s1/live"),
        ("rtsp://h/11", "rtsp://h/12"),
        ("rtsp://h/live/ch00_0", "rtsp://h/live/ch00_1"),
    ],
)
def test_the_second_stream_of_a_known_make_is_looked_for_at_its_address(main: str, sub: str) -> None:
    assert sub in sub_urls(main)


def test_a_hosts_name_is_never_changed_and_few_addresses_are_tried() -> None:
    assert sub_urls("rtsp://main/live") == ()
    assert sub_urls("rtsp://h") == ()
    assert len(sub_urls("rtsp://h/channels/101/main/stream1/video1/profile1_0?subtype=0&stream=0")) == 3
