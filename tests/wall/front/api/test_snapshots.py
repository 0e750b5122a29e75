"""Stills: from a keyframe on the bus to a JPEG, decoded once however many ask."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import pytest
from PIL import Image

from services.contracts import subjects
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.contracts.models import (
    Camera,
    CameraState,
    PrivacyMask,
    Profile,
    ProfileReport,
    Reason,
    Status,
    WantReply,
)
from services.contracts.permissions import Role
from services.media.nal import annex_b_to_length_prefixed
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock as MeshClock
from services.mesh.clock import TurnedClock
from services.mesh.settings import MeshSettings
from services.wall.front.api.snapshots import choose_profile
from services.wall.front.pictures.jpeg import to_jpeg
from services.wall.front.pictures.picture_cache import PictureError
from services.wall.front.pictures.snapshot_cache import FRESH_SECONDS
from tests.media.encoded import video
from tests.wall.front.running import RunningFront, running_front
from tests.wall.front.test_rights import people

PATH = "/api/v1/cameras/cam-1/snapshot.jpg"
CAMERA = Camera(
    id="cam-1",
    site="city",
    name="Camera 1",
    profiles={"main": Profile(url="rtsp://192.0.2.1/m"), "sub": Profile(url="rtsp://192.0.2.1/s")},
)


def keyframe(codec: str = "libx264", size: tuple[int, int] = (320, 180), *, sequence: int = 1) -> AccessUnit:
    """A keyframe as ingest publishes it."""
    stream = video(codec, size=size, frames=3)
    data = stream.packets[0].data
    if stream.extradata[:40] not in data:
        data = stream.extradata + data
    kind = Codec.HEVC if codec == "libx265" else Codec.H264
    return AccessUnit(
        Flags.KEYFRAME,
        kind,
        7,
        sequence,
        0,
        0,
        1_700_000_000_123_000,
        0,
        CaptureClockSource.RTCP,
        annex_b_to_length_prefixed(data),
    )


def picture_size(jpeg: bytes) -> tuple[int, int]:
    """What a decoder finds in a JPEG."""
    decoder = av.CodecContext.create("mjpeg", "r")
    (frame,) = decoder.decode(av.Packet(jpeg))
    return frame.width, frame.height


class StubIngest:
    """Answers on the want subjects of one camera as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reply = WantReply(status="live", frames=1)
        self.frames: list[AccessUnit] = [keyframe()]


@asynccontextmanager
async def filmed(
    mesh: MeshSettings,
    bus: Bus,
    status: Status = Status.ONLINE,
    clock: MeshClock | None = None,
    *,
    camera: Camera = CAMERA,
    accounts_file: Path | None = None,
) -> AsyncIterator[tuple[RunningFront, StubIngest]]:
    """A front, and a camera that an ingest worker holds."""
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put("cam-1", camera)
    reports = {"main": ProfileReport(status="online", width_px=320), "sub": ProfileReport(status="idle")}
    state = CameraState(camera="cam-1", site="city", status=status, since_us=1, profiles=reports)
    await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put("cam-1", state)
    ingest = StubIngest()

    async def answer(message: BusMessage) -> None:
        ingest.asked.append(message.subject.split(".")[-2])
        await bus.publish(message.reply, ingest.reply.pack())
        for unit in ingest.frames:
            await bus.publish(message.reply, encode(unit))
        await bus.publish(message.reply, b"")

    await bus.subscribe(subjects.want("city", "*", "cam-1"), answer)
    async with running_front(mesh, clock=clock, accounts_file=accounts_file) as front:
        yield front, ingest


