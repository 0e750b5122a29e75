"""JPEG (ITU-T T.81): a picture's size without decoding it."""

from services.media.nal import BitstreamError


def size_px(jpeg: bytes) -> tuple[int, int]:
    """Width and height from the frame header (B.2.2). Raises `BitstreamError` where there is none."""
    if jpeg[:2] != b"\xff\xd8":
        raise BitstreamError("not a JPEG picture")
    at = 2
    while at + 9 <= len(jpeg):
        if jpeg[at] != 0xFF:
            raise BitstreamError("a JPEG marker is missing")
        marker = jpeg[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        # SOF0 to SOF15; C4, C8 and CC are no frame headers.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = int.from_bytes(jpeg[at + 5 : at + 7], "big"), int.from_bytes(jpeg[at + 7 : at + 9], "big")
            if not (width and height):
                raise BitstreamError("a JPEG picture without a size")
            return width, height
        at += 2 if marker == 0x01 or 0xD0 <= marker <= 0xD7 else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    raise BitstreamError("a JPEG picture without a frame header")
