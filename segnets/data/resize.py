"""Pictures to network size: frames antialiased, labels by nearest pixel centre.

Both are used for shards and for frames read directly at prediction, so the model sees the same pixels
either way. Torch's antialiased interpolation on channels-last uint8 is 8.7 times Pillow's bilinear
filter and within one grey level of it; in channels-first memory it would be 5.6 times slower.
"""

import numpy as np
from numpy.typing import NDArray

RESIZE_KERNEL = "torch-bilinear-antialias-uint8/nearest-center"
"""Goes into the manifest: another way of resizing is another dataset format."""


def resize_frame(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 at (height, width); the same pixels where the size is the same."""
    import torch
    from torch.nn.functional import interpolate

    if rgb.shape[:2] == (height, width):
        return rgb
    # Pillow's arrays are read-only, which torch does not take; pyvips' are not, and cost no copy
    tensor = torch.from_numpy(rgb if rgb.flags.writeable else rgb.copy())
    image = tensor.permute(2, 0, 1)[None]  # (1, 3, H, W), channels-last memory
    small = interpolate(image, size=(height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def resize_labels(label_ids: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Ids (H, W) uint8 at (height, width): output (r, c) takes source floor((r + 0.5) H / height).

    Equal to torch's nearest-exact, and to Pillow's NEAREST but where a centre falls on the edge of two
    pixels, which Pillow's running sum decides by chance. Bilinear invents ids between two classes.
    """
    if label_ids.shape == (height, width):
        return label_ids
    rows = nearest_centers(label_ids.shape[0], height)
    columns = nearest_centers(label_ids.shape[1], width)
    return np.ascontiguousarray(label_ids[rows[:, None], columns[None, :]])


def nearest_centers(source: int, target: int) -> NDArray[np.int64]:
    """For each of `target` positions the source position under its centre, in exact integers."""
    positions = np.arange(target, dtype=np.int64)
    return (2 * positions + 1) * source // (2 * target)