async def test_the_newest_keyframe_is_given_as_jpeg_with_its_time(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with filmed(mesh_settings, bus) as (front, ingest):
        async with front.http.get(PATH) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg")
            assert picture_size(await answer.read()) == (320, 180)
            assert answer.headers["Pantau-Capture-Time"] == "2023-11-14T22:13:20.123Z"
            etag = answer.headers["ETag"]
        async with front.http.get(PATH, headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
        async with front.http.get(f"{PATH}?width=160") as answer:
            assert picture_size(await answer.read()) == (160, 90)
        assert ingest.asked == ["main", "main"]


async def test_many_who_ask_at_once_cost_one_question(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with filmed(mesh_settings, bus) as (front, ingest):

        async def ask() -> int:
            async with front.http.get(PATH) as answer:
                await answer.read()
                return answer.status

        assert await asyncio.gather(*(ask() for _ in range(30))) == [200] * 30
        assert len(ingest.asked) == 1


async def test_a_newer_keyframe_makes_a_new_picture_once_the_last_one_is_no_longer_fresh(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    clock = TurnedClock()
    async with filmed(mesh_settings, bus, clock=clock) as (front, ingest):
        etags = []
        for sequence in (1, 1, 2):
            ingest.frames = [keyframe(sequence=sequence)]
            clock.advance(FRESH_SECONDS)
            async with front.http.get(PATH) as answer:
                etags.append(answer.headers["ETag"])
        assert etags[0] == etags[1] != etags[2]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (WantReply(status="opening", reason=Reason.STARTING), 409, "not-live"),
        (WantReply(status="failed", reason=Reason.UNAUTHORIZED), 409, "not-live"),
        (WantReply(status="unknown-profile"), 404, "not-found"),
        (WantReply(status="live"), 503, "unavailable"),
    ],
)
async def test_no_picture_is_said_to_be_none_and_why(
    mesh_settings: MeshSettings, bus: Bus, reply: WantReply, status: int, code: str
) -> None:
    async with filmed(mesh_settings, bus) as (front, ingest):
        ingest.reply, ingest.frames = reply, []
        async with front.http.get(PATH) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)


async def test_a_camera_that_is_offline_or_held_by_nobody_is_409_and_503(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with filmed(mesh_settings, bus, Status.OFFLINE) as (front, _), front.http.get(PATH) as answer:
        assert answer.status == 409
        assert answer.headers["Retry-After"]
    lonely = CAMERA.model_copy(update={"id": "cam-2"})
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put("cam-2", lonely)
    state = CameraState(camera="cam-2", site="city", status=Status.ONLINE, since_us=1)
    await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put("cam-2", state)
    async with running_front(mesh_settings) as front:
        async with front.http.get(PATH.replace("cam-1", "cam-2")) as answer:
            assert answer.status == 503
        async with front.http.get(PATH.replace("cam-1", "cam-3")) as answer:
            assert answer.status == 404


async def test_a_broken_keyframe_is_502(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with filmed(mesh_settings, bus) as (front, ingest):
        ingest.frames = [keyframe()._replace(payload=b"\0\0\0\4\x65abc")]
        async with front.http.get(PATH) as answer:
            assert (answer.status, (await answer.json())["code"]) == (502, "bad-picture")


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_both_codecs_become_pictures_and_are_never_blown_up(codec: str) -> None:
    unit = keyframe(codec, (322, 182))
    assert picture_size(to_jpeg(unit.codec, unit.payload)) == (322, 182)
    assert picture_size(to_jpeg(unit.codec, unit.payload, 4000)) == (322, 182)
    assert picture_size(to_jpeg(unit.codec, unit.payload, 101)) == (100, 56)


def test_a_jpeg_is_given_as_it_is_or_scaled() -> None:
    unit = keyframe()
    jpeg = to_jpeg(unit.codec, unit.payload)
    assert to_jpeg(Codec.MJPEG, jpeg) == jpeg
    assert picture_size(to_jpeg(Codec.MJPEG, jpeg, 64)) == (64, 36)


def test_brightness_survives() -> None:
    """The test picture has brightness 0 in its upper left corner, and its range is not stretched twice."""
    unit = keyframe()
    decoder = av.CodecContext.create("mjpeg", "r")
    (frame,) = decoder.decode(av.Packet(to_jpeg(unit.codec, unit.payload)))
    source = av.CodecContext.create("h264", "r")
    from services.media.nal import length_prefixed_to_annex_b

    frames = [*source.decode(av.Packet(length_prefixed_to_annex_b(unit.payload))), *source.decode(None)]
    expected = frames[0].to_ndarray(format="rgb24").astype(int)
    found = frame.to_ndarray(format="rgb24").astype(int)
    assert abs(expected - found).mean() < 4


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0\1", b"\xff\xd8\xff\xd9", bytes(range(256))])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC, Codec.MJPEG, Codec.AAC])
def test_garbage_is_a_picture_error(codec: Codec, payload: bytes) -> None:
    with pytest.raises(PictureError):
        to_jpeg(codec, payload, 64)


def test_a_small_picture_is_taken_from_the_sub_stream_only_where_that_flows_anyway() -> None:
    def state(sub: str, main: str = "online") -> CameraState:
        reports = {
            "main": ProfileReport(status=main, width_px=1920),
            "sub": ProfileReport(status=sub, width_px=640),
        }
        return CameraState(camera="cam-1", site="city", status=Status.ONLINE, since_us=1, profiles=reports)

    assert choose_profile(CAMERA, state("online"), 320) == "sub"
    assert choose_profile(CAMERA, state("online"), 1280) == "main"
    assert choose_profile(CAMERA, state("online"), None) == "main"
    assert choose_profile(CAMERA, state("idle"), 320) == "main"
    assert choose_profile(CAMERA, state("online", "offline"), None) == "sub"
    assert choose_profile(CAMERA, None, 320) == "main"
    alone = CAMERA.model_copy(update={"profiles": {"sub": CAMERA.profiles["sub"]}})
    assert choose_profile(alone, None, None) == "sub"


@pytest.mark.parametrize("at", ["0064-05-31T02:48:41Z", "1969-12-31T23:59:59Z"])
async def test_a_moment_before_1970_is_refused_by_the_name_of_its_field(
    mesh_settings: MeshSettings, bus: Bus, at: str
) -> None:
    async with filmed(mesh_settings, bus) as (front, _), front.http.get(PATH, params={"at": at}) as answer:
        assert (answer.status, '"at"' in await answer.text()) == (422, True)


async def test_who_may_not_see_through_masks_is_given_masked_stills_and_no_footage_as_it_was_recorded(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    masked = CAMERA.model_copy(
        update={
            "privacy_masks": (PrivacyMask(x=0, y=0, width=0.5, height=1),),
            "unmasked_roles": (Role.SUPERVISOR,),
        }
    )
    path, known = people(tmp_path)
    async with filmed(mesh_settings, bus, camera=masked, accounts_file=path) as (front, _):
        for name, sees in (("supervisor", True), ("admin", True), ("operator", False), ("viewer", False)):
            for query in ("", "?width=160"):
                async with front.http.get(f"{PATH}{query}", headers=known[name]) as answer:
                    left, right = halves(await answer.read())
                assert (len(set(left)) > 3) is sees, (name, query)
                assert len(set(right)) > 3, (name, query)
        footage = "/api/v1/cameras/cam-1/clip.mp4?from=2026-01-01T00:00:00Z&to=2026-01-01T00:01:00Z"
        async with front.http.get(footage, headers=known["operator"]) as answer:
            assert (answer.status, "privacy masks" in await answer.text()) == (403, True)


def halves(jpeg: bytes) -> tuple[bytes, bytes]:
    """The grey values of a JPEG's left and right half, away from the border between them."""
    picture = Image.open(io.BytesIO(jpeg)).convert("L")
    width, height = picture.size
    left = picture.crop((0, 0, width // 2 - 16, height))
    return left.tobytes(), picture.crop((width // 2 + 16, 0, width, height)).tobytes()
