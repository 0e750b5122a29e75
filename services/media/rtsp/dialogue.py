"""The client's side of one RTSP session (RFC 2326) as a state machine: responses in, requests and verdicts out.

| state    | enters by          | 2xx                  | otherwise                                                 |
|----------|--------------------|----------------------|-----------------------------------------------------------|
| IDLE     | redirect elsewhere | –                    | –                                                         |
| OPTIONS  | `start`            | DESCRIBE             | DESCRIBE; unanswered for 2.5 s: DESCRIBE                  |
| DESCRIBE | OPTIONS            | choose tracks; SETUP | over                                                      |
| SETUP    | DESCRIBE, SETUP    | next SETUP, or PLAY  | 461: other transport; (b) other URL; sound: without; over |
| PLAY     | the last SETUP     | PLAYING              | 457: without Range; (b) other URL; over                   |
| PLAYING  | PLAY               | –                    | a keep-alive refused: another method; unanswered: one more |
| OVER     | `teardown`         | –                    | –                                                         |

(b) is for the statuses of `_TRY_ANOTHER_URL`. "Over" means that `end` holds the verdict; the caller tears down.

In every state: 401 is answered once with a nonce that came for that very request, again only where the server calls
it stale; 3xx goes on at the new address, ten times at most and never twice at the same one; requests of the server are
answered; responses that belong to nothing are dropped. A connection that ends behind a 401 is made once more.

What cameras say of RTP in RTP-Info is not used: it is zero, wrong or absent too often, and nothing needs it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import partial
from typing import Final, NamedTuple

from services.media.rtsp.addresses import RtspAddress, RtspAddressError, base_path, control_urls, redirected
from services.media.rtsp.auth import Authorizer, parse_challenges, strongest
from services.media.rtsp.messages import (
    RtspHeaders,
    RtspMessage,
    RtspRequest,
    RtspResponse,
    TransportOption,
    parse_session,
    parse_transports,
)
from services.media.sdp import RtpFormat, SdpError, SdpMedia, SessionDescription, parse_sdp

USER_AGENT: Final = "Pantau"
MAX_REDIRECTS: Final = 10
OPTIONS_SECONDS: Final = 2.5
"""Some devices never answer OPTIONS; DESCRIBE is sent then."""
SESSION_SECONDS: Final = 60.0
"""A session's time-out where the server names none (RFC 2326, 12.37)."""
ASK_SECONDS: Final = 1.0
_KEEP_ALIVE_SECONDS: Final = (0.5, 20.0)
_KEEP_ALIVE_METHODS: Final = ("GET_PARAMETER", "OPTIONS", "SET_PARAMETER")
_MAX_AUTH_TRIES: Final = 3
_MAX_OPEN_REQUESTS: Final = 8
_TRY_ANOTHER_URL: Final = frozenset((400, 404, 405, 451, 454, 455, 459, 460))
"""Answers to a URL that the server does not take for the track's or the session's."""
_MODES: Final = {"auto": ("tcp", "udp"), "tcp": ("tcp",), "udp": ("udp",)}


class RtspFault(StrEnum):
    """Why a dialogue is over."""

    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_AUTH = "unsupported-auth"
    NOT_FOUND = "not-found"
    TOO_MANY_CLIENTS = "too-many-clients"
    UNSUPPORTED_TRANSPORT = "unsupported-transport"
    REJECTED = "rejected"
    REDIRECT_LOOP = "redirect-loop"
    BAD_ADDRESS = "bad-address"
    BAD_ANSWER = "bad-answer"
    BAD_DESCRIPTION = "bad-description"
    NO_VIDEO = "no-video"
    UNSUPPORTED_CODEC = "unsupported-codec"
    ENDED = "ended"


class DialogueEnd(NamedTuple):
    """The verdict."""

    fault: RtspFault
    detail: str
    """Follows the server's name in a sentence; holds nothing of URLs or credentials."""
    encodings: tuple[str, ...] = ()
    """Of `RtspFault.UNSUPPORTED_CODEC`: what the video is encoded as."""


