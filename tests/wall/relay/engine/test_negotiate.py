"""A table of real offers and of odd ones, each answered or refused."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.errors import BadOfferError
from services.wall.relay.engine import sdp
from services.wall.relay.engine.negotiate import Agreement, negotiate
from tests.wall.relay.engine.answers import wrong_in

OFFERS = Path(__file__).parent / "offers"
LOCAL = sdp.LocalTransport("ours", "x" * 24, "AA:BB", "passive", (sdp.HostCandidate("192.0.2.1", 8189, 2130706431),))
MANY = 64


def offer_of(player: str) -> str:
    return (OFFERS / f"{player}.sdp").read_bytes().decode()


def answer_to(text: str) -> tuple[Agreement, str]:
    offer = sdp.parse_offer(text)
    agreed = negotiate(offer, MANY)
    sent = {
        place: sdp.SentMedia(choice.formats, 10 + place, None, offer.sections[place].extensions, "s", f"v{place}")
        for place, choice in agreed.videos.items()
    }
    if agreed.sound is not None:
        sent[agreed.sound[0]] = sdp.SentMedia(agreed.sound[1], 99, None, {}, "s", "a")
    return agreed, sdp.build_answer(offer, agreed.bundle, sent, LOCAL, 1, "cname")


class Answered(NamedTuple):
    """What a player's offer is answered with."""

    lines: str
    """Each section's kind, and its port or 0."""
    bundle: str
    h264: int
    """The payload type of the first video section."""


PLAYERS = {
    "chromium": Answered("video 8189, video 8189, audio 8189, application 0", "0 1 2", 116),
    "firefox": Answered("video 8189, audio 8189", "0 1", 126),
    "safari": Answered("audio 8189, video 8189", "0 1", 96),
    "gstreamer": Answered("video 8189, audio 8189", "video0 audio1", 101),
    "pion": Answered("video 8189, audio 8189", "0 1", 112),
    "libdatachannel": Answered("video 8189, audio 8189", "0 1", 96),
    "aiortc": Answered("video 8189", "0", 99),
}


@pytest.mark.parametrize("player", PLAYERS)
def test_a_players_offer_is_answered_with_what_it_can_take(player: str) -> None:
    agreed, answer = answer_to(offer_of(player))
    sections = ", ".join(" ".join(found) for found in re.findall(r"^m=(\S+) (\d+)", answer, re.MULTILINE))
    assert sections == PLAYERS[player].lines
    assert f"a=group:BUNDLE {PLAYERS[player].bundle}\r\n" in answer
    assert not wrong_in(offer_of(player), answer)
    first = next(iter(agreed.videos.values()))
    assert first.by_codec["h264"].payload_type == PLAYERS[player].h264
    assert agreed.transport.ufrag
    assert agreed.transport.fingerprints


def test_obs_which_wants_to_send_is_told_that_this_server_sends() -> None:
    with pytest.raises(BadOfferError, match=r"mid 1 cannot be used: it wants to send .* offer recvonly"):
        answer_to(offer_of("obs"))


def test_an_extension_that_was_offered_for_one_direction_is_answered_with_the_other() -> None:
    _, answer = answer_to(offer_of("firefox"))
    assert f"a=extmap:6/sendonly {sdp.PLAYOUT_DELAY}\r\n" in answer
    assert f"a=extmap:4 {sdp.ABS_SEND_TIME}\r\n" in answer
    _, answer = answer_to(offer_of("firefox").replace("extmap:6/recvonly", "extmap:6/sendonly"))
    assert sdp.PLAYOUT_DELAY not in answer


def test_feedback_for_payload_types_that_the_section_does_not_list_is_not_answered() -> None:
    _, answer = answer_to(offer_of("firefox"))
    assert "a=rtcp-fb:126 nack pli\r\n" in answer
    assert not re.search(r"a=rtcp-fb:12[23] ", answer)


HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
H264 = ("a=rtpmap:102 H264/90000", "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
OPUS = ("a=rtpmap:111 opus/48000/2",)
PRINT = ":".join(["AB"] * 32)


def section(
    mid: str,
    *lines: str,
    kind: str = "video",
    number: int = 102,
    port: int = 9,
    protocol: str = "UDP/TLS/RTP/SAVPF",
    direction: str = "recvonly",
    ufrag: str = "abcd",
) -> str:
    """A media section with a transport of its own."""
    own = (f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{'p' * 24}", f"a=fingerprint:sha-256 {PRINT}", "a=setup:actpass")
    named = (f"a=mid:{mid}",) if mid else ()
    transport = own if ufrag else ()
    every = (f"m={kind} {port} {protocol} {number}", "c=IN IP4 0.0.0.0", *transport, *named, f"a={direction}", *lines)
    return "\r\n".join(every) + "\r\n"


SOUND = section("a", *OPUS, kind="audio", number=111, ufrag="sound")
GROUP = "a=group:BUNDLE "


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (section("0", "a=rtpmap:102 VP8/90000"), r"mid 0 cannot be used: it offers VP8, and H264 or H265 can be sent"),
        (section("0", *H264, direction="sendonly"), "wants to send"),
        (section("0", *H264, direction="inactive"), "inactive"),
        (section("0", *H264, port=0), "port is 0"),
        (section("", *H264, protocol="RTP/AVP"), r"without a mid cannot be used: its protocol is RTP/AVP"),
        (section("0", "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=0"), "packetization-mode=1"),
        (section("0", "a=rtpmap:102 H264/90000", "a=fmtp:102 profile-level-id=42e01f"), "packetization-mode=1"),
        (section("0", number=96), "no codec that is known"),
        (section("0", "a=rtpmap:102 H264/48000"), "H264"),
        ("a=ice-lite\r\n" + section("0", *H264), "ICE-lite agent"),
        (SOUND, "no m=video section"),
        (section("0", *H264, ufrag=""), "ice-ufrag"),
        (section("0", "a=ice-lite", *H264), "ICE-lite agent"),
        (section("0", *H264).replace("a=fingerprint", "a=print"), "no fingerprint"),
        (section("0", *H264).replace(PRINT, PRINT[:-3]), "sha-256 fingerprint is not 32 bytes"),
        (section("0", *H264).replace(PRINT, "not:hex"), "sha-256 fingerprint is not 32 bytes"),
        (section("0", *H264, f"a=fingerprint:sha-512 {PRINT}"), "sha-512 fingerprint is not 64 bytes"),
        (section("0", *H264).replace("sha-256", "md5"), "must be SHA-256"),
        (section("0", *H264).replace("ufrag:abcd", "ufrag:a d"), "ice-ufrag"),
        (section("0", *H264).replace("actpass", "holdconn"), "a=setup:holdconn"),
        (section("0", "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=2"), "packetization-mode=1"),
        (section("0", "a=rtpmap:102 H265/90000", "a=fmtp:102 tx-mode=MRST"), "it offers H265"),
        (section("0", "a=rtpmap:102 JPEG/90000"), "it offers JPEG"),
        (section("0", *H264)[:-50], "packetization-mode=1"),
        (section("0", *H264, number=300), "no codec that is known"),
        (section("0", "a=rtpmap:72 H264/90000", number=72), "are among 64 to 95, which RTCP takes"),
        (
            section("0", *H264, "a=rtpmap:96 VP8/90000").replace("102", "72").replace("SAVPF 72", "SAVPF 72 96"),
            "are among 64 to 95, which RTCP takes",
        ),
        (section("0", "a=rtpmap:72 VP8/90000", number=72), "it offers VP8, and H264 or H265 can be sent"),
    ],
)
def test_an_offer_in_which_no_video_can_be_sent_is_refused_with_what_is_missing(offer: str, said: str) -> None:
    for group in ("", GROUP + "0 a\r\n"):
        with pytest.raises(BadOfferError, match=said):
            answer_to(HEAD + group + offer)


def test_h264_without_parameters_is_sent_and_parameters_are_preferred() -> None:
    bare = section("0", "a=rtpmap:102 H264/90000")
    agreed, answer = answer_to(HEAD + bare)
    assert agreed.videos[0].by_codec["h264"].payload_type == 102
    assert "a=sendonly" in answer
    assert "a=fmtp" not in answer
    both = bare.replace("SAVPF 102", "SAVPF 101 102") + "a=rtpmap:101 H264/90000\r\na=fmtp:101 packetization-mode=1\r\n"
    agreed, _ = answer_to(HEAD + both)
    assert agreed.videos[0].by_codec["h264"].payload_type == 101


