"""The city's map, served in parts."""

from pathlib import Path

from services.mesh.settings import MeshSettings
from tests.wall.front.running import running_front

PATH = "/api/v1/map.pmtiles"


async def test_a_map_is_read_by_ranges_and_is_another_one_after_it_was_replaced(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    file = tmp_path / "city.pmtiles"
    file.write_bytes(b"PMTiles\x03" + bytes(range(100)))
    async with running_front(mesh_settings, map_file=file) as front:
        async with front.http.get(PATH, headers={"Range": "bytes=8-11"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"\x00\x01\x02\x03")
            assert answer.headers["Content-Range"] == "bytes 8-11/108"
            assert answer.content_type == "application/vnd.pmtiles"
            first = answer.headers["ETag"]
        async with front.http.get(PATH, headers={"Range": "bytes=500-"}) as answer:
            assert answer.status == 416
        file.with_suffix(".new").write_bytes(b"PMTiles\x03" + bytes(50))
        file.with_suffix(".new").replace(file)
        async with front.http.get(PATH) as answer:
            assert (answer.status, answer.headers["ETag"] != first) == (200, True)
            assert len(await answer.read()) == 58


async def test_without_a_file_there_is_no_map(mesh_settings: MeshSettings, tmp_path: Path) -> None:
    async with (
        running_front(mesh_settings, map_file=tmp_path / "none.pmtiles") as front,
        front.http.get(PATH) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (404, "not-found")
