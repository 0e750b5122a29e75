"""The demo's map: the streets of its cameras, drawn as an archive of vector tiles.

Nobody surveyed them. Main roads join each city's places, and small streets lie around each place, turned as its camera
is, so that a camera stands on a street. The layers and kinds are those of Protomaps' basemap, as in a city's real file
(docs/guide/map.md): the page draws both with one style.

Formats: PMTiles version 3 (github.com/protomaps/PMTiles, spec/v3/spec.md) and Mapbox Vector Tile 2.1.
"""

import gzip
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from struct import pack, unpack_from
from typing import Final, NamedTuple

from services.contracts.models import Camera

MIN_ZOOM: Final = 9
MAX_ZOOM: Final = 14
_EXTENT: Final = 4096
_BUFFER: Final = 256
_STEP_METRES: Final = 120.0
"""Streets are chains of points so close that a tile needs no clipping: what lies far outside is left out."""
_METRES_A_DEGREE: Final = 111_320.0
_GRID_METRES: Final = 110.0
_GRID_STREETS: Final = range(-3, 4)
_FAR_METRES: Final = 12_000.0
"""Places that are further apart are of two cities, between which nothing is drawn."""
_GZIP: Final = 2
_MVT: Final = 1
_NAMES_FROM_ZOOM: Final = 13

Point = tuple[float, float]
"""Longitude and latitude, in degrees."""


class Street(NamedTuple):
    """A chain of points."""

    points: tuple[Point, ...]
    kind: str
    """``major_road`` or ``minor_road``."""
    name: str = ""

    @property
    def min_zoom(self) -> int:
        """Below it the street is not drawn."""
        return MIN_ZOOM if self.kind == "major_road" else 13


def write_demo_map(path: Path, cameras: Iterable[Camera]) -> None:
    """Writes the archive, in place of an older demo's at once. A city's own file stays."""
    if path.exists() and not _is_demo_map(path):
        return
    archive = pmtiles(tiles(streets(list(cameras))))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(archive)
    fresh.replace(path)


def _is_demo_map(path: Path) -> bool:
    archive = path.read_bytes()
    at, length = unpack_from("<QQ", archive, 24)
    try:
        metadata = json.loads(gzip.decompress(archive[at : at + length]))
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return bool(metadata.get("name") == _METADATA["name"])


def streets(cameras: Sequence[Camera]) -> list[Street]:
    """The streets around cameras whose place is known."""
    places = {
        (camera.location.longitude, camera.location.latitude): camera
        for camera in cameras
        if camera.location.longitude is not None and camera.location.latitude is not None
    }
    found = [Street(_chain(*ends), "major_road") for ends in _joined(list(places))]
    for place, camera in places.items():
        found += _around(place, camera)
    return found


def _around(place: Point, camera: Camera) -> list[Street]:
    """A grid of small streets that lies as the camera looks; the one through the camera has its name."""
    turn = math.radians(camera.location.bearing or 0)
    along, across = (math.sin(turn), math.cos(turn)), (math.cos(turn), -math.sin(turn))
    reach = _GRID_METRES * (max(_GRID_STREETS) + 0.4)
    found = []
    for number in _GRID_STREETS:
        for one, other in ((along, across), (across, along)):
            foot = _moved(place, other, number * _GRID_METRES)
            ends = _moved(foot, one, -reach), _moved(foot, one, reach)
            named = number == 0 and one is along
            found.append(Street(_chain(*ends), "minor_road", camera.location.address if named else ""))
    return found


def _joined(places: list[Point]) -> list[tuple[Point, Point]]:
    """The shortest roads that lead from each place of a city to every other one (Prim's algorithm), city by city."""
    roads = []
    left = list(places)
    while left:
        city = [left.pop(0)]
        while left:
            metres, here, there = min((_metres(a, b), a, b) for a in city for b in left)
            if metres > _FAR_METRES:
                break
            roads.append((here, there))
            city.append(there)
            left.remove(there)
    return roads


def _metres(a: Point, b: Point) -> float:
    shrink = math.cos(math.radians(a[1]))
    return math.hypot((b[0] - a[0]) * shrink, b[1] - a[1]) * _METRES_A_DEGREE


def _moved(place: Point, direction: Point, metres: float) -> Point:
    shrink = math.cos(math.radians(place[1]))
    east, north = direction[0] * metres / _METRES_A_DEGREE, direction[1] * metres / _METRES_A_DEGREE
    return place[0] + east / shrink, place[1] + north


def _chain(a: Point, b: Point) -> tuple[Point, ...]:
    steps = max(1, math.ceil(_metres(a, b) / _STEP_METRES))
    return tuple((a[0] + (b[0] - a[0]) * n / steps, a[1] + (b[1] - a[1]) * n / steps) for n in range(steps + 1))


# Vector tiles

TileKey = tuple[int, int, int]
"""Zoom, column, row."""


def tiles(found: Sequence[Street]) -> dict[TileKey, bytes]:
    """The tiles that have a street, not compressed."""
    lines: dict[TileKey, list[tuple[Street, list[tuple[int, int]]]]] = defaultdict(list)
    for street in found:
        for zoom in range(street.min_zoom, MAX_ZOOM + 1):
            worlds = [_world(point, zoom) for point in street.points]
            for column, row in {key for world in worlds for key in _tiles_near(world)}:
                lines[zoom, column, row] += [(street, run) for run in _runs(worlds, column, row)]
    return {key: _mvt_layer("roads", of_tile, key[0]) for key, of_tile in lines.items()}


def _world(point: Point, zoom: int) -> Point:
    """Web Mercator, in tiles."""
    size = 2**zoom
    latitude = math.radians(point[1])
    return (point[0] + 180) / 360 * size, (1 - math.asinh(math.tan(latitude)) / math.pi) / 2 * size


