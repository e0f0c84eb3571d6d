"""Runs for TensorBoard and MLflow by their own writers, in the environment that has them.

Eight epochs of three curves each, the numbers that store_listing.py gives to ours. app_peers.py starts it.
"""

import argparse
from pathlib import Path

EPOCHS = 8
TAGS = ("val/miou", "val/loss", "train/loss")


def write_tensorboard(folder: Path, num: int) -> None:
    """A folder a run, with one file of events."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for run in range(num):
        writer = EventFileWriter(str(folder / f"resnet_convlstm-{run:08x}"))
        for epoch in range(1, EPOCHS + 1):
            values = [Summary.Value(tag=tag, simple_value=0.5) for tag in TAGS]
            event = Event(wall_time=1.7e9 + epoch, step=epoch, summary=Summary(value=values))
            writer.add_event(event)
        writer.close()


def write_mlflow(folder: Path, num: int) -> None:
    """Runs of one experiment in an SQLite database."""
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("grid")
    for number in range(num):
        run = client.create_run(experiment, run_name=f"resnet_convlstm-{number:08x}")
        metrics = [
            Metric(tag, 0.5, 1_700_000_000_000 + epoch, epoch)
            for epoch in range(1, EPOCHS + 1)
            for tag in TAGS
        ]
        client.log_batch(run.info.run_id, metrics=metrics)
        client.set_terminated(run.info.run_id)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["tensorboard", "mlflow"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("num", type=int)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    write = write_tensorboard if given.kind == "tensorboard" else write_mlflow
    write(given.folder, given.num)
