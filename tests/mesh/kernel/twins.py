"""Two readers of the same bytes from NATS: Python alone, and Python with the media kernel."""

import random
from functools import partial
from typing import Any

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, PictureInbox, PictureRun, encode
from services.mesh.kernel.inbox import KernelInbox, KernelInboxes
from services.mesh.media_transport import MediaSplitter

SUBSCRIPTIONS = (3, 9, 70, 700)
OTHERS = 5
"""Subscription of nats-py's own."""


def facts(run: PictureRun | None) -> tuple[object, ...]:
    """All that a run says."""
    if run is None:
        return ()
    columns = run.flags, run.pts_90k, run.dts_90k, run.capture_us, run.uncertainty_us, run.clocks
    return (run.codec, run.epoch, run.first, *map(bytes, run.payloads), *map(list, columns))


class Side:
    """What a client has taken, in order, of each subscription, and what it has left to nats-py."""

    def __init__(self, kernel: Any | None) -> None:
        self.others: list[bytes] = []
        self.taken: dict[int, list[object]] = {subscription: [] for subscription in SUBSCRIPTIONS}
        self.inboxes = {
            subscription: PictureInbox() if kernel is None else KernelInbox(kernel) for subscription in SUBSCRIPTIONS
        }
        takes = {b"%d" % subscription: partial(self._take, subscription) for subscription in SUBSCRIPTIONS}
        self.splitter = MediaSplitter(takes, self.others.append)
        if kernel is not None:
            table = KernelInboxes()
            self.splitter.use(table)
            for subscription, inbox in self.inboxes.items():
                assert isinstance(inbox, KernelInbox)
                table.add(subscription, inbox)

    def _take(self, subscription: int, message: bytes) -> None:
        inbox = self.inboxes[subscription]
        if inbox.put(message):
            return
        self.look(subscription)
        if not inbox.put(message):
            self.taken[subscription].append(message)

    def look(self, subscription: int) -> None:
        """What waits is taken out."""
        inbox = self.inboxes[subscription]
        newest = inbox.newest
        if run := facts(inbox.take()):
            self.taken[subscription].append((newest, run))
        assert inbox.newest == (-1, -1)

    def feed(self, data: bytes) -> None:
        """Bytes as one read brings them."""
        at = 0
        while at < len(data):
            room = self.splitter.room()
            piece = data[at : at + len(room)]
            room[: len(piece)] = piece
            self.splitter.wrote(len(piece))
            at += len(piece)


def stream(chance: random.Random, length: int) -> list[bytes]:
    """Messages as a server sends them: mostly pictures that follow each other, and faults."""
    sequences = {subscription: chance.choice((1, 2**32 - 3, 2**64 - 9)) for subscription in SUBSCRIPTIONS}
    made = []
    for _ in range(length):
        fault, subscription = chance.random(), chance.choice(SUBSCRIPTIONS)
        sequence = sequences[subscription] = min(sequences[subscription] + (2 if fault < 0.02 else 1), 2**64 - 1)
        payload = chance.randbytes(chance.choice((0, 5, 90, 300, 150_000) if fault < 0.05 else (5, 90, 300)))
        flags = Flags(chance.randrange(16)) if fault < 0.1 else Flags(chance.choice((0, 4, 8, 12)))
        unit = AccessUnit(
            flags, chance.choice(tuple(Codec)) if 0.1 < fault < 0.12 else Codec.H264,
            2 if 0.12 < fault < 0.13 else 1, sequence, chance.randrange(-(2**63), 2**63),
            chance.randrange(-(2**63), 2**63), chance.randrange(-(2**63), 2**63), chance.randrange(2**32),
            CaptureClockSource(chance.randrange(2)), payload, b"ex" if 0.13 < fault < 0.14 else b"",
        )  # fmt: skip
        message = bytearray(encode(unit))
        if 0.14 < fault < 0.2:
            message[chance.randrange(min(len(message), 64))] = chance.randrange(256)
        elif 0.2 < fault < 0.22:
            del message[chance.randrange(len(message)) :]
        reply = "inbox.7 " if 0.22 < fault < 0.24 else ""
        number = OTHERS if 0.24 < fault < 0.26 else subscription
        made.append(f"MSG media.{number} {number} {reply}{len(message)}\r\n".encode() + message + b"\r\n")
        if 0.26 < fault < 0.28:
            made.append(chance.choice((b"PING\r\n", b"+OK\r\n", b"HMSG a 3 12 12\r\nNATS/1.0\r\n\r\n\r\n")))
    return made


def play(kernel: Any, seed: int, length: int) -> tuple[Side, Side]:
    """Gives both the same bytes, cut anyhow, and compares what they made of them."""
    chance = random.Random(seed)
    plain, short = Side(None), Side(kernel)
    data = b"".join(stream(chance, length))
    most = chance.choice((70, 4_000, 600_000))
    while data:
        size = chance.randint(1, most)
        for side in (plain, short):
            side.feed(data[:size])
        data = data[size:]
        if chance.random() < 0.05:
            for side in (plain, short):
                side.look(SUBSCRIPTIONS[len(data) % len(SUBSCRIPTIONS)])
    for side in (plain, short):
        for subscription in SUBSCRIPTIONS:
            side.look(subscription)
    assert short.taken == plain.taken
    assert b"".join(short.others) == b"".join(plain.others)
    return plain, short
