"""Settings of one trial."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from segnets.config.build import STRICT, Outside
from segnets.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Augmentation of training clips: one draw a clip, on the fly, in training only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    gamma: Annotated[float, Ge(0), Lt(1)] = 0.5
    """Gamma is drawn from 1 - this to 1 + this (0 to below 1; 0 is off)."""
    saturation: Annotated[float, Ge(0), Le(1)] = 0.5
    """Saturation factor is drawn from 1 - this to 1 + this (0 to 1; 0 is off)."""
    flip: Annotated[float, Ge(0), Le(1)] = 0.5
    """Share of clips mirrored left to right (0 to 1)."""
    scale_min: Annotated[float, Ge(0.25), Le(1)] = 0.75
    """Smallest zoom before the crop to network size (0.25 to 1)."""
    scale_max: Annotated[float, Ge(1), Le(4)] = 1.75
    """Largest zoom before the crop to network size (1 to 4); 1 and 1 is off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One trial. Its id is the digest of the dataset id and of the settings that docs/settings.md marks."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    dataset: str = "synthetic"
    """Dataset id, as preprocess printed it; synthetic makes street scenes if they are not there."""
    model: Literal["resnet_convlstm", "resnet_lstm"] = "resnet_convlstm"
    """Architecture, a name in segnets/models/registry.py."""
    psp: bool = True
    """Pyramid pooling (resnet_lstm: the student's PSP on logits)."""
    temporal: Literal["convlstm", "mean", "none"] = "convlstm"
    """How resnet_convlstm uses the past frames; none is the single-frame baseline."""
    detach_past: bool = True
    """No gradient into the past frames' features: 1.9 times the speed of a step."""
    past_scale: Annotated[float, Ge(0.5), Le(1)] = 1.0
    """Size of the past frames inside the model (0.5 to 1); 0.5 is faster."""
    epochs: Annotated[int, Ge(1), Le(10_000)] = 8
    """Passes over the training clips (1 to 10000). Another number is another trial."""
    batch_size: Annotated[int, Ge(1), Le(4096)] = 4
    """Clips in a step (1 to 4096)."""
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    """Optimiser."""
    lr: Annotated[float, Gt(0), Le(1)] = 0.001
    """Peak learning rate (above 0, at most 1)."""
    weight_decay: Annotated[float, Ge(0), Le(1)] = 0.01
    """Weight decay (0 to 1); norms and biases have none, but in the student's recipe."""
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    """Learning rate over the steps; poly falls as (1 - progress)^0.9."""
    warm_up: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Share of the steps in which the learning rate rises to its peak (0 to below 1)."""
    ema: Annotated[float, Ge(0), Lt(1)] = 0.999
    """Decay of the averaged weights that are scored and kept, with warm-up (0 to below 1; 0 is off)."""
    clip_grad: Annotated[float, Ge(0), Le(1e30)] = 5.0  # any number but inf, which JSON has not
    """Largest gradient norm (0 or more; 0 is off)."""
    loss: Literal["cross_entropy"] = "cross_entropy"
    """Loss over the labelled pixels."""
    class_weights: Literal["log", "none"] = "log"
    """log weighs a class by 1 / log(1.10 + its share of pixels), none by 1."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of the training clips."""
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    """Seed of weights, order and augmentation (0 to 2147483647)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the forward pass; auto is bf16 where the hardware has it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto is a GPU where there is one."""
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    """CPU threads of torch (1 to 1024); the default takes the machine's, and is sealed at the start."""
    store: Outside[str | None] = None
    """Folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store."""
    cache: Outside[str | None] = None
    """Folder for shards fetched from S3; else ~/.cache/segnets."""
    device_index: Outside[Annotated[int, Ge(0)] | None] = None
    """Which GPU, where there are several."""
    ranks: Outside[Annotated[int, Ge(1), Le(64)]] = 1
    """Processes that share every batch, one a GPU (1 to 64); started by torchrun, sealed at the start."""
    workers: Outside[Annotated[int, Ge(0), Le(64)]] = 1
    """Threads that read batches ahead (0 to 64)."""
    quiet: Outside[bool] = False
    """Only warnings and errors on stderr."""
    take_over: Outside[bool] = False
    """Claim the trial even if another process seems to train it."""
    allow_inexact: Outside[bool] = False
    """Go on where bits differ (another GPU, processor, torch, number of ranks), and record it."""
    keep_last: Outside[Annotated[int, Ge(2), Le(1000)]] = 2
    """How many of the newest checkpoints stay (2 to 1000)."""
    keep_every: Outside[Annotated[int, Ge(0)]] = 0
    """Every m-th epoch's checkpoint stays too (0: none)."""
    pause_at: Outside[Annotated[int, Ge(1), Le(10_000)] | None] = None
    """Stop after this epoch (1 to 10000); without it the same command goes on to the same bits."""
    store_wait: Outside[Annotated[float, Ge(0)]] = 30.0
    """Minutes to wait for a store that does not answer, before giving up with exit code 4."""

    def __post_init__(self) -> None:
        """Rules between fields; bears unchecked values."""
        if self.model == "resnet_lstm" and self.temporal != "convlstm":
            raise ConfigError(
                "only resnet_convlstm has a choice of --temporal",
                f"--model {self.model} --temporal {self.temporal}",
                "Leave --temporal away, or take --model resnet_convlstm.",
            )
        if self.ranks > 1 and self.batch_size < self.ranks:
            raise ConfigError(
                "a batch has no sample for each rank",
                f"--batch-size {self.batch_size} --ranks {self.ranks}",
                "Take a larger batch or fewer ranks.",
            )
        if self.ranks > 1 and self.device_index is not None:
            raise ConfigError(
                "ranks take the GPUs they can see, from the first on",
                f"--device-index {self.device_index} --ranks {self.ranks}",
                "Leave --device-index away; CUDA_VISIBLE_DEVICES chooses.",
            )
