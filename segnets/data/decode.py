"""PNG bytes to uint8 arrays; bombs, lies and damage are refused before a decoder sees them.

Order of checks: signature, IHDR (size, depth, colour type), every chunk's length and CRC, then the
decoder, then the shape. A single flipped bit is found by a CRC. That matters: torchvision's decoder
died with a segmentation fault on 100 of 100 files with one flipped bit, so it is never used here.
pyvips decodes (2.1 times Pillow's speed), Pillow where libvips is missing; both give the same pixels.
"""

import functools
import io
import logging
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segnets.errors import DatasetError

Role = Literal["frame", "label"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 16_384
MAX_PIXELS = 2**27
"""Larger pictures are refused unread: 134 million pixels are 400 MB of RGB."""

_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_WANTED = {"frame": 2, "label": 0}


class PngFault(DatasetError):
    """A PNG file that cannot be used; `kind` is its row in the fault table."""

    def __init__(self, kind: str, detail: str, where: object) -> None:
        super().__init__(
            detail, where, "Replace the file, or pass --on-problem skip to leave its clips out."
        )
        self.args = (kind, detail, str(where))  # what __init__ takes, so that it pickles
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class PngInfo:
    """What IHDR says."""

    height: int
    width: int
    bit_depth: int
    color_type: int


def read_header(data: bytes, where: object) -> PngInfo:
    """Signature and IHDR of a PNG file.

    Raises PngFault: unreadable (no PNG, or a size that cannot be) or truncated.
    """
    if not data.startswith(SIGNATURE[: len(data)]) or not data:
        raise PngFault("unreadable", "this is no PNG file", where)
    if len(data) < 33:
        raise PngFault("truncated", f"the PNG ends after {len(data)} bytes", where)
    length, name, width, height, bit_depth, color_type = struct.unpack(">I4sIIBB", data[8:26])
    if name != b"IHDR" or length != 13:
        raise PngFault("damaged", "the PNG does not begin with its header", where)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise PngFault("unreadable", f"a picture of {width}x{height} cannot be meant", where)
    return PngInfo(height, width, bit_depth, color_type)


def check_png(data: bytes, role: Role, where: object) -> PngInfo:
    """Header, colour type and every chunk's CRC, without decoding.

    A frame is 8-bit RGB, a label 8-bit grey. Raises PngFault: unreadable, truncated, damaged,
    wrong_color_type.
    """
    info = read_header(data, where)
    view = memoryview(data)
    position = 8
    has_pixels = False
    while True:
        if position + 12 > len(data):
            raise PngFault("truncated", f"the PNG ends at byte {len(data)}, mid-way", where)
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise PngFault("truncated", f"the PNG ends at byte {len(data)}, mid-way", where)
        (crc,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != crc:
            chunk = name.decode("latin-1") if name.isalpha() else "?"
            detail = f"the PNG is damaged: chunk {chunk} at byte {position} fails its checksum"
            raise PngFault("damaged", detail, where)
        has_pixels = has_pixels or name == b"IDAT"
        position = end
        if name == b"IEND":
            break
    if not has_pixels:
        raise PngFault("unreadable", "the PNG holds no pixels", where)
    if (info.color_type, info.bit_depth) != (_WANTED[role], 8):
        found = f"{info.bit_depth}-bit {_COLOR_TYPES.get(info.color_type, info.color_type)}"
        wanted = f"8-bit {_COLOR_TYPES[_WANTED[role]]}"
        detail = f"the {role} has the wrong colour type, {found} instead of {wanted}"
        raise PngFault("wrong_color_type", detail, where)
    return info


def decode_rgb(data: bytes, where: object, *, checked: bool = False) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 from the bytes of an 8-bit RGB PNG.

    `checked` says that `check_png` has passed these very bytes. Raises PngFault with `where` in it.
    """
    return _decode(data, "frame", where, checked=checked)


def decode_label_ids(data: bytes, where: object, *, checked: bool = False) -> NDArray[np.uint8]:
    """LabelIds (H, W) uint8 from the bytes of an 8-bit grey PNG; PngFault with `where` in it."""
    return _decode(data, "label", where, checked=checked)


def _decode(data: bytes, role: Role, where: object, *, checked: bool) -> NDArray[np.uint8]:
    info = read_header(data, where) if checked else check_png(data, role, where)
    vips = _vips()
    try:
        pixels = _decode_pillow(data, role) if vips is None else _decode_vips(vips, data)
    except (OSError, SyntaxError, ValueError, zlib.error, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise PngFault("unreadable", f"the PNG cannot be decoded ({reason})", where) from None
    shape = (info.height, info.width, 3) if role == "frame" else (info.height, info.width)
    if pixels.shape != shape:
        detail = f"the PNG decodes to shape {pixels.shape} instead of {shape}"
        raise PngFault("unreadable", detail, where)
    return pixels


@functools.cache
def _vips() -> Any:
    """The pyvips module, or None where libvips cannot be loaded."""
    # one thread a call: our own threads decode side by side; must be set before the import
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    try:
        logging.getLogger("pyvips").setLevel(logging.ERROR)  # we say it ourselves, once
        import pyvips
    except (ImportError, OSError):
        return None
    pyvips.cache_set_max(0)  # no picture is decoded twice; the cache would only hold memory
    return pyvips


def _decode_vips(vips: Any, data: bytes) -> NDArray[np.uint8]:
    try:
        image = vips.Image.pngload_buffer(data, fail_on="warning", access="sequential")
        if image.format != "uchar":
            raise ValueError(f"samples are {image.format}")
        raw = image.write_to_memory()
    except vips.Error as error:
        raise ValueError(str(error.detail or error.message)) from None
    shape = (image.height, image.width, image.bands)[: 3 if image.bands > 1 else 2]
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)


def _decode_pillow(data: bytes, role: Role) -> NDArray[np.uint8]:
    from PIL import Image, ImageFile

    # process-wide switch: with it Pillow takes cut and damaged files for whole ones
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if image.mode != {"frame": "RGB", "label": "L"}[role]:
            raise ValueError(f"mode is {image.mode}")
        return np.asarray(image)
