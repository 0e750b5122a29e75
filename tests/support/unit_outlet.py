"""An outlet that keeps what a reader hands on."""

from collections.abc import Sequence
from typing import Literal

from services.ingest.readers.source import Packet, Track


class KeepingOutlet:
    def __init__(self) -> None:
        self.openings: list[tuple[Track, ...]] = []
        self.transport = ""
        self.packets: list[Packet] = []

    def opened(
        self, tracks: Sequence[Track], *, transport: Literal["", "tcp", "udp"] = "", bursts: bool = False
    ) -> None:
        self.openings.append(tuple(tracks))
        self.transport = transport

    def heard(self) -> None:
        pass

    def packet(self, packet: Packet) -> None:
        assert self.openings, "a packet before the source was open"
        self.packets.append(packet)

    def of_kind(self, kind: str) -> list[Packet]:
        """The packets of one track."""
        return [packet for packet in self.packets if packet.kind == kind]
