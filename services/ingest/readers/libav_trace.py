"""What libav's trace tells of an opening that its error code does not: what was asked, answered and described. Pure.

libav gives one error for many causes (a hang-up, silence and garbage are all "invalid data"). Its trace has the
dialogue itself, and a process reads one source, so every line is about it. The trace holds the password that is sent:
it goes no further than here. Lines are FFmpeg 8.1's (rtsp.c, tcp.c, tls_gnutls.c, http.c and rtpdec.c of libavformat);
pyproject.toml pins PyAV.
"""

import re
from typing import Final

from services.ingest.readers.source import RtpTransport

MAX_HEADER_LINES: Final = 256
"""A header block of more lines is none that ends."""
MAX_REDIRECTS: Final = 10
_LINE: Final = re.compile(r"(?:line|header)='(.*)'$")
_STATUS: Final = re.compile(r"(?:RTSP|HTTP)/\d\.\d (\d{3})")
_REQUEST: Final = re.compile(r"([A-Z_]+) \S+ (?:RTSP|HTTP)/\d")
_FAILED: Final = re.compile(r"Failed reading RTSP data: (.*)$")
_CONNECTING: Final = re.compile(r"Starting connection attempt to (\S+) port ")
_MISSED: Final = re.compile(r"RTP: missed (\d+) packets")
_SDP_LINE: Final = re.compile(r"sdp: ([ma])='(.*)'$")
_UNTRUSTED: Final = re.compile(r"(?i)peer certificate|certificate's owner does not match")
_WEAK: Final = re.compile(r"(?i)digest\b(?!.*algorithm\s*=\s*\"?(?:sha|md5-sess-))|basic\b")


class LibavTrace:
    """Facts of one opening; feed it with lines."""

    def __init__(self) -> None:
        self.connected = False
        self.method = ""
        """The last request that was sent."""
        self.status = 0
        """Of the last answer; 0 while the last request has none."""
        self.answered = False
        """Whether anything at all was answered to the last request."""
        self.ever_answered = False
        self.endless = False
        """A header block does not end."""
        self.redirects = 0
        self.location = ""
        """Where the last answer leads."""
        self.connecting_to = ""
        """The address (tcp.c) that is being connected to, or was last."""
        self.untrusted = False
        """The certificate is none that is trusted, where they are verified."""
        self.challenges: list[str] = []
        self.media: list[str] = []
        """Of the description: ``video``, ``audio``…"""
        self.codecs: list[str] = []
        """Of the description's videos: names as in ``a=rtpmap``."""
        self.content_type = ""
        """Of an HTTP answer."""
        self.transport: RtpTransport = ""
        self.failed_reading = ""
        """Why nothing more could be read from an RTSP source, in the system's words."""
        self.missed_packets = 0
        self._header_lines = 0
        self._over = False

    @property
    def known_challenge(self) -> bool:
        """Whether libav can answer one of the challenges: Basic, or Digest with MD5."""
        return any(_WEAK.match(challenge) for challenge in self.challenges)

    def feed(self, line: str) -> None:
        """Takes the next line."""
        if "ret=1 c=" in line or self._over:  # each byte of a header by itself
            return
        if (found := _LINE.search(line)) is not None:
            self._header(found[1])
        elif line.startswith("TEARDOWN ") and self.status != 200:
            self._over = True  # libav has given up: why stands before
        elif (found := _REQUEST.match(line)) is not None:
            self.method, self.status, self.answered = found[1], 0, False
            self._header_lines = 0
        elif "Successfully connected to" in line:
            self.connected = True
        elif (found := _CONNECTING.search(line)) is not None:
            self.connecting_to = found[1]
        elif "Redirecting to" in line:
            self.redirects += 1
        elif (found := _MISSED.search(line)) is not None:
            self.missed_packets += int(found[1])
        elif (found := _FAILED.search(line)) is not None:
            self.failed_reading = found[1]
        elif _UNTRUSTED.search(line):
            self.untrusted = True
        elif "bad cseq" in line:
            self.missed_packets += 1
        elif (found := _SDP_LINE.search(line)) is not None:
            self._description(found[1], found[2])

    def _header(self, text: str) -> None:
        self.answered = self.ever_answered = True
        self._header_lines += 1
        self.endless = self.endless or self._header_lines > MAX_HEADER_LINES
        if not text:
            self._header_lines = 0
        if (found := _STATUS.match(text)) is not None:
            self.status = int(found[1])
            if self.status == 401:
                self.challenges.clear()
            return
        name, _, value = text.partition(":")
        value = value.strip()
        match name.strip().lower():
            case "www-authenticate":
                self.challenges.append(value)
            case "location":
                self.location = value
            case "content-type":
                self.content_type = value.lower()
            case "transport":
                self.transport = "tcp" if "tcp" in value.lower() else "udp"
            case _:
                pass

    def _description(self, kind: str, value: str) -> None:
        if kind == "m":
            self.media.append(value.partition(" ")[0].lower())
        elif value.startswith("rtpmap:") and self.media[-1:] == ["video"]:
            self.codecs.append(value.partition(" ")[2].partition("/")[0])
