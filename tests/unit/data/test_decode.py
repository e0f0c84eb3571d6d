import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segnets.data import decode
from segnets.data.decode import PngFault, check_png, decode_label_ids, decode_rgb, read_header

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
IDS = np.random.default_rng(1).integers(0, 34, (12, 20), dtype=np.uint8)


def encode(array, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def forge(width, height, pixels, depth=8, color_type=2):
    """A PNG with right checksums, whatever it says and holds."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return decode.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


FRAME = encode(RGB)


def test_pixels_come_back_as_they_were():
    assert np.array_equal(decode_rgb(FRAME, "x"), RGB)
    assert np.array_equal(decode_label_ids(encode(IDS), "x"), IDS)


def test_pyvips_and_pillow_give_the_same_pixels(monkeypatch):
    assert decode._vips() is not None
    monkeypatch.setattr(decode, "_vips", lambda: None)
    assert np.array_equal(decode_rgb(FRAME, "x"), RGB)
    assert np.array_equal(decode_label_ids(encode(IDS), "x"), IDS)


@given(st.integers(0, len(FRAME) * 8 - 1))
def test_any_flipped_bit_is_found_before_a_decoder_sees_it(bit):
    damaged = bytearray(FRAME)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PngFault, match=r"city/x\.png"):
        check_png(bytes(damaged), "frame", "city/x.png")


@given(st.integers(0, len(FRAME) - 1))
def test_any_cut_is_found(size):
    with pytest.raises(PngFault) as caught:
        check_png(FRAME[:size], "frame", "x.png")
    assert caught.value.kind == ("truncated" if size else "unreadable")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(IDS), "8-bit grey instead of 8-bit RGB"),
        (Image.fromarray(IDS).convert("P"), "8-bit palette instead of 8-bit RGB"),
        (Image.fromarray(RGB).convert("RGBA"), "8-bit RGB with alpha instead of 8-bit RGB"),
        (Image.fromarray(IDS.astype(np.uint16)), "16-bit grey instead of 8-bit RGB"),
        (Image.fromarray(IDS > 9), "1-bit grey instead of 8-bit RGB"),
    ],
)
def test_another_colour_type_is_refused_by_name(image, words):
    with pytest.raises(PngFault, match=words) as caught:
        decode_rgb(encode(image), "x.png")
    assert caught.value.kind == "wrong_color_type"
    assert caught.value.exit_code == 3


def test_a_palette_label_is_refused_since_decoders_differ_about_it():
    with pytest.raises(PngFault, match="8-bit palette instead of 8-bit grey"):
        decode_label_ids(encode(Image.fromarray(IDS).convert("P")), "x.png")


def test_a_picture_that_claims_to_be_huge_is_refused_unread():
    with pytest.raises(PngFault, match="60000x60000 cannot be meant"):
        read_header(forge(60000, 60000, b""), "x.png")


def test_another_format_under_the_name_png_is_refused():
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "TIFF")
    with pytest.raises(PngFault, match="no PNG file"):
        decode_rgb(out.getvalue(), "x.png")


@pytest.mark.parametrize("with_pillow", [False, True])
@pytest.mark.parametrize(
    "pixels",
    [b"", b"no zlib stream", zlib.compress(b"too few"), zlib.compress(bytes(12 * 61))[:-9]],
)
def test_pixels_that_do_not_inflate_are_a_fault_not_a_crash(pixels, with_pillow, monkeypatch):
    if with_pillow:
        monkeypatch.setattr(decode, "_vips", lambda: None)
    with pytest.raises(PngFault, match="cannot be decoded") as caught:
        decode_rgb(forge(20, 12, pixels), "x.png")
    assert caught.value.kind == "unreadable"


def test_a_fault_survives_pickling():
    fault = PngFault("damaged", "it is damaged", "x.png")
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.kind) == (str(fault), "damaged")