class DialogueState(Enum):
    """See the module's table."""

    IDLE = "IDLE"
    OPTIONS = "OPTIONS"
    DESCRIBE = "DESCRIBE"
    SETUP = "SETUP"
    PLAY = "PLAY"
    PLAYING = "PLAYING"
    OVER = "OVER"


@dataclass(slots=True)
class DialogueTrack:
    """One media section that is asked for."""

    media: SdpMedia
    formats: tuple[RtpFormat, ...]
    """Those of its formats that can be read, the section's order."""
    urls: list[str]
    """To try; the first is the one in use."""
    transport: str = ""
    """``tcp`` or ``udp``, once set up."""
    channels: tuple[int, int] = (0, 0)
    """Interleaved channels of RTP and RTCP, over TCP."""
    client_ports: tuple[int, int] = (0, 0)
    server_ports: tuple[int, int] | None = None
    source: str = ""
    """Where datagrams come from, if the server says so."""
    ssrc: int | None = None


@dataclass(slots=True)
class _Exchange:
    method: str
    url: str
    headers: list[tuple[str, str]]
    answered: Callable[[RtspResponse], None]
    authorizer: Authorizer | None = None
    answered_own_challenge: bool = False
    tries: int = 0


def _no_ports() -> tuple[int, int] | None:
    return None


@dataclass
class DialogueWishes:
    """What is wanted of a server, and who asks."""

    transport: str = "auto"
    """``auto``, ``tcp`` or ``udp``."""
    audio: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    is_readable: Callable[[str, RtpFormat], bool] = lambda _kind, _format: True
    """Whether a format of a ``video`` or ``audio`` section can be read."""
    open_ports: Callable[[], tuple[int, int] | None] = _no_ports
    """Opens a pair of UDP ports; None where none can be had."""
    make_cnonce: Callable[[], str] = lambda: secrets.token_hex(8)

    @property
    def has_credentials(self) -> bool:
        """Whether a challenge can be answered."""
        return bool(self.username or self.password)


_BEYOND_OPTIONS: Final = frozenset((DialogueState.DESCRIBE, DialogueState.SETUP, DialogueState.PLAY))


