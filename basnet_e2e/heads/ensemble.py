"""Several networks of one head in one model: the mean of their predictions."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from basnet_e2e.heads.common.decoding_rules import Floats, Prediction, Proposals
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.common.second_stage import SecondStage
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head


class Ensemble(nn.Module):
    """Networks of equal settings from several seeds."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)


def build(shape: Shape, preset: Preset, members: int | None = None) -> nn.Module:
    """The untrained network of a head, or that many in an :class:`Ensemble`."""
    if members is not None:
        return Ensemble([build(shape, preset) for _ in range(members)])
    net = find_head(preset.head).network(shape, preset)
    if preset.training.second_stage:
        net.second_stage = SecondStage(shape.features)
    return net


def second_stages(net: nn.Module) -> list[SecondStage]:
    """That of each network; none if they have none."""
    found = [getattr(member, "second_stage", None) for member in _members(net)]
    return [stage for stage in found if isinstance(stage, SecondStage)]


def predict(net: nn.Module, x: NDArray[np.float32], preset: Preset) -> Prediction:
    """Prediction of a network in evaluation mode, or the mean prediction of an ensemble.

    Args:
        net: one network, or an :class:`Ensemble`.
        x: rows ``[n, F]``.
        preset: names the head.
    """
    head = find_head(preset.head)
    device = next(net.parameters()).device
    with torch.inference_mode():
        rows = torch.from_numpy(np.array(x, np.float32)).to(device)
        predictions = [head.predict(member, rows, preset) for member in _members(net)]
    return predictions[0] if len(predictions) == 1 else _mean(predictions)


def _members(net: nn.Module) -> list[nn.Module]:
    return list(net.members) if isinstance(net, Ensemble) else [net]


def _mean(predictions: Sequence[Prediction]) -> Prediction:
    """Means of all values; proposals are pooled, suppression decides between them."""

    def mean(parts: Sequence[Floats]) -> Floats:
        return np.asarray(np.mean(parts, axis=0))

    weights = [each.foreground for each in predictions if each.foreground is not None]
    proposals = None
    if predictions[0].proposals is not None:
        found = [each.proposals or {} for each in predictions]
        proposals = {
            index: Proposals.joined([each[index] for each in found if index in each])
            for index in sorted({index for each in found for index in each})
        }
    return Prediction(
        mean([each.raw for each in predictions]),
        mean([each.video_scores for each in predictions]),
        mean(weights) if weights else None,
        {name: mean([each.extra[name] for each in predictions]) for name in predictions[0].extra},
        proposals,
    )
