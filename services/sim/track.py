"""Plays one track: each frame at its time, the same for all clients, like a camera's one encoder.

Sequence numbers, timestamps and SSRC belong to the track, not to a client, so a frame is rendered once for all clients.
RTP-Info tells each client where it starts.
"""

import asyncio
import os
from collections import deque
from random import Random
from time import time_ns
from typing import Final, Protocol

from services.media.rtcp import SenderReport, ntp_from_unix_us, pack_sender_reports
from services.sim.clip import EncodedClip
from services.sim.faults import Fault, Faults
from services.sim.packetize import PAYLOAD_TYPES, PacketRun, Reel, h264_payloads, hevc_payloads, packet_run
from services.sim.pictures import stamp

_REPORT_SECONDS: Final = 5.0
_CATCH_UP_SECONDS: Final = 5.0
_EARLY_SECONDS: Final = 0.0005
_RUNS: Final = 1000


class Sink(Protocol):
    """The destination of a client's packets of one track."""

    channel: int
    """Its interleaved channel; 0 on UDP."""

    def send_run(self, run: PacketRun, wire: bytearray) -> bool:
        """One frame, rendered for `channel`. Whether it was sent: a client that does not read misses it."""

    def send_report(self, packet: bytes) -> None:
        """One compound RTCP packet."""

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are; for `Fault.GARBAGE`."""


class SimulatedTrack:
    """The clock and the clients of one track of one profile."""

    def __init__(self, number: int, cname: str, reel: Reel, faults: Faults, began: float) -> None:
        """``began``: the loop time of frame 0."""
        self._loop = asyncio.get_running_loop()
        self._camera = number
        self._cname = cname
        self._faults = faults
        self._began = began
        self._random = random = Random()
        self._base = random.getrandbits(32)
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(15)
        self._reel = reel
        self._next_reel: Reel | None = None
        self._period = reel.clip.unit_ticks / reel.clip.clock_rate_hz
        self._sinks: list[Sink] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0
        self._report_due = 0.0
        self._huge_bytes = 0
        self.packets_sent = 0
        self._octets = 0
        self.frames_sent = 0
        self.runs_sent: deque[list[int]] = deque(maxlen=_RUNS)
        """First and last number of each run of frames that at least one client was sent, the last `_RUNS` of them."""
        self.frames_skipped = 0
        """Frames that were due more than `_CATCH_UP_SECONDS` ago and so were left out."""

    @property
    def clip(self) -> EncodedClip:
        """The clip that plays now."""
        return self._reel.clip

    def change_reel(self, reel: Reel) -> None:
        """Plays another reel of the same codec and frame rate from its next keyframe on."""
        if (reel.clip.codec, reel.clip.unit_ticks) != (self.clip.codec, self.clip.unit_ticks):
            raise ValueError("only a clip of the same codec and frame rate may take a clip's place")
        self._next_reel = reel

    def jump_timestamps(self, seconds: float) -> None:
        """Shifts RTP timestamps, from the next frame on."""
        self._base = self._base + round(seconds * self.clip.clock_rate_hz) & 0xFFFFFFFF

    def send_huge_frame(self, size_bytes: int) -> None:
        """Makes the next frame of H.264 or H.265 that large; other codecs ignore it."""
        if self.clip.codec in ("h264", "hevc"):
            self._huge_bytes = size_bytes

    def position(self) -> tuple[int, int]:
        """Sequence number and timestamp of the next frame, for RTP-Info."""
        following = self._next if self._sinks else self._current()
        return self._sequence & 0xFFFF, self._timestamp(following, self._run(following))

    def add_sink(self, sink: Sink) -> None:
        """Adds a client: it gets a sender report at once, and frames from the next one on."""
        if not self._sinks:
            self._next = self._current()
            self._schedule()
        self._sinks.append(sink)
        if self._reporting:
            sink.send_report(self._report())

    def discard_sink(self, sink: Sink) -> None:
        """Removes a client; without clients the track's timer stops."""
        if sink in self._sinks:
            self._sinks.remove(sink)
        if not self._sinks:
            self.stop()

    def stop(self) -> None:
        """Plays no further frame until a client is added."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _reporting(self) -> bool:
        return not self._faults.any_of((Fault.STALL, Fault.HANG, Fault.NO_REPORTS, Fault.GARBAGE))

    def _current(self) -> int:
        """The number of the next frame by the clock."""
        return int((self._loop.time() - self._began) / self._period) + 1

    def _schedule(self) -> None:
        self._timer = self._loop.call_at(self._began + self._next * self._period, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        due = int((now + _EARLY_SECONDS - self._began) / self._period)
        if (due - self._next) * self._period > _CATCH_UP_SECONDS:
            self.frames_skipped += due - self._next
            self._next = due
        while self._next <= due:
            self._send(self._next)
            self._next += 1
        if now >= self._report_due and self._reporting:
            self._report_due = now + _REPORT_SECONDS
            report = self._report()
            for sink in tuple(self._sinks):
                sink.send_report(report)
        if self._sinks:
            self._schedule()

    def _run(self, number: int) -> PacketRun:
        runs = self._reel.runs(in_band=Fault.NO_IN_BAND not in self._faults)
        return runs[number % len(runs)]

    def _timestamp(self, number: int, run: PacketRun) -> int:
        return self._base + number * self.clip.unit_ticks + run.delay_ticks & 0xFFFFFFFF

    def _send(self, number: int) -> None:
        following = self._next_reel
        if following is not None and following.clip.units[number % len(following.clip.units)].keyframe:
            self._reel, self._next_reel = following, None
        run = self._run(number)
        timestamp = self._timestamp(number, run)
        if self._faults or self._huge_bytes:
            changed = self._faulty(run)
            if changed is None:
                return
            run = changed
            if Fault.FROZEN_CLOCK in self._faults:
                timestamp = self._base
        sequence = self._sequence
        text = stamp.text(self._camera, number, time_ns() // 1000)
        rendered: dict[int, bytearray] = {}
        sent = False
        for sink in tuple(self._sinks):
            wire = rendered.get(sink.channel)
            if wire is None:
                wire = rendered[sink.channel] = run.render(sink.channel, sequence, timestamp, self._ssrc, text)
            sent |= sink.send_run(run, wire)
        if sent:
            self._note_sent(number)
        count = len(run.offsets)
        self._sequence = sequence + count
        self.packets_sent += count
        self._octets += len(run.template) - 16 * count
        self.frames_sent += 1

    def _note_sent(self, number: int) -> None:
        if self.runs_sent and self.runs_sent[-1][1] == number - 1:
            self.runs_sent[-1][1] = number
        else:
            self.runs_sent.append([number, number])

    def _faulty(self, run: PacketRun) -> PacketRun | None:
        """The run to send in place of ``run`` under the faults that hold; None: none."""
        faults = self._faults
        if faults.any_of((Fault.STALL, Fault.HANG)):
            return None
        if Fault.GARBAGE in faults:
            garbage = os.urandom(self._random.randint(200, 4000))
            for sink in tuple(self._sinks):
                sink.send_raw(garbage)
            return None
        payload_type = PAYLOAD_TYPES[self.clip.codec]
        if Fault.CORRUPT in faults:
            payloads = [os.urandom(self._random.randint(1, 1400)) for _ in run.offsets]
            return packet_run(payloads, payload_type, run.delay_ticks, run.keyframe)
        if self._huge_bytes:
            size, self._huge_bytes = self._huge_bytes, 0
            # A non-reference slice: parsers need not read it, and decoders drop it.
            hevc = self.clip.codec == "hevc"
            nal = (b"\x00\x01" if hevc else b"\x01") + b"\xa5" * size
            fragments = hevc_payloads(nal) if hevc else h264_payloads(nal)
            return packet_run(fragments, payload_type, run.delay_ticks, keyframe=False)
        return run

    def _report(self) -> bytes:
        elapsed = self._loop.time() - self._began
        timestamp = self._base + round(elapsed * self.clip.clock_rate_hz)
        jump_ns = int((self._faults.value(Fault.NTP_JUMP) or 0) * 1e9)
        report = SenderReport(
            self._ssrc,
            ntp_from_unix_us((time_ns() + jump_ns) // 1000),
            timestamp & 0xFFFFFFFF,
            self.packets_sent & 0xFFFFFFFF,
            self._octets & 0xFFFFFFFF,
        )
        return pack_sender_reports((report,), self._cname)
