"""What receivers report, gathered per connection: loss, round trip, estimate."""

from services.media.rtcp import ReportBlock, round_trip_ms


class LinkStats:
    """One connection's figures. Pure; `take_loss` gives the interval's and begins the next."""

    __slots__ = ("_expected", "_highest", "_lost", "_lost_before", "_reports", "estimate_bps", "rtt_ms")

    def __init__(self) -> None:
        self.rtt_ms: float | None = None
        """Smoothed as in RFC 6298."""
        self.estimate_bps: int | None = None
        """The last REMB."""
        self._highest: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._expected = 0
        self._lost = 0
        self._reports = 0

    def add_report(self, block: ReportBlock, now_ntp: int) -> None:
        """A receiver's report on one of our streams."""
        before = self._highest.get(block.ssrc)
        if before is not None and 0 <= block.highest_sequence - before < 0x8000:
            self._expected += block.highest_sequence - before
            self._lost += max(0, block.packets_lost - self._lost_before[block.ssrc])
            self._reports += 1
        self._highest[block.ssrc] = block.highest_sequence
        self._lost_before[block.ssrc] = block.packets_lost
        rtt = round_trip_ms(block, now_ntp)
        if rtt is not None and rtt < 10_000:
            self.rtt_ms = rtt if self.rtt_ms is None else self.rtt_ms + (rtt - self.rtt_ms) / 8

    def take_loss(self) -> float | None:
        """The fraction lost since the last call, before repair; None where nothing was reported.

        Requests for retransmission are no measure: a path that reorders causes them without any loss.
        """
        if not self._reports:
            return None
        loss = min(1.0, self._lost / self._expected) if self._expected else 0.0
        self._expected = self._lost = self._reports = 0
        return loss
