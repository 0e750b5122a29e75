"""The client's dialogue against servers that keep to RFC 2326, and against those that do not."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.rtsp.addresses import parse_address
from services.media.rtsp.dialogue import (
    DialogueState,
    DialogueTrack,
    DialogueWishes,
    RtspDialogue,
    RtspFault,
)
from services.media.rtsp.framing import RtspFramer
from services.media.rtsp.messages import RtspHeaders, RtspMessage, RtspRequest, RtspResponse, parse_head

SDP = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n"
)

Answer = RtspResponse | list[RtspResponse] | None


def ok(headers: dict[str, str] | None = None, body: str = "") -> RtspResponse:
    return RtspResponse(200, RtspHeaders(headers or {}), body.encode())


def refused(status: int, **headers: str) -> RtspResponse:
    return RtspResponse(status, RtspHeaders({name.replace("_", "-"): value for name, value in headers.items()}))


@dataclass
class Server:
    """Answers as a good camera does, but for the methods in ``odd``."""

    odd: dict[str, Callable[[RtspRequest, int], Answer]] = field(default_factory=dict)
    sdp: str = SDP
    requests: list[RtspRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts: dict[str, int] = {}

    def answer(self, request: RtspRequest) -> list[RtspResponse]:
        self.requests.append(request)
        count = self.counts.get(request.method, 0)
        self.counts[request.method] = count + 1
        odd = self.odd.get(request.method)
        found = odd(request, count) if odd else self._good(request)
        responses = found if isinstance(found, list) else [found] if found else []
        cseq = request.headers.get("cseq")
        return [
            RtspResponse(r.status, RtspHeaders([("cseq", r.headers.get("cseq", cseq)), *r.headers]), r.body)
            for r in responses
        ]

    def _good(self, request: RtspRequest) -> RtspResponse:
        if request.method == "OPTIONS":
            return ok({"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"})
        if request.method == "DESCRIBE":
            return ok({"Content-Base": request.url + "/"}, self.sdp)
        if request.method == "SETUP":
            asked = request.headers.get("transport")
            return ok({"Transport": asked, "Session": "abc;timeout=60"})
        return ok({"Session": "abc"})

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


class Client:
    """A dialogue and the time."""

    def __init__(self, server: Server, *, url: str = "rtsp://cam/live", **wishes: object) -> None:
        self.server = server
        self.now = 100.0
        self.set_up: list[DialogueTrack] = []
        known = DialogueWishes(make_cnonce=lambda: "c0", **wishes)  # type: ignore[arg-type]  # a test's keywords
        self.dialogue = RtspDialogue(parse_address(url), known, on_track=self.set_up.append)

    def start(self) -> "Client":
        self.dialogue.start(self.now)
        return self.pump()

    def pump(self) -> "Client":
        for _ in range(200):
            output = self.dialogue.take_output()
            if not output:
                break
            for request in requests_in(output):
                for response in self.server.answer(request):
                    self.dialogue.received(response, self.now)
                    if self.dialogue.end or self.dialogue.reconnect:
                        return self
        return self

    def pass_seconds(self, seconds: float) -> "Client":
        for _ in range(round(seconds / 0.25)):
            self.now += 0.25
            self.dialogue.tick(self.now)
            self.pump()
        return self

    @property
    def plays(self) -> bool:
        return self.dialogue.state is DialogueState.PLAYING and self.dialogue.end is None

    @property
    def fault(self) -> RtspFault | None:
        return self.dialogue.end.fault if self.dialogue.end else None


def requests_in(output: bytes) -> list[RtspRequest]:
    found: list[RtspMessage] = []
    RtspFramer(found.append).feed(output)
    return [message for message in found if isinstance(message, RtspRequest)]


def test_a_good_camera_plays_and_every_request_names_its_user_agent() -> None:
    server = Server()
    client = Client(server, audio=True).start()
    assert client.plays
    assert server.methods() == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY"]
    assert [request.url for request in server.requests[2:]] == [
        "rtsp://cam/live/trackID=0", "rtsp://cam/live/trackID=1", "rtsp://cam/live/",
    ]  # fmt: skip
    assert all(request.headers.get("user-agent") for request in server.requests)
    assert [track.channels for track in client.set_up] == [(0, 1), (2, 3)]
    assert server.requests[-1].headers.get("session") == "abc"


def test_without_audio_wanted_none_is_set_up() -> None:
    server = Server()
    assert Client(server).start().plays
    assert server.methods().count("SETUP") == 1


# authentication


def guard(challenges: list[str], accepted: str) -> Callable[[RtspRequest, int], Answer]:
    def answer(request: RtspRequest, _count: int) -> Answer:
        if accepted in request.headers.get("authorization"):
            return Server()._good(request)
        return RtspResponse(401, RtspHeaders([("www-authenticate", challenge) for challenge in challenges]))

    return answer


DIGEST = 'Digest realm="r", nonce="n"'
ALL_METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER")


def guarded(challenges: list[str], accepted: str) -> Server:
    return Server({method: guard(challenges, accepted) for method in ALL_METHODS})


@pytest.mark.parametrize(
    ("challenges", "accepted"),
    [
        (['Basic realm="r"'], "Basic dTpw"),
        ([DIGEST], 'Digest username="u"'),
        ([f'Basic realm="r", {DIGEST}'], "Digest"),
        (
            ['Basic realm="r"', 'Digest realm="r", nonce="n"', 'Digest realm="r", nonce="m", algorithm=SHA-256'],
            "SHA-256",
        ),
        (['Digest realm="r", nonce="n", qop="auth", algorithm=MD5'], "nc=0000000"),
    ],
)
def test_a_camera_with_a_password_plays(challenges: list[str], accepted: str) -> None:
    server = guarded(challenges, accepted)
    assert Client(server, username="u", password="p").start().plays
    assert server.methods() == ["OPTIONS", "OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_a_wrong_password_is_sent_once() -> None:
    numbers = iter(range(100))

    def refuse(_request: RtspRequest, _count: int) -> Answer:
        return refused(401, www_authenticate=f'Digest realm="r", nonce="n{next(numbers)}"')

    server = Server(dict.fromkeys(ALL_METHODS, refuse))
    client = Client(server, username="u", password="p").start()
    assert client.fault is RtspFault.UNAUTHORIZED
    assert sum("authorization" in request.headers for request in server.requests) == 1


def test_no_password_where_one_is_asked_for() -> None:
    client = Client(guarded(['Basic realm="r"'], "Basic")).start()
    assert client.fault is RtspFault.UNAUTHORIZED
    assert len(client.server.requests) == 1


def test_an_authentication_that_is_not_known_is_not_a_wrong_password() -> None:
    client = Client(guarded(['Digest realm="r", nonce="n", algorithm=SHA-512-256'], "x"), username="u").start()
    assert client.fault is RtspFault.UNSUPPORTED_AUTH
    assert client.dialogue.end is not None
    assert "SHA-512-256" in client.dialogue.end.detail


def test_a_new_nonce_for_each_request_is_followed() -> None:
    nonces = iter(range(100))
    current = [""]

    def answer(request: RtspRequest, _count: int) -> Answer:
        given = request.headers.get("authorization")
        good = current[0] and f'nonce="{current[0]}"' in given
        current[0] = f"n{next(nonces)}"
        return (
            Server()._good(request)
            if good
            else refused(401, www_authenticate=f'Digest realm="r", nonce="{current[0]}"')
        )

    server = Server(dict.fromkeys(ALL_METHODS, answer))
    client = Client(server, username="u", password="p").start()
    assert client.plays
    client.pass_seconds(45)
    assert client.plays
    assert sum(request.method == "GET_PARAMETER" and current[0] != "" for request in server.requests) >= 3


def test_a_stale_nonce_is_replaced() -> None:
    def play(request: RtspRequest, count: int) -> Answer:
        if count < 2:
            return refused(401, www_authenticate=f'Digest realm="r", nonce="p{count}", stale=true')
        return Server()._good(request)

    server = Server({"DESCRIBE": guard(['Digest realm="r", nonce="n"'], "Digest"), "PLAY": play})
    assert Client(server, username="u", password="p").start().plays


# addresses


@pytest.mark.parametrize(
    "base", ["", "rtsp://cam/live/rtsp://cam/live/", "cam/live/", "rtsp://10.9.8.7/live/", "/live/", "live/"]
)
@pytest.mark.parametrize("control", ["trackID=0", "/trackID=0", "rtsp://10.9.8.7:99/live/trackID=0", "*", "?x=1", None])
def test_bases_and_controls_of_every_shape_play_on_the_connected_host(base: str, control: str | None) -> None:
    line = f"a=control:{control}\r\n" if control is not None else ""
    sdp = f"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n{line}"

    def describe(_request: RtspRequest, _count: int) -> Answer:
        return ok({"Content-Base": base} if base else {}, sdp)

    server = Server({"DESCRIBE": describe})
    assert Client(server).start().plays
    setup = next(request for request in server.requests if request.method == "SETUP")
    assert setup.url.startswith("rtsp://cam/live")


def test_another_url_is_tried_where_the_first_is_not_found() -> None:
    def setup(request: RtspRequest, _count: int) -> Answer:
        return Server()._good(request) if request.url == "rtsp://cam/trackID=0" else refused(404)

    def play(request: RtspRequest, _count: int) -> Answer:
        return Server()._good(request) if request.url == "rtsp://cam/live" else refused(454)

    server = Server({"SETUP": setup, "PLAY": play}, sdp=SDP.replace("trackID=0", "/trackID=0"))
    assert Client(server).start().plays


def test_a_redirect_on_the_same_server_keeps_the_connection() -> None:
    def describe(request: RtspRequest, count: int) -> Answer:
        return refused(302, location="rtsp://cam/other") if not count else Server()._good(request)

    client = Client(Server({"DESCRIBE": describe})).start()
    assert client.plays
    assert client.dialogue.address.path == "/other"


def test_a_redirect_to_another_server_asks_for_a_connection_there() -> None:
    client = Client(Server({"DESCRIBE": lambda *_: refused(301, location="rtsp://other:99/x")})).start()
    assert client.dialogue.reconnect is not None
    assert client.dialogue.reconnect.endpoint == ("other", 99, False)
    client.server.odd.clear()
    assert client.start().plays


def test_redirects_without_an_end_are_refused() -> None:
    client = Client(Server({"DESCRIBE": lambda _r, count: refused(302, location=f"/{count}")})).start()
    assert client.fault is RtspFault.REDIRECT_LOOP
    assert client.server.counts["DESCRIBE"] <= 11


def test_a_password_goes_to_another_host_as_a_digest_alone() -> None:
    client = Client(
        Server({"DESCRIBE": lambda *_: refused(302, location="rtsp://elsewhere/x")}), username="u", password="p"
    ).start()
    client.server = guarded(['Basic realm="r"'], "Basic")
    assert client.start().fault is RtspFault.UNSUPPORTED_AUTH
    assert not any("authorization" in request.headers for request in client.server.requests)


# transports


def transport_answer(text: str) -> Callable[[RtspRequest, int], Answer]:
    return lambda _request, _count: ok({"Transport": text, "Session": "abc"})


@pytest.mark.parametrize(
    ("answer", "channels"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", (4, 5)),
        ("RTP/AVP;unicast;interleaved=0-1", (0, 1)),
        ("RTP/AVP;unicast", (0, 1)),
        ("RTP/AVP/TCP;unicast;interleaved=9", (9, 10)),
        ("", (0, 1)),
    ],
)
def test_transports_as_cameras_answer_them(answer: str, channels: tuple[int, int]) -> None:
    client = Client(Server({"SETUP": transport_answer(answer)})).start()
    assert client.plays
    assert (client.set_up[0].transport, client.set_up[0].channels) == ("tcp", channels)


def no_tcp(request: RtspRequest, _count: int) -> Answer:
    asked = request.headers.get("transport")
    return refused(461) if "TCP" in asked else ok({"Transport": asked + ";server_port=7000-7001", "Session": "a"})


def test_udp_is_tried_on_the_same_connection_where_tcp_is_refused() -> None:
    client = Client(Server({"SETUP": no_tcp}), open_ports=lambda: (5000, 5001), audio=True).start()
    assert client.plays
    assert [track.transport for track in client.set_up] == ["udp", "udp"]
    assert client.set_up[0].server_ports == (7000, 7001)
    assert client.server.methods().count("SETUP") == 3, "sound does not ask for TCP again"


def test_a_camera_of_udp_alone_is_told_so_where_tcp_is_wanted() -> None:
    client = Client(Server({"SETUP": no_tcp}), transport="tcp", open_ports=lambda: (5000, 5001)).start()
    assert client.fault is RtspFault.UNSUPPORTED_TRANSPORT


def test_a_camera_that_answers_tcp_with_udp_is_asked_for_udp() -> None:
    answer = "RTP/AVP/UDP;unicast;client_port=0-1;server_port=7000-7001"
    client = Client(Server({"SETUP": transport_answer(answer)}), open_ports=lambda: (5000, 5001)).start()
    assert client.set_up[0].transport == "udp"


def test_without_a_free_port_udp_is_refused() -> None:
    assert Client(Server({"SETUP": no_tcp})).start().fault is RtspFault.UNSUPPORTED_TRANSPORT


# what is refused, and why


@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (403, RtspFault.UNAUTHORIZED),
        (404, RtspFault.NOT_FOUND),
        (453, RtspFault.TOO_MANY_CLIENTS),
        (461, RtspFault.UNSUPPORTED_TRANSPORT),
        (406, RtspFault.REJECTED),
        (500, RtspFault.REJECTED),
        (503, RtspFault.REJECTED),
    ],
)
def test_refusals_are_told_apart(method: str, status: int, fault: RtspFault) -> None:
    client = Client(Server({method: lambda *_: refused(status)})).start()
    assert client.fault is fault


def test_a_refused_options_is_no_refusal() -> None:
    assert Client(Server({"OPTIONS": lambda *_: refused(501)})).start().plays


def test_options_that_nobody_answers_are_passed_over() -> None:
    client = Client(Server({"OPTIONS": lambda *_: None})).start().pass_seconds(3)
    assert client.plays


def test_time_that_passes_before_the_connection_is_used_sends_nothing() -> None:
    client = Client(Server())
    client.dialogue.tick(client.now)
    assert client.dialogue.take_output() == b""
    assert client.start().plays


def test_sound_without_pictures_is_told_so() -> None:
    sdp = "v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\n"
    client = Client(Server(sdp=sdp), audio=True).start()
    assert client.fault is RtspFault.NO_VIDEO
    assert "SETUP" not in client.server.methods()


def test_a_codec_that_cannot_be_read_is_named() -> None:
    server = Server(sdp="v=0\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 MP4V-ES/90000\r\n")
    client = Client(server, is_readable=lambda _kind, known: known.encoding == "h264").start()
    assert client.fault is RtspFault.UNSUPPORTED_CODEC
    assert client.dialogue.end is not None
    assert client.dialogue.end.encodings == ("mp4v-es",)


@pytest.mark.parametrize(("body", "fault"), [("", RtspFault.BAD_ANSWER), ("v=0\r\nm=vid", RtspFault.BAD_DESCRIPTION)])
def test_descriptions_that_are_none(body: str, fault: RtspFault) -> None:
    assert Client(Server(sdp=body)).start().fault is fault


def test_sound_that_cannot_be_set_up_costs_no_picture() -> None:
    def setup(request: RtspRequest, _count: int) -> Answer:
        return refused(400) if "trackID=1" in request.url else Server()._good(request)

    client = Client(Server({"SETUP": setup}), audio=True).start()
    assert client.plays
    assert client.dialogue.without_audio
    assert len(client.set_up) == 1


# the session


def test_a_session_that_changes_at_play_is_the_one_that_is_kept_alive() -> None:
    client = Client(Server({"PLAY": lambda *_: ok({"Session": "other"})})).start().pass_seconds(25)
    assert client.server.requests[-1].method == "GET_PARAMETER"
    assert client.server.requests[-1].headers.get("session") == "other"


def test_a_range_that_is_refused_is_left_out() -> None:
    def play(request: RtspRequest, _count: int) -> Answer:
        return refused(457) if "range" in request.headers else ok({"Session": "abc"})

    assert Client(Server({"PLAY": play})).start().plays


@pytest.mark.parametrize(("seconds", "least"), [(60, 3), (10, 15), (2, 40), (0, 3)])
def test_keep_alives_come_thrice_in_a_sessions_time(seconds: int, least: int) -> None:
    server = Server(
        {"SETUP": lambda r, _: ok({"Transport": r.headers.get("transport"), "Session": f"a;timeout={seconds}"})}
    )
    client = Client(server).start().pass_seconds(62)
    assert client.plays
    assert least <= server.counts["GET_PARAMETER"] <= 124


def test_keep_alives_are_by_what_the_camera_supports() -> None:
    server = Server({"OPTIONS": lambda *_: ok({"Public": "DESCRIBE, SETUP, PLAY, SET_PARAMETER"})})
    Client(server).start().pass_seconds(25)
    assert server.methods()[-1] in ("OPTIONS", "SET_PARAMETER")
    assert "GET_PARAMETER" not in server.methods()


def test_a_keep_alive_that_is_refused_is_sent_another_way() -> None:
    server = Server({"GET_PARAMETER": lambda *_: refused(501)})
    client = Client(server).start().pass_seconds(60)
    assert client.plays
    assert server.counts["GET_PARAMETER"] == 1
    assert server.counts["OPTIONS"] >= 2


def test_keep_alives_that_nobody_answers_go_on() -> None:
    server = Server({"GET_PARAMETER": lambda *_: None})
    client = Client(server).start().pass_seconds(600)
    assert client.plays
    assert server.counts["GET_PARAMETER"] >= 25


def test_beside_a_keep_alive_that_is_not_answered_another_one_is_sent() -> None:
    server = Server({"GET_PARAMETER": lambda *_: None})
    client = Client(server).start()
    server.requests.clear()
    client.pass_seconds(62)
    assert server.methods() == ["GET_PARAMETER", "GET_PARAMETER", "OPTIONS", "GET_PARAMETER", "OPTIONS"]


def test_a_late_answer_to_options_is_no_verdict_on_what_was_asked_since() -> None:
    def options(_request: RtspRequest, _count: int) -> Answer:
        return None

    def describe(request: RtspRequest, count: int) -> Answer:
        challenge = {"www_authenticate": f'Digest realm="r", nonce="{count}"'}
        first = request.headers.get("cseq")
        late = refused(401, cseq=str(int(first) - 1), www_authenticate='Digest realm="r", nonce="old"')
        if 'nonce="0"' not in request.headers.get("authorization"):
            return [late, refused(401, **challenge)] if not count else refused(401, **challenge)
        return ok({"Content-Base": request.url + "/"}, SDP)

    server = Server({"OPTIONS": options, "DESCRIBE": describe})
    client = Client(server, username="u", password="p").start().pass_seconds(3)
    assert client.plays
    assert server.counts["OPTIONS"] == 1


def test_requests_of_the_server_are_answered() -> None:
    client = Client(Server()).start()
    for method, status in (("OPTIONS", 200), ("SET_PARAMETER", 200), ("ANNOUNCE", 200), ("RECORD", 501)):
        client.dialogue.received(RtspRequest(method, "*", RtspHeaders({"CSeq": "77"})), client.now)
        head = client.dialogue.take_output().partition(b"\r\n\r\n")[0]
        answer = parse_head(head)
        assert isinstance(answer, RtspResponse)
        assert (answer.status, answer.headers.get("cseq")) == (status, "77")
    assert client.plays


def test_a_server_that_ends_the_session_is_taken_at_its_word() -> None:
    client = Client(Server()).start()
    client.dialogue.received(RtspRequest("TEARDOWN", "*"), client.now)
    assert client.fault is RtspFault.ENDED


def test_answers_without_or_with_a_wrong_number_are_taken_in_order() -> None:
    wrong = iter(range(9000, 9100))

    class Odd(Server):
        def answer(self, request: RtspRequest) -> list[RtspResponse]:
            found = super().answer(request)
            number = str(next(wrong)) if len(self.requests) % 2 else ""
            return [
                RtspResponse(r.status, RtspHeaders([*list(r.headers)[1:], ("cseq", number)]), r.body) for r in found
            ]

    assert Client(Odd()).start().plays


def test_teardown_is_sent_once_and_only_for_a_session() -> None:
    client = Client(Server()).start()
    client.dialogue.teardown()
    client.dialogue.teardown()
    assert [request.method for request in requests_in(client.dialogue.take_output())] == ["TEARDOWN"]
    other = Client(Server({"DESCRIBE": lambda *_: refused(404)})).start()
    other.dialogue.teardown()
    assert other.dialogue.take_output() == b""


statuses = st.sampled_from([100, 200, 200, 200, 301, 302, 400, 401, 404, 453, 454, 457, 461, 500])
header_names = st.sampled_from(
    ["www-authenticate", "location", "transport", "session", "content-base", "cseq", "public"]
)
header_values = st.one_of(
    st.text(max_size=30),
    st.sampled_from(['Digest realm="r", nonce="n"', "rtsp://cam/1", "RTP/AVP/TCP;interleaved=0-1", "a;timeout=1"]),
)


@given(
    st.lists(
        st.tuples(
            statuses, st.lists(st.tuples(header_names, header_values), max_size=4), st.sampled_from([SDP, "", "v"])
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_any_answers_lead_to_playing_or_to_a_verdict(
    answers: list[tuple[int, list[tuple[str, str]], str]],
) -> None:
    client = Client(Server(), audio=True, username="u", password="p", open_ports=lambda: (5000, 5001))
    client.dialogue.start(client.now)
    sent = 0
    for status, headers, body in answers:
        sent += len(requests_in(client.dialogue.take_output()))
        client.dialogue.received(RtspResponse(status, RtspHeaders(headers), body.encode()), client.now)
        client.dialogue.tick(client.now)
        if client.dialogue.end is not None:
            break
    assert sent <= len(answers) + 1
