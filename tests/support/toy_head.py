"""A head in some forty lines: attention, weighted mean, SGD whose rate falls by steps."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from basnet_e2e.heads.common.decoding_rules import Prediction
from basnet_e2e.heads.common.head import Head, Loss
from basnet_e2e.heads.common.settings import (
    DecodingSettings,
    Preset,
    Settings,
    TrainingSettings,
    added,
)


@dataclass(frozen=True)
class ToySettings(Settings):
    sparsity: float = 1e-3
    drop_at: int = added(20, older=10)


class Net(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.attention = nn.Linear(shape.features, 1)
        self.classify = nn.Linear(shape.features, shape.classes)

    def forward(self, x, valid=None):
        weights = torch.sigmoid(self.attention(x))[:, :, 0]
        if valid is not None:
            weights = weights * (torch.arange(x.shape[1]) < valid[:, None])
        cas = self.classify(x)
        shares = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
        return weights, cas, (shares[:, :, None] * cas).sum(1)


QUICK = TrainingSettings(steps=30, batch=4, rate=0.5, weight_decay=0.0)


class ToyHead(Head):
    name = "toy"
    own = ToySettings
    presets: ClassVar = {
        "default": Preset("default", "toy", ToySettings(), QUICK, DecodingSettings())
    }

    def network(self, shape, preset):
        return Net(shape)

    def optimizer(self, net, preset):
        return torch.optim.SGD(net.parameters(), lr=preset.training.rate, momentum=0.9)

    def before_step(self, net, optimizer, step, preset):
        late = step >= preset.own.drop_at
        optimizer.param_groups[0]["lr"] = preset.training.rate * (0.1 if late else 1)

    def loss(self, output, batch, preset):
        weights, _, scores = output
        entropy = F.binary_cross_entropy_with_logits(scores, batch.labels)
        sparsity = weights.mean()
        total = entropy + preset.own.sparsity * sparsity
        return Loss(total, {"entropy": entropy, "sparsity": sparsity})

    def predict(self, net, x, preset):
        weights, cas, scores = (part[0].double().cpu() for part in net(x[None]))
        return Prediction(cas.numpy(), scores.sigmoid().numpy(), weights.numpy())
