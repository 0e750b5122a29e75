import pytest

from services.contracts.catalogue import CameraInput, CameraPatch
from services.contracts.models import Camera
from services.contracts.source_urls import url_trouble

HARMFUL = (
    "rtsp://[64:ff9b::169.254.169.254]/",
    "rtsp://[::a9fe:a9fe]/",
    "http://192.0.2.1/live?listen=1",
    "http://192.0.2.1/live?a=b&LISTEN",
    "rtsp://192.0.2.1/live?%6cisten=1",
    "rtsp://192.0.2.1/live?rtsp_flags=prefer_tcp%2Blisten",
    "rtmp://192.0.2.1/live?listen=2",
    "srt://192.0.2.1:9000?latency=5&mode=listener",
    "srt://192.0.2.1:9000?mode=Rendezvous",
    "srt://192.0.2.1:9000?streamid=a;mode=server",
    "udp://192.0.2.1:5000?localaddr=127.0.0.1",
    "rtp://192.0.2.1:5000?localrtpport=22",
    "udp://0.0.0.0:5000",
    "srt://[::]:9000",
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:169.254.169.254]/",
    "rtsp://192.0.2.1/a\r\nDESCRIBE rtsp://192.0.2.2/",
    "rtsp://192.0.2.1/\0",
    "rtsp://192.0.2.1/\x7f",
)
HARMLESS = (
    "rtsp://192.0.2.1:554/Streaming/Channels/101?transportmode=unicast",
    "rtsp://192.0.2.1/cam/realmonitor?channel=1&subtype=0",
    "http://camera.example/mjpg?mode=live&listen=0",
    "srt://192.0.2.1:9000?mode=caller&streamid=a b",
    "udp://239.1.1.1:5000",
    "rtsp://[2001:db8::1]/",
    "rtsp://127.0.0.1:8554/cam",
)


@pytest.mark.parametrize("url", HARMFUL)
def test_a_url_that_listens_binds_or_leads_to_the_machine_itself_is_refused(url: str) -> None:
    assert url_trouble(url)
    with pytest.raises(ValueError, match=r"profiles|source URL"):
        CameraInput.model_validate({"name": "a", "profiles": {"main": url}})
    with pytest.raises(ValueError, match=r"profiles|source URL"):
        CameraPatch.model_validate({"profiles": {"sub": {"url": url}}})


@pytest.mark.parametrize("url", HARMLESS)
def test_a_camera_s_own_query_is_left_alone(url: str) -> None:
    assert url_trouble(url) == ""
    assert CameraInput.model_validate({"name": "a", "profiles": {"main": url}})


def test_a_camera_of_before_stays_in_the_catalogue() -> None:
    profiles = {"main": {"url": "http://169.254.1.1/"}}
    assert Camera.model_validate({"id": "a", "site": "city", "name": "a", "profiles": profiles})
