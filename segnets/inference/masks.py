"""A class per pixel as pictures: palette mask, labelIds, overlay, grey layer; and how sure it is.

Arrays hold trainIds (H, W) uint8, 255 where a pixel is none of the classes; that is black, labelId 0.
The same array gives the same bytes (one Pillow version).
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnets.labels import CLASS_COLORS, IGNORE_INDEX, LABEL_ID_OF, NUM_CLASSES, TRAIN_ID_OF

Ids = NDArray[np.uint8]

_BLACK = NUM_CLASSES
_PALETTE = np.zeros((256, 3), np.uint8)
_PALETTE[:NUM_CLASSES] = CLASS_COLORS
_LABEL_ID_OF = np.frombuffer(LABEL_ID_OF, np.uint8)
_TRAIN_ID_OF = np.frombuffer(TRAIN_ID_OF, np.uint8)


def to_label_ids(train_ids: Ids) -> Ids:
    """LabelIds of trainIds; everything that is no class becomes 0."""
    ids: Ids = _LABEL_ID_OF[train_ids]
    return ids


def to_train_ids(label_ids: Ids) -> Ids:
    """TrainIds of labelIds; everything that is not scored becomes 255."""
    ids: Ids = _TRAIN_ID_OF[label_ids]
    return ids


def black_out(train_ids: Ids, dropped: NDArray[np.bool_]) -> Ids:
    """The ids with 255 where `dropped` is true."""
    return np.where(dropped, np.uint8(IGNORE_INDEX), train_ids)


def to_palette_png(train_ids: Ids) -> bytes:
    """A palette PNG in the Cityscapes colours: pixel values are trainIds, 19 is black."""
    image = Image.fromarray(np.minimum(train_ids, np.uint8(_BLACK)))
    image.putpalette(_PALETTE[: NUM_CLASSES + 1].tobytes())  # makes it mode P
    return _png(image)


def to_label_png(train_ids: Ids) -> bytes:
    """A grey PNG of labelIds, as the official evaluator reads it."""
    return _png(Image.fromarray(to_label_ids(train_ids)))


def to_overlay_png(rgb: NDArray[np.uint8], train_ids: Ids) -> bytes:
    """The frame (H, W, 3) half covered by its colours; where there is no class it stays as it is."""
    assert rgb.shape[:2] == train_ids.shape, (rgb.shape, train_ids.shape)
    colors = _PALETTE[train_ids]
    half = (rgb >> 1) + (colors >> 1) + (rgb & colors & 1)  # the mean, rounded down, in bytes
    return _png(Image.fromarray(np.where((train_ids < NUM_CLASSES)[..., None], half, rgb)))


def to_grey_png(ids: Ids) -> bytes:
    """A grey PNG whose pixel values are the ids."""
    return _png(Image.fromarray(ids))


def to_confidence_png(confidence: NDArray[np.float32]) -> bytes:
    """Probabilities (H, W) as a grey PNG of 0..255."""
    return _png(Image.fromarray(np.round(confidence * 255).astype(np.uint8)))


def to_confidence_webp(confidence: NDArray[np.float32]) -> bytes:
    """Probabilities (H, W) as a lossy WebP of 0..255 at half size."""
    image = Image.fromarray(np.round(confidence * 255).astype(np.uint8))
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _encoded(image.resize(size, Image.Resampling.BOX), "WEBP", quality=75, method=4)


def to_frame_webp(rgb: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) as lossy WebP."""
    return _encoded(Image.fromarray(rgb), "WEBP", quality=85, method=4)


def _png(image: Image.Image) -> bytes:
    # level 6 of zlib: the smallest files are 3 % smaller and take four times as long
    return _encoded(image, "PNG", compress_level=6)


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()