def test_without_bundle_the_first_video_alone_is_sent_wherever_it_stands() -> None:
    agreed, answer = answer_to(HEAD + SOUND + section("v", *H264, ufrag="video") + section("w", *H264, ufrag="other"))
    assert list(agreed.videos) == [1]
    assert agreed.sound is None
    assert agreed.transport.ufrag == "video"
    assert re.findall(r"^m=(\S+) (\d+)", answer, re.MULTILINE) == [("audio", "0"), ("video", "8189"), ("video", "0")]
    assert "BUNDLE" not in answer


def test_a_rejected_section_says_what_the_payload_type_is_that_it_lists() -> None:
    two = section("1", *H264) + section("2", "a=rtpmap:102 VP8/90000") + SOUND
    _, answer = answer_to(HEAD + GROUP + "1 2\r\n" + two)
    _, _, video, sound = re.split(r"\r\n(?=m=)", answer)
    assert video.startswith("m=video 0 UDP/TLS/RTP/SAVPF 102\r\n")
    assert "a=rtpmap:102 VP8/90000\r\n" in video
    assert sound.startswith("m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n")
    assert "a=rtpmap:111 opus/48000/2\r\n" in sound


def test_payload_types_that_rtcp_takes_are_not_sent_by() -> None:
    first, second = "a=rtpmap:72 H264/90000", "a=rtpmap:96 H264/90000"
    video = section("v", first, second, "a=rtpmap:73 rtx/90000", "a=fmtp:73 apt=96").replace(
        "102\r\n", "72 96 73\r\n", 1
    )
    sound = section("a", "a=rtpmap:95 opus/48000/2", kind="audio", number=95)
    agreed, _ = answer_to(HEAD + GROUP + "v a\r\n" + video + sound)
    (choice,) = agreed.videos.values()
    assert [f.payload_type for f in choice.formats] == [96]
    assert agreed.sound is None


def test_a_lone_section_needs_no_mid() -> None:
    _, answer = answer_to(HEAD + section("", *H264))
    assert "a=mid" not in answer


def test_the_transport_is_that_of_the_first_section_that_is_answered() -> None:
    rejected = section("a", kind="audio", number=9, ufrag="sound")
    agreed, answer = answer_to(HEAD + GROUP + "a v\r\n" + rejected + section("v", *H264, ufrag="video"))
    assert agreed.transport.ufrag == "video"
    assert "a=group:BUNDLE v\r\n" in answer


def test_a_bundled_section_without_transport_takes_the_groups() -> None:
    bundled = section("v", *H264, port=0, ufrag="") + "a=bundle-only\r\n"
    agreed, answer = answer_to(HEAD + GROUP + "a v\r\n" + SOUND + bundled)
    assert list(agreed.videos) == [1]
    assert agreed.transport.ufrag == "sound"
    assert "a=group:BUNDLE a v\r\n" in answer


def test_of_several_groups_the_one_with_most_video_is_answered() -> None:
    videos = "".join(section(mid, *H264, ufrag=f"from{mid}") for mid in "123")
    agreed, answer = answer_to(HEAD + GROUP + "a 1\r\n" + GROUP + "3 2\r\n" + SOUND + videos)
    assert list(agreed.videos) == [2, 3]
    assert agreed.transport.ufrag == "from3"
    assert "a=group:BUNDLE 3 2\r\n" in answer


def test_a_section_that_stands_outside_the_group_is_left_out() -> None:
    agreed, _ = answer_to(HEAD + GROUP + "1\r\n" + section("1", *H264) + section("2", *H264) + SOUND)
    assert list(agreed.videos) == [0]
    assert agreed.sound is None


def test_more_video_than_there_may_be_slots_is_rejected() -> None:
    offer = HEAD + GROUP + "1 2 3\r\n" + "".join(section(mid, *H264) for mid in "123")
    assert list(negotiate(sdp.parse_offer(offer), 2).videos) == [0, 1]


def test_of_two_sections_the_one_that_takes_more_codecs_is_sent_where_one_may_be() -> None:
    h265 = section("1", "a=rtpmap:102 H265/90000")
    both = section("2", *H264, "a=rtpmap:103 H265/90000").replace("SAVPF 102", "SAVPF 102 103")
    agreed = negotiate(sdp.parse_offer(HEAD + GROUP + "1 2\r\n" + h265 + both), 1)
    assert list(agreed.videos) == [1]
    assert set(agreed.videos[1].by_codec) == {"h264", "hevc"}


