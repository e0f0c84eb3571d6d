"""The Cityscapes classes: labelId, trainId, name, category, colour.

Source: cityscapesScripts, helpers/labels.py (the official table). labelId -1 (license plate) cannot
occur in a uint8 PNG and is left out. Nothing here imports torch or numpy, so the app, flags and
helps can read it at once.
"""

from dataclasses import dataclass

IGNORE_INDEX = 255  # trainId of every pixel that is not scored
NUM_CLASSES = 19
NONE_INDEX = 19  # column of the confusion counts: predicted none of the 19 classes


@dataclass(frozen=True, slots=True)
class Label:
    """One row of the table. `train_id` is 255 for classes that are not scored."""

    label_id: int
    train_id: int
    name: str
    category: str
    has_instances: bool
    color: tuple[int, int, int]


LABELS: tuple[Label, ...] = (
    Label(0, 255, "unlabeled", "void", False, (0, 0, 0)),
    Label(1, 255, "ego vehicle", "void", False, (0, 0, 0)),
    Label(2, 255, "rectification border", "void", False, (0, 0, 0)),
    Label(3, 255, "out of roi", "void", False, (0, 0, 0)),
    Label(4, 255, "static", "void", False, (0, 0, 0)),
    Label(5, 255, "dynamic", "void", False, (111, 74, 0)),
    Label(6, 255, "ground", "void", False, (81, 0, 81)),
    Label(7, 0, "road", "flat", False, (128, 64, 128)),
    Label(8, 1, "sidewalk", "flat", False, (244, 35, 232)),
    Label(9, 255, "parking", "flat", False, (250, 170, 160)),
    Label(10, 255, "rail track", "flat", False, (230, 150, 140)),
    Label(11, 2, "building", "construction", False, (70, 70, 70)),
    Label(12, 3, "wall", "construction", False, (102, 102, 156)),
    Label(13, 4, "fence", "construction", False, (190, 153, 153)),
    Label(14, 255, "guard rail", "construction", False, (180, 165, 180)),
    Label(15, 255, "bridge", "construction", False, (150, 100, 100)),
    Label(16, 255, "tunnel", "construction", False, (150, 120, 90)),
    Label(17, 5, "pole", "object", False, (153, 153, 153)),
    Label(18, 255, "polegroup", "object", False, (153, 153, 153)),
    Label(19, 6, "traffic light", "object", False, (250, 170, 30)),
    Label(20, 7, "traffic sign", "object", False, (220, 220, 0)),
    Label(21, 8, "vegetation", "nature", False, (107, 142, 35)),
    Label(22, 9, "terrain", "nature", False, (152, 251, 152)),
    Label(23, 10, "sky", "sky", False, (70, 130, 180)),
    Label(24, 11, "person", "human", True, (220, 20, 60)),
    Label(25, 12, "rider", "human", True, (255, 0, 0)),
    Label(26, 13, "car", "vehicle", True, (0, 0, 142)),
    Label(27, 14, "truck", "vehicle", True, (0, 0, 70)),
    Label(28, 15, "bus", "vehicle", True, (0, 60, 100)),
    Label(29, 255, "caravan", "vehicle", True, (0, 0, 90)),
    Label(30, 255, "trailer", "vehicle", True, (0, 0, 110)),
    Label(31, 16, "train", "vehicle", True, (0, 80, 100)),
    Label(32, 17, "motorcycle", "vehicle", True, (0, 0, 230)),
    Label(33, 18, "bicycle", "vehicle", True, (119, 11, 32)),
)

CLASSES: tuple[Label, ...] = tuple(
    sorted((row for row in LABELS if row.train_id != IGNORE_INDEX), key=lambda row: row.train_id)
)
"""The 19 scored classes, by trainId."""

CLASS_NAMES: tuple[str, ...] = tuple(row.name for row in CLASSES)
CLASS_COLORS: tuple[tuple[int, int, int], ...] = tuple(row.color for row in CLASSES)
CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(row.category for row in CLASSES))

TRAIN_ID_OF: bytes = bytes(
    {row.label_id: row.train_id for row in LABELS}.get(label_id, IGNORE_INDEX)
    for label_id in range(256)
)
"""labelId -> trainId as a 256-entry table (numpy: np.frombuffer(TRAIN_ID_OF, np.uint8)[label_ids])."""

LABEL_ID_OF: bytes = bytes(
    CLASSES[train_id].label_id if train_id < NUM_CLASSES else 0 for train_id in range(256)
)
"""trainId -> labelId as a 256-entry table; everything that is no class becomes 0 (unlabeled)."""

KNOWN_LABEL_IDS: frozenset[int] = frozenset(row.label_id for row in LABELS)
