"""Session descriptions."""

from base64 import b64decode

from services.sim import sdp
from services.sim.clip import ClipUnit, EncodedClip

UNITS = tuple(ClipUnit(index, keyframe=index == 0, data=bytes(1000)) for index in range(25))
H264 = EncodedClip("h264", 1280, 720, 90_000, 3600, (b"\x67\x4d\x00\x1fx", b"\x68y"), UNITS)
HEVC = EncodedClip("hevc", 1280, 720, 90_000, 3600, (b"\x40v", b"\x42s", b"\x44p"), UNITS)
AAC = EncodedClip("aac", 0, 0, 16_000, 1024, (b"\x14\x08",), UNITS)


def test_h264_names_profile_and_parameter_sets() -> None:
    text = sdp.describe("cam-001 main", "127.0.0.1", [H264])
    assert "m=video 0 RTP/AVP 96\r\n" in text
    assert "b=AS:200\r\n" in text
    assert "a=framerate:25\r\n" in text
    assert "profile-level-id=4d001f" in text
    sprop = text.partition("sprop-parameter-sets=")[2].partition("\r\n")[0]
    assert [b64decode(part) for part in sprop.split(",")] == list(H264.parameter_sets)


def test_parameter_sets_can_be_left_out() -> None:
    assert "sprop" not in sdp.describe("x", "127.0.0.1", [H264], sprop=False)
    assert "a=fmtp" not in sdp.describe("x", "127.0.0.1", [HEVC], sprop=False)


def test_tracks_have_controls_of_their_own() -> None:
    text = sdp.describe("x", "::1", [HEVC, AAC])
    assert "o=- 0 0 IN IP6 ::1\r\n" in text
    assert "sprop-vps=QHY=;sprop-sps=QnM=;sprop-pps=RHA=" in text
    assert "a=rtpmap:97 mpeg4-generic/16000/1\r\n" in text
    assert "config=1408" in text
    assert text.index("a=control:trackID=0") < text.index("m=audio") < text.index("a=control:trackID=1")