@pytest.mark.parametrize(
    ("sound", "taken"),
    [
        ("PCMU/8000", True),
        ("pcma/8000/1", True),
        ("PCMU/16000", False),
        ("PCMA/8000/2", False),
        ("opus/48000/2", True),
        ("opus/48000", True),
        ("opus/16000/2", False),
        ("L16/8000", False),
    ],
)
def test_sound_is_sent_by_no_payload_type_that_would_play_it_at_another_pitch(sound: str, taken: bool) -> None:
    offered = section("a", f"a=rtpmap:111 {sound}", kind="audio", number=111)
    agreed, _ = answer_to(HEAD + GROUP + "v a\r\n" + section("v", *H264) + offered)
    assert (agreed.sound is not None) is taken


@pytest.mark.parametrize(
    ("offered", "sent", "taken"),
    [
        ("PCMU/8000", "pcm_mulaw", True),
        ("PCMU/8000", "pcm_alaw", False),
        ("PCMA/8000", "aac", False),
        ("PCMA/8000", "opus", False),
        ("PCMA/8000", "", True),
        ("opus/48000/2", "aac", True),
        ("opus/48000/2", "pcm_alaw", True),
    ],
)
def test_a_section_in_which_the_cameras_sound_cannot_be_sent_is_rejected(offered: str, sent: str, taken: bool) -> None:
    sound = section("a", f"a=rtpmap:111 {offered}", kind="audio", number=111, ufrag="sound")
    offer = sdp.parse_offer(HEAD + GROUP + "a v\r\n" + sound + section("v", *H264))
    agreed = negotiate(offer, MANY, sent)
    assert (agreed.sound is not None) is taken
    assert agreed.bundle == (("a", "v") if taken else ("v",))
    assert agreed.transport.ufrag == ("sound" if taken else "abcd")


