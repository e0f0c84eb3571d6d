"""MODELS: name -> build function.

To add a model: a file beside this one; here its import, a builder and an entry; its name in
segnets/config/train.py. Then `python scripts/write_settings.py`.
"""

from collections.abc import Callable, Mapping

from torch import nn

from segnets.config.train import TrainConfig
from segnets.models.resnet_convlstm import ResnetConvLstm
from segnets.models.resnet_lstm import ResnetLstm


def build(config: TrainConfig) -> nn.Module:
    """The model a config names, with fresh weights from torch's random state, in training mode.

    It maps normalised clips (N, T, 3, H, W) to logits (N, 19, H, W), float32, at the input's size
    whatever that is.
    """
    return MODELS[config.model](config)


def _resnet_convlstm(config: TrainConfig) -> nn.Module:
    return ResnetConvLstm(
        temporal=config.temporal,
        psp=config.psp,
        detach_past=config.detach_past,
        past_scale=config.past_scale,
    )


def _resnet_lstm(config: TrainConfig) -> nn.Module:
    return ResnetLstm(psp=config.psp, detach_past=config.detach_past, past_scale=config.past_scale)


MODELS: Mapping[str, Callable[[TrainConfig], nn.Module]] = {
    "resnet_convlstm": _resnet_convlstm,
    "resnet_lstm": _resnet_lstm,
}
