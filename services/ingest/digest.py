"""Which cameras a report names whole: those of which more than the figures has changed. Pure.

The leader reads the reports of all workers. To read a camera's costs it ten times what its line in the digest does.
"""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from services.contracts.models import CameraReport, Id, ProfileReport, same_but_figures

WHOLE_EVERY: Final = 5
"""A camera comes whole in each fifth report, for its figures; the cameras take turns."""
RATE_SHARE: Final = 0.1
"""A frame rate that differs from the one told by more is told…"""
DRIFT_PPM: Final = 10_000
"""…as a pace that does by more than a hundredth…"""
STALLS_SECONDS: Final = 1.0
"""…and a patience that does by more."""


class ReportDigest:
    """What of each camera the leader knows from this worker."""

    def __init__(self) -> None:
        self._told: dict[Id, CameraReport] = {}
        """As it came whole last."""
        self._frames: dict[Id, int] = {}
        """Of its main profile, as told last."""
        self._reports = 0

    def forget(self) -> None:
        """The leader may know nothing: each camera comes whole again."""
        self._told.clear()

    def note_change(self, camera: Id) -> None:
        """It is told out of turn, which may be lost on the way: the next report names it whole once more."""
        self._told.pop(camera, None)

    def split(self, cameras: Iterable[CameraReport]) -> tuple[tuple[CameraReport, ...], dict[Id, int]]:
        """All cameras of a worker: which come whole, and of the others the frames of the main profile."""
        whole: list[CameraReport] = []
        steady: dict[Id, int] = {}
        told, self._told = self._told, {}
        for camera in cameras:
            before = told.get(camera.camera)
            if before is None or self._has_its_turn(camera.camera) or not self._is_steady(camera, before):
                whole.append(camera)
            else:
                self._told[camera.camera] = before
                self._frames[camera.camera] = steady[camera.camera] = camera.profiles["main"].frames
        self._reports += 1
        for camera in whole:
            self._told[camera.camera] = camera
            main = camera.profiles.get("main")
            self._frames[camera.camera] = main.frames if main is not None else 0
        self._frames = {name: self._frames[name] for name in self._told}
        return tuple(whole), steady

    def _has_its_turn(self, camera: Id) -> bool:
        return (crc32(camera.encode()) + self._reports) % WHOLE_EVERY == 0

    def _is_steady(self, camera: CameraReport, before: CameraReport) -> bool:
        main = camera.profiles.get("main")
        return (
            main is not None
            and main.status == "online"
            and main.frames > self._frames[camera.camera]
            and camera.epoch == before.epoch
            and same_but_figures(camera.profiles, before.profiles)
            and _delivers_the_same(main, before.profiles["main"])
        )


def _delivers_the_same(main: ProfileReport, before: ProfileReport) -> bool:
    """In what the leader judges a camera by."""
    return (
        (main.frames_lost, main.frames_damaged, main.bad_timestamps, main.reconnects)
        == (before.frames_lost, before.frames_damaged, before.bad_timestamps, before.reconnects)
        and abs(main.frame_rate - before.frame_rate) <= RATE_SHARE * before.frame_rate
        and abs(main.clock_drift_ppm - before.clock_drift_ppm) <= DRIFT_PPM
        and abs(main.stalls_after_seconds - before.stalls_after_seconds) <= STALLS_SECONDS
    )
