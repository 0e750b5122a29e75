"""The demo's map: an archive as PMTiles 3 has it, with the streets of its cameras."""

import gzip
import json
from pathlib import Path
from struct import unpack_from

from services.contracts.models import Camera, Location, Profile, ProfileName
from services.up.demo_map import MAX_ZOOM, pmtiles, streets, tile_id, tiles, write_demo_map

MALANG, NEAR, MOJOKERTO = (112.6211, -7.9698), (112.6340, -7.9771), (112.4290, -7.4802)


def camera(place: tuple[float, float], bearing: float = 0) -> Camera:
    """A camera at longitude and latitude."""
    location = Location(longitude=place[0], latitude=place[1], address="Jl. Ijen", bearing=bearing)
    profiles: dict[ProfileName, Profile] = {"main": Profile(url="rtsp://10.0.0.1/main")}
    return Camera.model_validate(
        {
            "id": f"cam-{round(place[0] * 1e4)}",
            "site": "city",
            "name": "Cam",
            "location": location,
            "profiles": profiles,
        }
    )


def test_tiles_are_numbered_along_the_hilbert_curve_as_the_specification_lists_them() -> None:
    listed = {
        (0, 0, 0): 0,
        (1, 0, 0): 1,
        (1, 0, 1): 2,
        (1, 1, 1): 3,
        (1, 1, 0): 4,
        (2, 0, 0): 5,
        (12, 3423, 1763): 19078479,
    }
    assert {key: tile_id(*key) for key in listed} == listed


def test_the_places_of_a_city_are_joined_and_two_cities_are_not() -> None:
    roads = [
        street for street in streets([camera(p) for p in (MALANG, NEAR, MOJOKERTO)]) if street.kind == "major_road"
    ]
    assert [{road.points[0], road.points[-1]} for road in roads] == [{MALANG, NEAR}]


def test_a_camera_without_a_place_draws_nothing() -> None:
    nowhere = camera(MALANG).model_copy(update={"location": Location()})
    assert streets([nowhere]) == []
    assert tiles([]) == {}


def test_the_archive_has_each_tile_where_its_directory_says(tmp_path: Path) -> None:
    found = tiles(streets([camera(MALANG), camera(NEAR, bearing=45)]))
    assert max(zoom for zoom, _, _ in found) == MAX_ZOOM
    archive = pmtiles(found)
    assert archive[:8] == b"PMTiles\x03"
    root_at, root_bytes, metadata_at, metadata_bytes, _, _, data_at, data_bytes = unpack_from("<8Q", archive, 8)
    assert data_at + data_bytes == len(archive)
    assert json.loads(gzip.decompress(archive[metadata_at : metadata_at + metadata_bytes]))["vector_layers"]
    numbers = _varints(gzip.decompress(archive[root_at : root_at + root_bytes]))
    count, rest = numbers[0], numbers[1:]
    assert count == len(found)
    ids = [sum(rest[: n + 1]) for n in range(count)]
    lengths = rest[2 * count : 3 * count]
    assert rest[3 * count :] == [1] + [0] * (count - 1)
    by_id = {tile_id(*key): tile for key, tile in found.items()}
    at = data_at
    for number, length in zip(ids, lengths, strict=True):
        assert gzip.decompress(archive[at : at + length]) == by_id[number]
        at += length
    west, south, east, north = (degrees / 1e7 for degrees in unpack_from("<4i", archive, 102))
    assert west < MALANG[0] < NEAR[0] < east
    assert south < NEAR[1] < MALANG[1] < north


def test_a_citys_own_file_stays_and_an_older_demos_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "map" / "city.pmtiles"
    write_demo_map(path, [camera(MALANG)])
    first = path.read_bytes()
    write_demo_map(path, [camera(NEAR)])
    assert path.read_bytes() != first
    path.write_bytes(b"PMTiles\x03" + bytes(200))
    write_demo_map(path, [camera(MALANG)])
    assert path.read_bytes() == b"PMTiles\x03" + bytes(200)


def _varints(data: bytes) -> list[int]:
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
