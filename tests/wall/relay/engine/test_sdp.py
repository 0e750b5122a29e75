import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.errors import BadOfferError
from services.wall.relay.engine import sdp
from services.wall.relay.engine.negotiate import choose_video, negotiate

OFFERS = Path(__file__).parent / "offers"
CHROMIUM = (OFFERS / "chromium.sdp").read_bytes().decode()
LOCAL = sdp.LocalTransport("ours", "x" * 24, "AA:BB", "passive", (sdp.HostCandidate("192.0.2.1", 8189, 2130706431),))


def answer_to(text: str) -> tuple[sdp.Offer, str]:
    offer = sdp.parse_offer(text)
    agreed = negotiate(offer, 64)
    accepted = {
        place: sdp.SentMedia(choice.formats, 10 + place, 20 + place, offer.sections[place].extensions, "s", "t")
        for place, choice in agreed.videos.items()
    }
    mids = [offer.sections[place].mid for place in accepted if agreed.bundle]
    return offer, sdp.build_answer(offer, mids, accepted, LOCAL, 1, "cname")


def test_chromiums_offer_gives_what_is_needed() -> None:
    offer = sdp.parse_offer(CHROMIUM)
    assert [s.kind for s in offer.sections] == ["video", "video", "audio", "application"]
    assert offer.bundles == (tuple(s.mid for s in offer.sections),)
    video = offer.sections[0]
    assert video.transport.setup == "actpass"
    assert video.transport.fingerprints[0][0] == "sha-256"
    assert set(video.extensions) == {sdp.PLAYOUT_DELAY, sdp.ABS_SEND_TIME}
    choice = choose_video(video)
    assert choice.by_codec["h264"].parameters["packetization-mode"] == "1"
    assert choice.by_codec["h264"].parameters["profile-level-id"].startswith(("64", "4d"))
    assert "nack pli" in choice.by_codec["h264"].feedback
    assert choice.formats[-1].codec == "RTX"


def test_an_answer_mirrors_the_offers_sections_and_rejects_what_is_not_ours() -> None:
    offer, answer = answer_to(CHROMIUM)
    lines = re.findall(r"^m=(\S+) (\d+)", answer, re.MULTILINE)
    assert lines == [("video", "8189"), ("video", "8189"), ("audio", "0"), ("application", "0")]
    assert f"a=group:BUNDLE {offer.sections[0].mid} {offer.sections[1].mid}\r\n" in answer
    assert answer.count("a=candidate:1 1 udp 2130706431 192.0.2.1 8189 typ host") == 2
    assert "a=ice-lite\r\n" in answer
    assert "a=ssrc-group:FID 10 20\r\n" in answer
    assert "transport-cc" not in answer


def test_h264_is_chosen_by_the_richest_profile() -> None:
    lines = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 1 2 3 4"]
    lines += ["a=mid:0", "a=recvonly", *(f"a=rtpmap:{n} H264/90000" for n in (1, 2, 3, 4))]
    profiles = {1: ("42e01f", "1"), 2: ("640c1f", "0"), 3: ("4d001f", "1"), 4: ("64001f", "1")}
    lines += [f"a=fmtp:{n} packetization-mode={mode};profile-level-id={p}" for n, (p, mode) in profiles.items()]
    choice = choose_video(sdp.parse_offer("\r\n".join(lines)).sections[0])
    assert choice.by_codec["h264"].payload_type == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0", "x=0"),
        ("a=ice-pwd:", "a=no-pwd:"),
        ("a=fingerprint:", "a=nothing:"),
        ("sha-256", "sha-1"),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=mid:1", "a=mid:0"),
        ("m=video", "m=video x"),
        ("a=mid:0", "a=mid:zero point"),
    ],
)
def test_an_offer_that_cannot_be_answered_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadOfferError):
        answer_to(CHROMIUM.replace(old, new))


@given(st.text(max_size=300))
def test_any_text_is_answered_or_refused(text: str) -> None:
    for offer in (text, "v=0\r\n" + text, "v=0\r\nm=" + text):
        with pytest.raises(BadOfferError):
            answer_to(offer)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_offer_is_answered_or_refused(data: st.DataObject) -> None:
    # passes if nothing raises
    lines = CHROMIUM.split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(lines) - 1))
        action = data.draw(st.sampled_from(["drop", "double", "cut", "garble"]))
        line = lines[place]
        if action == "drop":
            del lines[place]
        elif action == "double":
            lines.insert(place, line)
        elif action == "cut":
            lines[place] = line[: len(line) // 2]
        else:
            lines[place] = line[:3] + data.draw(st.text(max_size=12))
    with contextlib.suppress(BadOfferError):
        answer_to("\r\n".join(lines))


@pytest.mark.parametrize("number", ["\u00b2", "\u0664", "9" * 5000, "-1", "", "1e3"])
@pytest.mark.parametrize(
    "line",
    [
        "m=video {} UDP/TLS/RTP/SAVPF 102",
        "m=video 9 UDP/TLS/RTP/SAVPF {}",
        "a=rtpmap:{first} H264/{}",
        "a=rtpmap:{first} H264/90000/{}",
        "a=rtpmap:{} H264/90000",
        "a=fmtp:103 apt={}",
        "a=extmap:{} " + sdp.ABS_SEND_TIME,
    ],
)
def test_what_is_no_number_where_one_is_expected_is_answered_or_refused(line: str, number: str) -> None:
    begin = line.split("{}", maxsplit=1)[0].rstrip("1234567890/ ").split(":")[0]
    lines = CHROMIUM.split("\r\n")
    place = next(n for n, old in enumerate(lines) if old.startswith(begin))
    first = next(old for old in lines if old.startswith("m=")).split()[3]
    lines[place] = line.format(number, first=first)
    with contextlib.suppress(BadOfferError):
        answer_to("\r\n".join(lines))


def test_nothing_of_an_offer_can_add_lines_to_the_answer() -> None:
    for evil in ("a=mid:0\ra=evil", "a=fmtp:102 x\ra=evil", "a=ice-ufrag:abcd\r\ra=evil"):
        with pytest.raises(BadOfferError):
            sdp.parse_offer(CHROMIUM.replace("a=mid:0", evil, 1))


def test_a_huge_offer_is_refused() -> None:
    with pytest.raises(BadOfferError):
        sdp.parse_offer("v=0\r\n" + "a=x\r\n" * 200_000)
    with pytest.raises(BadOfferError):
        sdp.parse_offer("v=0\r\n" + "m=video 9 X 1\r\n" * 100)
