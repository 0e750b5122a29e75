"""The samples that a fragment describes, by column, because a day of a camera has two million of them."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, overload


class SampleInfo(NamedTuple):
    """One sample as a fragment describes it."""

    offset: int
    """From the beginning of the ``moof``."""
    size_bytes: int
    time: int
    """Decoding time in the track's timescale."""
    duration: int
    composition_offset: int
    keyframe: bool
    damaged: bool = False


class Samples(Sequence[SampleInfo]):
    """A track's samples in a fragment, one behind the other: read like a tuple of `SampleInfo`, copied by column."""

    __slots__ = ("begin", "composition_offsets", "damages", "durations", "keyframes", "sizes_bytes", "time")

    def __init__(
        self,
        begin: int,
        time: int,
        sizes_bytes: "array[int]",
        durations: "array[int]",
        composition_offsets: "array[int]",
        keyframes: "array[int]",
        damages: "array[int]",
    ) -> None:
        self.begin = begin
        """Where the first one's bytes begin, from the beginning of the ``moof``."""
        self.time = time
        """Decoding time of the first one."""
        self.sizes_bytes = sizes_bytes
        self.durations = durations
        self.composition_offsets = composition_offsets
        self.keyframes = keyframes
        """1 for a keyframe, 0 for any other picture."""
        self.damages = damages
        """1 for a picture that is marked as damaged, else 0."""

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        return sum(self.sizes_bytes)

    def __len__(self) -> int:
        return len(self.sizes_bytes)

    @overload
    def __getitem__(self, index: int) -> SampleInfo: ...
    @overload
    def __getitem__(self, index: slice) -> "Samples": ...
    def __getitem__(self, index: int | slice) -> "SampleInfo | Samples":
        if isinstance(index, slice):
            first, end, step = index.indices(len(self))
            if step != 1:
                raise ValueError("samples that do not follow each other")
            columns = (self.sizes_bytes, self.durations, self.composition_offsets, self.keyframes, self.damages)
            return Samples(*self._start(first), *(column[first:end] for column in columns))
        index = range(len(self))[index]
        offset, time = self._start(index)
        return SampleInfo(
            offset, self.sizes_bytes[index], time, self.durations[index], self.composition_offsets[index],
            bool(self.keyframes[index]), bool(self.damages[index]),
        )  # fmt: skip

    def _start(self, index: int) -> tuple[int, int]:
        return self.begin + sum(self.sizes_bytes[:index]), self.time + sum(self.durations[:index])

    def __iter__(self) -> Iterator[SampleInfo]:
        return map(
            SampleInfo,
            accumulate(self.sizes_bytes, initial=self.begin),
            self.sizes_bytes,
            accumulate(self.durations, initial=self.time),
            self.durations,
            self.composition_offsets,
            map(bool, self.keyframes),
            map(bool, self.damages),
        )
