"""Where the simulated cameras stand: streets of Malang and Mojokerto, East Java (coordinates to about 100 m)."""

from typing import Final, NamedTuple


class Place(NamedTuple):
    """A spot under a city's camera."""

    name: str
    city: str
    latitude: float
    longitude: float


PLACES: Final = (
    Place("Jl. Ijen", "Malang", -7.9698, 112.6211),
    Place("Alun-Alun Tugu", "Malang", -7.9771, 112.6340),
    Place("Jl. Kayutangan", "Malang", -7.9794, 112.6305),
    Place("Simpang Dieng", "Malang", -7.9719, 112.6147),
    Place("Jl. Soekarno-Hatta", "Malang", -7.9403, 112.6186),
    Place("Simpang Arjosari", "Malang", -7.9338, 112.6580),
    Place("Jl. Veteran", "Malang", -7.9567, 112.6146),
    Place("Pasar Besar", "Malang", -7.9877, 112.6334),
    Place("Jl. Pahlawan", "Mojokerto", -7.4802, 112.4290),
    Place("Alun-Alun Mojokerto", "Mojokerto", -7.4640, 112.4338),
    Place("Jl. Majapahit", "Mojokerto", -7.4681, 112.4345),
    Place("Jl. Gajah Mada", "Mojokerto", -7.4655, 112.4412),
    Place("Jl. Bhayangkara", "Mojokerto", -7.4672, 112.4386),
    Place("Simpang Kenanten", "Mojokerto", -7.5061, 112.4241),
    Place("Jl. Empunala", "Mojokerto", -7.4773, 112.4453),
    Place("Jembatan Gajah Mada", "Mojokerto", -7.4603, 112.4416),
    Place("Jl. Letjen Sutoyo", "Malang", -7.9588, 112.6385),
    Place("Jl. S. Parman", "Malang", -7.9497, 112.6398),
    Place("Jl. Ahmad Yani", "Malang", -7.9407, 112.6433),
    Place("Simpang Blimbing", "Malang", -7.9399, 112.6446),
    Place("Jl. Raden Intan", "Malang", -7.9312, 112.6555),
    Place("Jl. Gatot Subroto", "Malang", -7.9845, 112.6387),
    Place("Stasiun Malang Kota", "Malang", -7.9775, 112.6371),
    Place("Jl. Semeru", "Malang", -7.9745, 112.6256),
    Place("Jl. Bandung", "Malang", -7.9625, 112.6221),
    Place("Jl. Galunggung", "Malang", -7.9716, 112.6098),
    Place("Jl. Mayjen Panjaitan", "Malang", -7.9559, 112.6224),
    Place("Simpang Janti", "Malang", -8.0013, 112.6216),
    Place("Terminal Kertajaya", "Mojokerto", -7.4935, 112.4286),
    Place("Jl. Benteng Pancasila", "Mojokerto", -7.4811, 112.4479),
    Place("Jl. Raya Ijen", "Mojokerto", -7.4718, 112.4448),
    Place("Pasar Tanjung Anyar", "Mojokerto", -7.4656, 112.4365),
)


def place(number: int) -> Place:
    """The place of camera ``number`` (from 1). Beyond the list the places repeat, with a count behind the name."""
    turn, index = divmod(number - 1, len(PLACES))
    found = PLACES[index]
    return found._replace(name=f"{found.name} {turn + 1}") if turn else found


def camera_id(number: int) -> str:
    """``cam-001`` for 1."""
    return f"cam-{number:03d}"
