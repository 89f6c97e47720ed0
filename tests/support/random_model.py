"""A model file with random weights."""

import torch

from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset

CLASSES = ("run", "jump")


def make_model(path, extractor, width, seed=1):
    """A model that reads features of the extractor's settings, ``width`` numbers per snippet."""
    chosen = preset("small", hidden=8, filter_hidden=4, segments=16, theta_class=0.0)
    torch.manual_seed(seed)
    shape = Shape(width, len(CLASSES))
    net = build(shape, chosen).eval()
    save_model(HeadModel(net, CLASSES, chosen, shape, extractor), path)
    return path
