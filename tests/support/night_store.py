"""Runs of predictions, written by the store's own bag with the tables of a real night."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from support.results_store import HEIGHT, SHA, WIDTH, Pack, encode, photo, predict, scene

from segnets.config.ids import canonical_json
from segnets.labels import NUM_CLASSES
from segnets.store.bag import Bag
from segnets.store.base import Store
from segnets.store.tables import to_parquet

STARTED = 1_764_000_000.0
DAY = 86_400.0


def write_training_share(store: Store, dataset: str, pixels: list[int]) -> None:
    """A dataset that holds its statistics only."""
    bag = Bag(store, "dataset", dataset, SHA)
    content = canonical_json({"v": 1, "class_pixels": {"train": pixels}})
    file = bag.put_file("stats.json", content)
    bag.put_done({"tables": bag.put_item("tables", [file])})


def write_run(
    store: Store,
    run: str,
    nights: list[dict[str, Any]],
    *,
    trial: str = "resnet_convlstm-7c31aa01",
    dataset: str = "streets-train",
    city: str = "aach",
    why: str = "best of 4 done trials",
) -> list[list[dict[str, Any]]]:
    """A night for each {new, failed and waiting [(name, sentence)], drift [sentence], share_distance,
    status}; returns the rows of each."""
    bag, tables, frames = Bag(store, "run", run, SHA), [], 0
    for number, night in enumerate(nights):
        pack, rows, part = Pack(), [], f"part-{number:06d}-0a1b2c3d"
        for index in range(frames, frames + night.get("new", 0)):
            ids, confidence = predict(scene(index), index, 0.4 + 0.1 * (number % 4))
            mask, frame = pack.add(encode(ids, "PNG")), pack.add(encode(photo(ids, index), "WEBP"))
            share = np.bincount(ids.reshape(-1), minlength=256)[:NUM_CLASSES] / (HEIGHT * WIDTH)
            name = f"{city}_000000_{index:06d}"
            rows.append(
                {
                    "split": "val",
                    "name": name,
                    "city": city,
                    "status": "written",
                    "error": None,
                    "seconds": 0.1,
                    "share": share.tolist(),
                    "confidence": float(confidence.mean() / 255) - 0.02 * number,
                    "part": part,
                    "pred_offset": mask[0],
                    "pred_size": mask[1],
                    "frame_offset": frame[0],
                    "frame_size": frame[1],
                }
            )
        table = to_parquet(pa.Table.from_pylist(rows), 1) if rows else b""
        if rows:
            files = [bag.put_file("frames.parquet", table)]
            files.append(bag.put_file("preview.pack", bytes(pack.data)))
            bag.put_item(part, files, {"frames": [f"val/{row['name']}" for row in rows]})
        failed = [
            {"split": "val", "name": name, "city": city, "status": "failed", "error": sentence}
            for name, sentence in night.get("failed", [])
        ]
        failed += [
            {"split": "val", "name": name, "city": city, "status": "waiting", "error": sentence}
            for name, sentence in night.get("waiting", [])
        ]
        started = STARTED + number * DAY
        content = {
            "v": 1,
            "run": run,
            "trial": trial,
            "why": why,
            "dataset": dataset,
            "source": "/data/frames",
            "out": "/data/masks",
            "scheduled": number > 0,
            "night": f"night-2025112{number}t020000z",
            "status": night.get("status", "done"),
            "started": started,
            "ended": started + 10.0,
            "frames": frames + len(rows) + len(failed),
            "written": len(rows),
            "reused": frames,
            "failed": len(night.get("failed", [])),
            "waiting": len(night.get("waiting", [])),
            "drift": {
                "marked": "drift" in night,
                "why": night.get("drift", []),
                "share_distance": night.get("share_distance"),
            },
            "min_confidence": 0.0,
        }
        whole = pa.Table.from_pylist([*rows, *failed]) if rows or failed else _EMPTY
        bag.put_item(
            content["night"],
            [
                bag.put_file("run.json", json.dumps(content).encode()),
                bag.put_file("frames.parquet", to_parquet(whole, 1)),
            ],
        )
        frames += len(rows)
        tables.append([*rows, *failed])
    bag.put_view(
        {
            "v": 1,
            "kind": "run",
            "id": run,
            "trial": trial,
            "source": "/data/frames",
            "out": "/data/masks",
            "nights": len(nights),
            "frames": frames,
            "failed": len(nights[-1].get("failed", [])),
            "time": STARTED,
        }
    )
    return tables


_EMPTY = pa.table({"split": pa.array([], pa.string()), "name": pa.array([], pa.string())})
