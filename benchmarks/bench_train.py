"""A training step of the default model, and what its options save.

Forward, loss, backward and optimiser on random clips: python benchmarks/bench_train.py [--save]
"""

from collections.abc import Callable

import torch
from timing import interleave, ratio, report

from segnets.config.train import TrainConfig
from segnets.losses import cross_entropy
from segnets.models.registry import build
from segnets.training.optim import build_optimizer

BATCH, FRAMES, HEIGHT, WIDTH = 2, 4, 224, 448
VARIANTS = {
    "detached past": TrainConfig(precision="fp32"),
    "full back-propagation": TrainConfig(precision="fp32", detach_past=False),
    "past at half size": TrainConfig(precision="fp32", past_scale=0.5),
    "single frame": TrainConfig(precision="fp32", temporal="none"),
    "detached past, bf16": TrainConfig(precision="bf16"),
    "student's network": TrainConfig(precision="fp32", model="resnet_lstm", optimizer="adam"),
}


def stepper(config: TrainConfig) -> Callable[[], None]:
    """A function that makes one step of this config."""
    torch.manual_seed(0)
    module = build(config).train()
    optimizer = build_optimizer(module, config)
    clips = torch.randn(BATCH, FRAMES, 3, HEIGHT, WIDTH)
    labels = torch.randint(0, 19, (BATCH, HEIGHT, WIDTH))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            logits = module(clips)
        loss = cross_entropy(logits, labels, None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Seven rounds of each variant, one thread."""
    torch.set_num_threads(1)
    seconds = interleave({name: stepper(config) for name, config in VARIANTS.items()}, rounds=7)
    base = seconds["detached past"]
    report(
        "bench_train",
        {
            f"{name} over detached past": ratio(took, base)
            for name, took in seconds.items()
            if took is not base
        },
        batch=BATCH,
        frames=FRAMES,
        size=f"{HEIGHT}x{WIDTH}",
        threads=1,
        torch=str(torch.__version__),
        time="CPU seconds of the process, medians of paired ratios, fp32 unless said",
    )


if __name__ == "__main__":
    main()
