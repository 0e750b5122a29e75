"""The cameras together: sessions, catalogue, faults, control endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.contracts.catalogue import CameraInput
from services.mesh.admin import PortTakenError
from services.sim.app import write_catalogue
from services.sim.control import application
from services.sim.faults import Fault
from services.sim.pictures import stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimSettings(cameras=2, port=0, scenes=1)) as running:
        await running.ready()
        yield running


class Client:
    """A plain RTSP client over one connection."""

    def __init__(self, sim: Simulator) -> None:
        self._port = sim.port
        self._cseq = 0

    async def __aenter__(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body; packets that come before the response are passed over."""
        self._cseq += 1
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        url = f"rtsp://127.0.0.1:{self._port}{path}"
        self._writer.write(f"{method} {url} RTSP/1.0\r\nCSeq: {self._cseq}\r\n{lines}\r\n".encode())
        async with asyncio.timeout(90):
            while True:
                first = await self._reader.readexactly(1)
                if first == b"$":
                    await self._body_of_packet()
                    continue
                head = (first + await self._reader.readuntil(b"\r\n\r\n")).decode()
                status, *rest = head.strip().split("\r\n")
                found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
                assert found["cseq"] == str(self._cseq)
                body = await self._reader.readexactly(int(found.get("content-length", 0)))
                return int(status.split(" ")[1]), found, body.decode()

    async def packet(self) -> tuple[int, bytes]:
        """The next interleaved packet: channel and content."""
        async with asyncio.timeout(90):
            assert await self._reader.readexactly(1) == b"$"
            return await self._body_of_packet()

    async def _body_of_packet(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(3)
        return head[0], await self._reader.readexactly(int.from_bytes(head[1:], "big"))

    async def play(self, path: str, channels: str = "0-1") -> str:
        """Sets up the video track and plays; the session."""
        status, headers, _ = await self.ask(
            "SETUP", f"{path}/trackID=0", Transport=f"RTP/AVP/TCP;unicast;interleaved={channels}"
        )
        assert status == 200
        session = headers["session"].partition(";")[0]
        assert (await self.ask("PLAY", path, Session=session))[0] == 200
        return session


async def test_packets_begin_where_rtp_info_says_on_the_channels_asked_for(sim: Simulator) -> None:
    async with Client(sim) as client:
        await client.ask(
            "SETUP", "/cam-001/main/trackID=0", Transport="RTP/AVP/TCP;unicast;interleaved=6-7"
        )  # fmt: skip
        _, headers, _ = await client.ask("PLAY", "/cam-001/main")
        info = dict(part.partition("=")[::2] for part in headers["rtp-info"].split(";"))
        channel, report = await client.packet()
        assert (channel, report[1]) == (7, 200)
        channel, packet = await client.packet()
        assert channel == 6
        assert int.from_bytes(packet[2:4], "big") == int(info["seq"])
        assert int.from_bytes(packet[4:8], "big") == int(info["rtptime"])


async def test_pause_stops_the_packets_and_play_goes_on_with_the_next_sequence_number(sim: Simulator) -> None:
    async with Client(sim) as client:
        session = await client.play("/cam-001/sub")
        assert (await client.ask("PAUSE", "/cam-001/sub", Session=session))[0] == 200
        sent = sim.stream("cam-001", "sub").tracks[0].frames_sent
        await asyncio.sleep(0.3)
        assert sim.stream("cam-001", "sub").tracks[0].frames_sent == sent
        _, headers, _ = await client.ask("PLAY", "/cam-001/sub", Session=session)
        _, report = await client.packet()
        assert report[1] == 200
        _, packet = await client.packet()
        assert f"seq={int.from_bytes(packet[2:4], 'big')};" in headers["rtp-info"]
        assert (await client.ask("GET_PARAMETER", "/cam-001/sub", Session=session))[0] == 200
        assert (await client.ask("TEARDOWN", "/cam-001/sub", Session=session))[0] == 200


async def test_two_clients_get_the_same_frames_with_the_same_numbers(sim: Simulator) -> None:
    async with Client(sim) as first, Client(sim) as second:
        await first.play("/cam-001/sub")
        await second.play("/cam-001/sub", "2-3")
        seen: list[dict[int, bytes]] = [{}, {}]
        common = set[int]()
        for client, found in zip((second, first), seen, strict=True):  # the first has had more before the second began
            while len(seen[0]) < 40 or (client is first and len(common) <= 20):
                channel, packet = await client.packet()
                if channel % 2 == 0:
                    found[int.from_bytes(packet[2:4], "big")] = packet
                common = seen[0].keys() & seen[1].keys()
        assert all(seen[0][number] == seen[1][number] for number in common)


async def test_cameras_that_share_a_scene_say_who_they_are_in_the_stamp(sim: Simulator) -> None:
    for number, camera in enumerate(sim.camera_ids, start=1):
        async with Client(sim) as client:
            await client.play(f"/{camera}/sub")
            found = None
            while found is None:
                found = stamp.parse((await client.packet())[1])
            assert found.camera == number


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DESCRIBE", "/cam-003/main", {}, 404), ("DESCRIBE", "/cam-001/side", {}, 404), ("DESCRIBE", "/", {}, 404),
        ("SETUP", "/cam-001/main/trackID=1", {"Transport": "RTP/AVP/TCP"}, 404),
        ("SETUP", "/cam-001/main/trackID=0", {"Transport": "RTP/AVP;multicast"}, 461),
        ("SETUP", "/cam-001/main/trackID=0", {}, 461), ("PLAY", "/cam-001/main", {}, 455),
        ("PLAY", "/cam-001/main", {"Session": "no"}, 454), ("TEARDOWN", "/cam-001/main", {}, 454),
        ("RECORD", "/cam-001/main", {}, 501), ("OPTIONS", "*", {}, 200),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_served_gets_its_status(
    sim: Simulator, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with Client(sim) as client:
        assert (await client.ask(method, path, **headers))[0] == status


async def test_what_is_no_rtsp_ends_its_connection_alone(sim: Simulator) -> None:
    async with Client(sim) as good:
        await good.play("/cam-001/sub")
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(90):
            assert b"400" in await reader.read()
        writer.close()
        await good.packet()


async def test_a_camera_whose_clip_is_not_there_yet_answers_503(tmp_path: Path) -> None:
    async with Simulator(SimSettings(cameras=1, port=0, cache=tmp_path)) as sim, Client(sim) as client:
        assert (await client.ask("DESCRIBE", "/cam-001/main"))[0] == 503


async def test_a_client_that_does_not_read_costs_frames_and_no_memory(sim: Simulator) -> None:
    # passes if nothing raises
    async with Client(sim) as slow:
        await slow.play("/cam-001/sub")
        for _ in range(6):
            sim.fault("cam-001", Fault.HUGE_FRAME, 3_000_000, profile="sub")
            await asyncio.sleep(0.15)
        async with asyncio.timeout(90):
            while not sim.counters.frames_dropped:
                await asyncio.sleep(0.05)


async def test_a_taken_port_is_named(sim: Simulator) -> None:
    with pytest.raises(PortTakenError, match=str(sim.port)):
        async with Simulator(SimSettings(cameras=1, port=sim.port)):
            pass


async def test_an_error_in_the_context_leaves_it_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with Simulator(SimSettings(cameras=1, port=0)) as sim:
            sim.fault("cam-002", Fault.STALL)


async def test_the_catalogue_is_what_an_import_takes(tmp_path: Path) -> None:
    async with Simulator(SimSettings(cameras=3, port=0, auth="digest")) as sim:
        path = tmp_path / "cameras.json"
        write_catalogue(sim, "malang", path)
        cameras = [CameraInput.model_validate(entry) for entry in json.loads(path.read_text())]
        assert [camera.id for camera in cameras] == sim.camera_ids
        assert all(camera.site == "malang" and camera.credentials for camera in cameras)
        assert cameras[0].profiles["sub"].url == sim.url("cam-001", "sub")
        assert path.stat().st_mode & 0o077 == 0


async def test_faults_are_switched_over_http(sim: Simulator) -> None:
    async with TestClient(TestServer(application(sim))) as http:
        assert (await http.get("/readyz")).status == 200
        assert (await http.post("/cameras/cam-001/faults", json={"fault": "loss", "value": 0.5})).status == 204
        assert (await http.post("/cameras/*/faults", json={"fault": "stall", "profile": "sub"})).status == 204
        first, second = await (await http.get("/cameras")).json()
        assert first["profiles"]["main"]["faults"] == {"loss": 0.5}
        assert first["profiles"]["sub"]["faults"] == {"loss": 0.5, "stall": 0}
        assert second["profiles"]["sub"]["faults"] == {"stall": 0}
        assert (await http.delete("/cameras/cam-001/faults/loss")).status == 204
        assert (await http.delete("/cameras/*/faults?profile=sub")).status == 204
        assert not any(sim.stream(camera, profile).faults for camera in sim.camera_ids for profile in ("main", "sub"))
        assert "pantau_sim_cameras_ready 2.0" in await (await http.get("/metrics")).text()


@pytest.mark.parametrize(
    ("camera", "body", "status"),
    [
        ("cam-009", {"fault": "stall"}, 404),
        ("cam-001", {"fault": "what"}, 422),
        ("cam-001", {"fault": "stall", "x": 1}, 422),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    sim: Simulator, camera: str, body: dict[str, object], status: int
) -> None:
    async with TestClient(TestServer(application(sim))) as http:
        assert (await http.post(f"/cameras/{camera}/faults", json=body)).status == status
        assert (await http.post("/cameras/cam-001/faults", data=b"{")).status == 422
        assert (await http.delete("/cameras/cam-001/faults/what")).status == 404