def _tiles_near(world: Point) -> set[tuple[int, int]]:
    margin = _BUFFER / _EXTENT
    return {(int(world[0] + dx), int(world[1] + dy)) for dx in (-margin, 0, margin) for dy in (-margin, 0, margin)}


def _runs(worlds: Sequence[Point], column: int, row: int) -> list[list[tuple[int, int]]]:
    """The chain's stretches near a tile, in its own units: those points and the next ones on either side."""
    local = [(round((x - column) * _EXTENT), round((y - row) * _EXTENT)) for x, y in worlds]
    low, high = -_BUFFER, _EXTENT + _BUFFER
    near = [low <= x <= high and low <= y <= high for x, y in local]
    runs: list[list[tuple[int, int]]] = []
    for (a, a_near), (b, b_near) in pairwise(zip(local, near, strict=True)):
        if not (a_near or b_near) or a == b:
            continue
        if runs and runs[-1][-1] == a:
            runs[-1].append(b)
        else:
            runs.append([a, b])
    return runs


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _line(points: Sequence[tuple[int, int]]) -> bytes:
    """MoveTo the first point, LineTo the others (MVT, 4.3.4.3)."""
    commands = [1 << 3 | 1]
    x = y = 0
    for index, (to_x, to_y) in enumerate(points):
        if index == 1:
            commands.append((len(points) - 1) << 3 | 2)
        commands += (_zigzag(to_x - x), _zigzag(to_y - y))
        x, y = to_x, to_y
    return b"".join(map(_varint, commands))


def _mvt_layer(name: str, lines: Sequence[tuple[Street, list[tuple[int, int]]]], zoom: int) -> bytes:
    values: dict[str, int] = {}
    features = bytearray()
    for street, points in lines:
        tags = [0, values.setdefault(street.kind, len(values))]
        if street.name and zoom >= _NAMES_FROM_ZOOM:
            tags += [1, values.setdefault(street.name, len(values))]
        packed = b"".join(map(_varint, tags))
        features += _message(2, _message(2, packed) + _number(3, 2) + _message(4, _line(points)))
    keys = _message(3, b"kind") + _message(3, b"name")
    texts = b"".join(_message(4, _message(1, value.encode())) for value in values)
    layer = _message(1, name.encode()) + bytes(features) + keys + texts + _number(5, _EXTENT) + _number(15, 2)
    return _message(3, layer)


# The archive


def tile_id(zoom: int, column: int, row: int) -> int:
    """A tile's place on the Hilbert curve, after all tiles of smaller zooms (PMTiles 3, 4.1)."""
    place: int = (4**zoom - 1) // 3
    x, y = column, row
    for step in range(zoom - 1, -1, -1):
        side = 1 << step
        right, low = int(bool(x & side)), int(bool(y & side))
        place += side * side * (3 * right ^ low)
        if not low:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
    return place


def pmtiles(found: dict[TileKey, bytes]) -> bytes:
    """The archive: header, one directory, metadata, tiles in the order of their ids."""
    entries: list[tuple[int, int, int]] = []
    data = bytearray()
    for number, tile in sorted((tile_id(*key), tile) for key, tile in found.items()):
        packed = gzip.compress(tile, mtime=0)
        entries.append((number, len(data), len(packed)))
        data += packed
    directory = gzip.compress(_directory(entries), mtime=0)
    metadata = gzip.compress(json.dumps(_METADATA).encode(), mtime=0)
    root_at = 127
    metadata_at = root_at + len(directory)
    data_at = metadata_at + len(metadata)
    west, south, east, north = _bounds(found)
    header = b"PMTiles\x03" + pack(
        "<QQQQQQQQQQQ",
        root_at, len(directory), metadata_at, len(metadata), data_at, 0, data_at, len(data),
        len(entries), len(entries), len(entries),
    )  # fmt: skip
    corners = [round(degrees * 1e7) for degrees in (west, south, east, north)]
    middle = [(corners[0] + corners[2]) // 2, (corners[1] + corners[3]) // 2]
    header += pack("<BBBBBB", 1, _GZIP, _GZIP, _MVT, MIN_ZOOM, MAX_ZOOM)
    header += pack("<iiiiBii", *corners, MIN_ZOOM, *middle)
    return header + directory + metadata + bytes(data)


_METADATA: Final = {
    "name": "Pantau demo",
    "attribution": "Pantau demo",
    "vector_layers": [
        {"id": layer, "fields": {"kind": "String", "name": "String"}}
        for layer in ("roads", "water", "landuse", "buildings", "places")
    ],
}


def _directory(entries: Sequence[tuple[int, int, int]]) -> bytes:
    """Ids as differences, run lengths, lengths, offsets (PMTiles 3, 4.2); tiles lie one behind the other."""
    ids = b"".join(_varint(b - a) for a, b in pairwise([0, *(number for number, _, _ in entries)]))
    runs = b"\x01" * len(entries)
    lengths = b"".join(_varint(length) for _, _, length in entries)
    offsets = b"".join(_varint(0 if index else 1) for index in range(len(entries)))
    return _varint(len(entries)) + ids + runs + lengths + offsets


def _bounds(found: Iterable[TileKey]) -> tuple[float, float, float, float]:
    finest = [(column, row) for zoom, column, row in found if zoom == MAX_ZOOM] or [(0, 0)]
    columns, rows = [column for column, _ in finest], [row for _, row in finest]
    return (
        _longitude(min(columns)),
        _latitude(max(rows) + 1),
        _longitude(max(columns) + 1),
        _latitude(min(rows)),
    )


def _longitude(column: int) -> float:
    return column / 2**MAX_ZOOM * 360 - 180


def _latitude(row: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**MAX_ZOOM))))