UUID = "0c7f2c9e-6f0a-4d0e-9d5f-0d8a5f1f9b6e"
ODD = {
    "blanks at the ends of lines": section("v", *H264).replace("\r\n", " \r\n"),
    "tabs and two blanks behind payload types": section(
        "v", "a=rtpmap:102\tH264/90000", "a=fmtp:102  packetization-mode=1"
    ),
    "two blanks in the media line": section("v", *H264).replace("video 9 ", "video  9 "),
    "line feeds alone": section("v", *H264).replace("\r\n", "\n"),
    "a number of ports": section("v", *H264).replace("video 9 ", "video 9/1 "),
    "a UUID for its mid": section(UUID, *H264),
    "a lower-case name": section("v", "a=rtpmap:102 h264/90000"),
    "blanks between parameters": section("v", H264[0], "a=fmtp:102 level-asymmetry-allowed=1; Packetization-Mode=1"),
    "a payload type twice": section("v", *H264).replace("SAVPF 102", "SAVPF 102 102"),
    "a repair that repairs nothing": section("v", *H264, "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"),
    "lines that nobody knows": section("v", *H264, "a=x-new:1", "b=AS:5000", "a=imageattr:* recv [x=1]"),
    "a sound that is rejected, first": SOUND.replace("audio 9", "audio 0") + section("v", *H264),
    "data, first": section("d", kind="application", protocol="UDP/DTLS/SCTP", number=5000) + section("v", *H264),
    "blanks around an equals sign": section("v", H264[0], "a=fmtp:102 packetization-mode = 1 ;profile-level-id=42e01f"),
    "a fingerprint in an unknown hash beside it": section("v", *H264, "a=fingerprint:sha-1 AB:CD"),
    "two certificates": section("v", *H264, f"a=fingerprint:sha-256 {PRINT.replace('A', 'C')}"),
    "TLS named for TCP": section("v", *H264, protocol="TCP/TLS/RTP/SAVPF"),
    "candidates of TCP, names of mDNS and IPv6 alone": section(
        "v",
        *H264,
        "a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "a=candidate:2 1 udp 1 0c7f2c9e-6f0a-4d0e-9d5f-0d8a5f1f9b6e.local 50000 typ host",
        "a=candidate:3 1 udp 1 2001:db8::1 50000 typ host",
        "a=end-of-candidates",
    ),
    "line ends of both kinds": section("v", *H264).replace("\r\n", "\n", 4),
    "no end of the last line": section("v", *H264)[:-2],
    "it may send too": section("v", *H264, direction="sendrecv"),
    "no direction": section("v", *H264).replace("a=recvonly\r\n", ""),
    "a rejected video before it": section("u", *H264, port=0) + section("v", *H264),
    "a video that wants to send before it": section("u", *H264, direction="sendonly") + section("v", *H264),
    "a video in another codec before it": section("u", "a=rtpmap:102 VP8/90000") + section("v", *H264),
    "High 4:4:4 alone": section("v", H264[0], "a=fmtp:102 packetization-mode=1;profile-level-id=F4001F"),
    "a level that no video fits into": section("v", H264[0], "a=fmtp:102 packetization-mode=1;profile-level-id=42000A"),
    "mode 0 beside mode 1": section("v", *H264, "a=rtpmap:101 H264/90000", "a=fmtp:101 packetization-mode=0").replace(
        "SAVPF 102", "SAVPF 101 102"
    ),
    "text beside it": section("v", *H264) + section("t", "a=rtpmap:98 t140/1000", kind="text", number=98),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("grouped", [True, False])
def test_an_odd_offer_is_answered_with_video(odd: str, grouped: bool) -> None:
    mids = " ".join(re.findall(r"a=mid:(\S+)", ODD[odd]))
    offer = HEAD + (f"{GROUP}{mids}\r\n" if grouped else "") + ODD[odd]
    agreed, answer = answer_to(offer)
    ((place, choice),) = agreed.videos.items()
    assert choice.by_codec["h264"].payload_type == 102
    lines = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert len(lines) == len(re.findall("^m=", ODD[odd], re.MULTILINE))
    assert not wrong_in(offer, answer)
    assert re.match(r"m=video 8189 (UDP|TCP)/TLS/RTP/SAVPF 102", lines[place])


def test_extensions_that_the_session_offers_hold_for_its_sections() -> None:
    extension = f"a=extmap:7 {sdp.PLAYOUT_DELAY}\r\n"
    _, answer = answer_to(HEAD + extension + section("v", *H264))
    assert extension in answer


def test_of_two_extensions_under_one_id_the_first_holds() -> None:
    both = (f"a=extmap:7 {sdp.ABS_SEND_TIME}", f"a=extmap:7 {sdp.PLAYOUT_DELAY}")
    _, answer = answer_to(HEAD + section("v", *H264, *both))
    assert re.findall(r"a=extmap:7 (\S+)", answer) == [sdp.ABS_SEND_TIME]


def test_a_mid_that_a_group_names_twice_is_answered_once() -> None:
    _, answer = answer_to(HEAD + GROUP + "v v a\r\n" + section("v", *H264) + SOUND)
    assert "a=group:BUNDLE v a\r\n" in answer


def test_the_sessions_transport_holds_where_a_section_has_none() -> None:
    own = f"a=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 24}\r\na=fingerprint:SHA-256 {PRINT.lower()}\r\na=setup:active\r\n"
    agreed, _ = answer_to(HEAD + own + section("v", *H264, ufrag=""))
    assert (agreed.transport.ufrag, agreed.transport.setup) == ("abcd", "active")


PIECES = (
    "a=recvonly", "a=sendonly", "a=inactive", "a=sendrecv", "a=bundle-only", "a=mid:0", "a=mid:1", "a=rtcp-mux",
    "a=setup:active", "a=setup:passive", "a=group:BUNDLE 1 0", "a=group:BUNDLE 0", "a=group:BUNDLE", "a=extmap:4 x",
    f"a=extmap:4 {sdp.PLAYOUT_DELAY}", f"a=extmap:4/recvonly {sdp.ABS_SEND_TIME}", "a=rtcp-fb:* nack",
    "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1",
    "m=video 0 UDP/TLS/RTP/SAVPF 96 97", "m=video 9 UDP/TLS/RTP/SAVPF 97 96", "m=audio 9 UDP/TLS/RTP/SAVPF 0 111",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_answer_to_a_changed_offer_says_nothing_that_the_offer_does_not_allow(data: st.DataObject) -> None:
    lines = offer_of(data.draw(st.sampled_from(sorted(PLAYERS)))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 8))):
        place, action = data.draw(st.integers(1, len(lines) - 2)), data.draw(st.sampled_from(["drop", "put", "move"]))
        if action == "put":
            lines.insert(place, data.draw(st.sampled_from(PIECES)))
            continue
        line = lines.pop(place)
        if action == "move":
            lines.insert(data.draw(st.integers(1, len(lines) - 1)), line)
    changed = "\r\n".join(lines)
    try:
        _, answer = answer_to(changed)
    except BadOfferError:
        return
    assert not wrong_in(changed, answer)