class RtspDialogue:
    """Speaks to one server until it plays. Times are seconds of any clock that does not go back."""

    def __init__(
        self,
        address: RtspAddress,
        wishes: DialogueWishes,
        *,
        on_track: Callable[[DialogueTrack], None],
    ) -> None:
        """``on_track`` is called when a track was set up, before anything that follows its answer is looked at."""
        self.address = address
        self.state = DialogueState.IDLE
        self.end: DialogueEnd | None = None
        self.reconnect: RtspAddress | None = None
        """Where a redirect leads to another server: connect there and call `start` again."""
        self.tracks: list[DialogueTrack] = []
        """Those that were set up."""
        self.without_audio = False
        """Sound was wanted, and could not be had."""
        self.answers = 0
        """Messages of the server so far."""
        self._wishes = wishes
        self._on_track = on_track
        self._trusted_host = address.host.lower()
        self._output: list[bytes] = []
        self._cseq = 0
        self._exchanges: dict[int, _Exchange] = {}
        self._authorizer: Authorizer | None = None
        self._carried: Authorizer | None = None
        """For the next connection."""
        self._went_on = False
        self._visited = {address.url}
        self._public: frozenset[str] = frozenset()
        self._base = ""
        self._session_control = ""
        self._todo: list[DialogueTrack] = []
        self._modes = list(_MODES[wishes.transport])
        self._play_urls: list[str] = []
        self._with_range = True
        self._session = ""
        self._session_seconds = SESSION_SECONDS
        self._keep_alives = list(_KEEP_ALIVE_METHODS)
        self._unanswered: set[str] = set()
        """Of them."""
        self._sent_at = 0.0
        self._now = 0.0

    @property
    def has_output(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._output)

    def take_output(self) -> bytes:
        """What is to be sent now."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def start(self, now: float) -> None:
        """The connection is there: to the first server, or to the one that `reconnect` named."""
        self._now = now
        self.reconnect = None
        self.tracks = []
        self._exchanges.clear()
        self._authorizer, self._carried = self._carried, None
        self._session = ""
        self.state = DialogueState.OPTIONS
        self._send("OPTIONS", self.address.url, [], self._on_options)

    def tick(self, now: float) -> None:
        """Time goes on: asks without an answer to OPTIONS, keeps the session alive."""
        self._now = now
        if self.state is DialogueState.OPTIONS and now - self._sent_at >= OPTIONS_SECONDS:
            self._describe()
        elif self.state is DialogueState.PLAYING:
            least, most = _KEEP_ALIVE_SECONDS
            if now - self._sent_at >= max(least, min(self._session_seconds / 3, most)):
                self._keep_alive()

    def ask_if_alive(self, now: float) -> None:
        """Asks for any answer, unless something was asked within `ASK_SECONDS`."""
        self._now = now
        if self.state is DialogueState.PLAYING and now - self._sent_at >= ASK_SECONDS:
            self._keep_alive()

    def received(self, message: RtspMessage, now: float) -> None:
        """Takes a message of the server."""
        self._now = now
        self.answers += 1
        if self.state is DialogueState.OVER:
            return
        if isinstance(message, RtspRequest):
            self._answer(message)
        else:
            self._take_response(message)

    def goes_on_after_loss(self) -> bool:
        """The connection is over. True, once, where it ended behind a challenge: `start` again on another one.

        Some cameras close the connection behind each 401, so that no password could ever be given on the first.
        """
        waiting = list(self._exchanges.values())
        if self._went_on or not waiting or not waiting[-1].answered_own_challenge:
            return False
        self._went_on, self._carried = True, self._authorizer
        return True

    def teardown(self) -> None:
        """Ends the session; its answer is not waited for."""
        if self._session and self.state is not DialogueState.OVER:
            self._send("TEARDOWN", self._play_url(), [], _ignored)
        self.state = DialogueState.OVER

    # messages

    def _send(
        self, method: str, url: str, headers: list[tuple[str, str]], answered: Callable[[RtspResponse], None]
    ) -> None:
        self._send_exchange(_Exchange(method, url, headers, answered))

    def _send_exchange(self, exchange: _Exchange) -> None:
        self._cseq += 1
        fields = [("cseq", str(self._cseq)), ("user-agent", USER_AGENT)]
        if self._session:
            fields.append(("session", self._session))
        exchange.authorizer = self._authorizer
        if self._authorizer is not None:
            fields.append(("authorization", self._authorizer.header(exchange.method, exchange.url)))
        fields += exchange.headers
        while len(self._exchanges) >= _MAX_OPEN_REQUESTS:
            del self._exchanges[next(iter(self._exchanges))]
        self._exchanges[self._cseq] = exchange
        self._sent_at = self._now
        self._output.append(RtspRequest(exchange.method, exchange.url, RtspHeaders(fields)).pack())

    def _answer(self, request: RtspRequest) -> None:
        known = request.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "REDIRECT", "TEARDOWN")
        fields = [("cseq", request.headers.get("cseq", "0")), ("user-agent", USER_AGENT)]
        if session := request.headers.get("session"):
            fields.append(("session", session))
        if request.method == "OPTIONS":
            fields.append(("public", "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE"))
        self._output.append(RtspResponse(200 if known else 501, RtspHeaders(fields)).pack())
        if request.method in ("REDIRECT", "TEARDOWN"):
            self._over(RtspFault.ENDED, "ended the session")

    def _take_response(self, response: RtspResponse) -> None:
        if response.status < 200 or not self._exchanges:
            return
        text = response.headers.get("cseq").split(" ")[0]
        number = int(text[:9]) if text.isascii() and text.isdigit() else -1
        # Some servers leave the number out or answer with one of their own: they answer in order.
        exchange = self._exchanges.pop(number, None) or self._exchanges.pop(next(iter(self._exchanges)))
        if exchange.method == "OPTIONS" and self.state in _BEYOND_OPTIONS:
            return  # it came late; what was asked since is answered, too, and a nonce of an older answer may be void
        if response.status == 401:
            self._challenged(exchange, response)
        elif response.status // 100 == 3 and exchange.method in ("OPTIONS", "DESCRIBE", "SETUP", "PLAY"):
            self._redirected(response)
        else:
            exchange.answered(response)

    def _challenged(self, exchange: _Exchange, response: RtspResponse) -> None:
        challenges = parse_challenges(response.headers.all("www-authenticate"))
        challenge = strongest(challenges)
        if challenge is not None and challenge.scheme == "basic" and self.address.host.lower() != self._trusted_host:
            challenge = None  # a password goes in the clear to the camera alone, not where it redirects to
        used = exchange.authorizer.challenge if exchange.authorizer else None
        if not self._wishes.has_credentials:
            verdict = RtspFault.UNAUTHORIZED, "asks for a user name and password (401)"
        elif challenge is None:
            names = ", ".join(sorted({_named(known.scheme, known.parameters) for known in challenges})) or "none named"
            verdict = RtspFault.UNSUPPORTED_AUTH, f"asks for an authentication that is not known here ({names})"
        elif exchange.tries < _MAX_AUTH_TRIES and (
            used is None
            or (
                (challenge.scheme == "digest" and challenge.nonce != used.nonce)
                and (challenge.stale or not exchange.answered_own_challenge)
            )
        ):
            exchange.tries += 1
            exchange.answered_own_challenge = True
            wishes = self._wishes
            self._authorizer = Authorizer(challenge, wishes.username, wishes.password, wishes.make_cnonce)
            self._send_exchange(exchange)
            return
        else:
            verdict = RtspFault.UNAUTHORIZED, "does not accept the user name and password (401)"
        if self.state is not DialogueState.PLAYING:
            self._over(*verdict)

    def _redirected(self, response: RtspResponse) -> None:
        try:
            address = redirected(self.address, response.headers.get("location"))
        except RtspAddressError as error:
            self._over(RtspFault.BAD_ANSWER, f"redirects to what is no address: {error}")
            return
        if address.url in self._visited or len(self._visited) > MAX_REDIRECTS:
            self._over(RtspFault.REDIRECT_LOOP, "redirects from address to address without an end")
            return
        self._visited.add(address.url)
        old, self.address = self.address, address
        self.tracks = []
        self._exchanges.clear()
        self._session = ""
        if address.endpoint != old.endpoint:
            self.reconnect = address
            self.state = DialogueState.IDLE
        else:
            self._describe()

    # the dialogue

    def _on_options(self, response: RtspResponse) -> None:
        if response.status < 300:
            public = ",".join(response.headers.all("public") + response.headers.all("allow"))
            self._public = frozenset(method.strip().upper() for method in public.split(",") if method.strip())
        if self.state is DialogueState.OPTIONS:
            self._describe()

    def _describe(self) -> None:
        self.state = DialogueState.DESCRIBE
        self._send("DESCRIBE", self.address.url, [("accept", "application/sdp")], self._on_describe)

    def _on_describe(self, response: RtspResponse) -> None:
        if self.state is not DialogueState.DESCRIBE:
            return
        if response.status >= 300:
            self._refused(response.status)
            return
        try:
            description = parse_sdp(response.body)
        except SdpError:
            self._over(RtspFault.BAD_ANSWER, "gives no description of the stream")
            return
        headers = response.headers
        self._base = base_path(self.address, headers.get("content-base") or headers.get("content-location"))
        self._session_control = description.control
        self._todo = self._chosen(description)
        if self._todo:
            self._modes = list(_MODES[self._wishes.transport])
            self._set_up()

    def _chosen(self, description: SessionDescription) -> list[DialogueTrack]:
        chosen: list[DialogueTrack] = []
        for kind in ("video", "audio") if self._wishes.audio else ("video",):
            sections = [media for media in description.media if media.kind == kind]
            for media in sections:
                formats = tuple(known for known in media.formats if self._wishes.is_readable(kind, known))
                if formats:
                    urls = control_urls(self.address, self._base, media.control)
                    chosen.append(DialogueTrack(media, formats, urls))
                    break
            else:
                if kind == "video":
                    self._no_video(description, sections)
                    return []
                self.without_audio = True
        return chosen

    def _no_video(self, description: SessionDescription, sections: list[SdpMedia]) -> None:
        encodings = tuple(known.encoding for media in sections for known in media.formats if known.encoding)
        if sections:
            names = ", ".join(dict.fromkeys(encodings)) or "something that it does not name"
            self._over(RtspFault.UNSUPPORTED_CODEC, f"sends {names}; H.264, H.265 and MJPEG can be used", encodings)
        elif description.broken:
            self._over(RtspFault.BAD_DESCRIPTION, "gives a description that is cut or cannot be read")
        else:
            kinds = ", ".join(dict.fromkeys(media.kind for media in description.media))
            only = f", only {kinds}" if kinds else ""
            self._over(RtspFault.NO_VIDEO, f"describes no pictures: the source has no video{only}")

    def _set_up(self) -> None:
        self.state = DialogueState.SETUP
        track = self._todo[0]
        while self._modes:
            if self._modes[0] == "tcp":
                first = 2 * len(self.tracks)
                track.channels = first, first + 1
                transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
            elif (ports := self._wishes.open_ports()) is not None:
                track.client_ports = ports
                transport = f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]}"
            else:
                self._modes.pop(0)
                continue
            self._send("SETUP", track.urls[0], [("transport", transport)], self._on_setup)
            return
        self._track_failed(RtspFault.UNSUPPORTED_TRANSPORT, self._no_transport())

    def _no_transport(self) -> str:
        wanted = self._wishes.transport
        return f"does not offer RTP over {'TCP or UDP' if wanted == 'auto' else wanted.upper()} (461)"

    def _on_setup(self, response: RtspResponse) -> None:
        if self.state is not DialogueState.SETUP:
            return
        track = self._todo[0]
        status = response.status
        if status == 461 or (status < 300 and not self._take_transport(track, response)):
            self._modes.pop(0)
            if self._modes:
                self._set_up()
            else:
                self._track_failed(RtspFault.UNSUPPORTED_TRANSPORT, self._no_transport())
        elif status >= 300:
            if status in _TRY_ANOTHER_URL and len(track.urls) > 1:
                track.urls.pop(0)
                self._set_up()
            else:
                self._track_failed(*_verdict(status))
        else:
            self._modes = [track.transport]
            self._take_session(response)
            self.tracks.append(track)
            self._todo.pop(0)
            self._on_track(track)
            self._next_track()

    def _take_transport(self, track: DialogueTrack, response: RtspResponse) -> bool:
        """Whether the answer is one that can be received."""
        options = parse_transports(response.headers.get("transport"))
        option = options[0] if options else TransportOption("")
        if option.multicast:
            return False
        interleaved = option.pair("interleaved")
        asked_tcp = self._modes[0] == "tcp"
        server_ports = option.pair("server_port")
        if asked_tcp and interleaved is None and not option.tcp and server_ports is not None:
            return False
        track.ssrc = option.ssrc
        if asked_tcp or interleaved is not None:
            track.transport = "tcp"
            track.channels = interleaved or track.channels
        else:
            track.transport = "udp"
            track.server_ports = server_ports
            track.source = option.parameters.get("source", "")
        return True

    def _track_failed(self, fault: RtspFault, detail: str) -> None:
        if not self.tracks:
            self._over(fault, detail)
            return
        self.without_audio = True  # the picture, which was set up first, matters more
        self._modes = [self.tracks[0].transport]
        self._todo.pop(0)
        self._next_track()

    def _next_track(self) -> None:
        if self._todo:
            self._set_up()
            return
        aggregate = control_urls(self.address, self._base, self._session_control)
        others = [*control_urls(self.address, self._base, "*"), self.address.url, self.tracks[0].urls[0]]
        self._play_urls = list(dict.fromkeys((*aggregate[:1], *others)))
        self._play()

    def _play_url(self) -> str:
        return self._play_urls[0] if self._play_urls else self.address.url

    def _play(self) -> None:
        self.state = DialogueState.PLAY
        headers = [("range", "npt=0.000-")] if self._with_range else []
        self._send("PLAY", self._play_url(), headers, self._on_play)

    def _on_play(self, response: RtspResponse) -> None:
        if self.state is not DialogueState.PLAY:
            return
        status = response.status
        if status < 300:
            self._take_session(response)
            self.state = DialogueState.PLAYING
            self._choose_keep_alive()
        elif status == 457 and self._with_range:
            self._with_range = False
            self._play()
        elif status in _TRY_ANOTHER_URL and len(self._play_urls) > 1:
            self._play_urls.pop(0)
            self._play()
        else:
            self._refused(status)

    def _take_session(self, response: RtspResponse) -> None:
        header = response.headers.get("session")
        if header:
            self._session, seconds = parse_session(header)
            if seconds:
                self._session_seconds = seconds

    # keep-alives

    def _choose_keep_alive(self) -> None:
        if self._public:
            # What is not in Public stays as a last resort; OPTIONS need not be named to be known.
            self._keep_alives.sort(key=lambda method: method not in self._public and method != "OPTIONS")

    def _keep_alive(self) -> None:
        """Asks by the first method, and beside those that were not answered by the next one."""
        for method in list(self._keep_alives):
            silent = method in self._unanswered
            self._unanswered.add(method)
            self._send(method, self._play_url(), [], partial(self._kept_alive, method))
            if not silent:
                return

    def _kept_alive(self, method: str, response: RtspResponse) -> None:
        self._unanswered.discard(method)
        if response.status >= 400 and response.status != 454 and self._keep_alives[0] == method:
            self._keep_alives.append(self._keep_alives.pop(0))

    # verdicts

    def _refused(self, status: int) -> None:
        self._over(*_verdict(status))

    def _over(self, fault: RtspFault, detail: str, encodings: tuple[str, ...] = ()) -> None:
        if self.end is None:
            self.end = DialogueEnd(fault, detail, encodings)


def _verdict(status: int) -> tuple[RtspFault, str]:
    if status == 403:
        return RtspFault.UNAUTHORIZED, "does not let this user see the stream (403)"
    if status in (404, 410):
        return RtspFault.NOT_FOUND, f"has no stream at this address ({status})"
    if status == 453:
        return RtspFault.TOO_MANY_CLIENTS, "serves as many viewers as it can (453)"
    if status == 461:
        return RtspFault.UNSUPPORTED_TRANSPORT, "refuses the transport (461)"
    if status >= 500:
        return RtspFault.REJECTED, f"cannot serve the stream now ({status})"
    return RtspFault.REJECTED, f"refuses the request ({status})"


def _named(scheme: str, parameters: object) -> str:
    algorithm = parameters.get("algorithm") if isinstance(parameters, dict) else None
    name = f"{scheme} {algorithm}" if algorithm else scheme
    return "".join(character for character in name[:40] if character.isalnum() or character in " -")


def _ignored(_response: RtspResponse) -> None:
    return
