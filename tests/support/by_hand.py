"""What the hand-computed cases of the heads share: small inputs, and readings of them."""

import numpy as np
import torch

from basnet_e2e.heads.common.head import Batch, Shape
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.localization.proposals import propose

SHAPE = Shape(6, 3, (4, 2))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    shifted = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def array(parameter):
    return parameter.detach().numpy()


def made(head, shape=SHAPE, **own):
    torch.manual_seed(0)
    chosen = preset("small", head=head, **own)
    return find_head(head).network(shape, chosen).double().eval(), chosen


def rows(count=7, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width))


def batch(x, labels):
    labels = torch.tensor(labels, dtype=torch.float64)
    return Batch(torch.from_numpy(x), None, labels, 0, 4)


def read_as(head, prediction, upsample=None):
    """Intervals in rows, by class."""
    chosen = preset("official", head=head)
    if upsample:
        chosen = chosen.changed(upsample=upsample)
    edges = np.arange(len(prediction.raw) + 1.0)
    centres = edges[:-1] + 0.5
    found = propose(
        prediction, edges, centres, chosen.decoding, float(edges[-1]), find_head(head).rules
    )
    return {
        index: sorted(zip(each.start.tolist(), each.end.tolist(), each.score.tolist(), strict=True))
        for index, each in found.items()
    }
