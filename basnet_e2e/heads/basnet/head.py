"""BaS-Net as one of the heads: network, loss and decoding behind the common names."""

import torch
from torch import Tensor

from basnet_e2e.heads.basnet.loss import basnet_loss
from basnet_e2e.heads.basnet.network import BaSNet, Output
from basnet_e2e.heads.basnet.settings import (
    FIXES,
    NAME,
    PRESETS,
    RECIPES,
    BasnetSettings,
    Recipe,
    recipe,
)
from basnet_e2e.heads.common.decoding_rules import Prediction
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import as_array, real_rows
from basnet_e2e.heads.common.row_loss import row_loss
from basnet_e2e.heads.common.settings import Preset


class BasnetHead(Head[BaSNet]):
    """Background suppression by a filter that two branches with opposite targets train."""

    name = NAME
    learns_times = True
    presets = PRESETS
    own = BasnetSettings
    recipes = tuple(RECIPES)
    fixes = FIXES

    def network(self, shape: Shape, preset: Preset) -> BaSNet:
        """The branches of the recipe."""
        own = _own(preset)
        return BaSNet(
            shape.features,
            shape.classes,
            own.hidden,
            recipe=own.recipe,
            filter_hidden=own.filter_hidden,
            dropout=own.dropout,
            slope=own.slope,
            ratio=own.ratio,
        )

    def learns_background(self, preset: Preset) -> bool:
        """Whether the recipe has a background class."""
        return _recipe(preset).background

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of the branches, norm of the filter, and known rows (with a filter)."""
        batch.check_finite(output.scores_base, output.scores_supp)
        loss = basnet_loss(output, batch.labels, _own(preset), batch.valid)
        if batch.rows is None or output.foreground is None:
            return loss
        mask = real_rows(batch.x, batch.valid)
        branches = [cas for cas in (output.cas_base, output.cas_supp) if cas is not None]
        by_branch = [row_loss(cas, output.foreground, mask, batch.rows) for cas in branches]
        return loss.with_term("rows", torch.stack(by_branch).mean(), preset.training.row_weight)

    def predict(self, net: BaSNet, x: Tensor, preset: Preset) -> Prediction:
        """The suppression branch if there is one, else the base branch."""
        reads = _recipe(preset).reads
        output: Output = net(x[None], only=reads)
        parts: tuple[Tensor | None, ...]
        if reads == "base":
            parts = output.cas_base, output.scores_base, None
        else:
            parts = output.cas_supp, output.scores_supp, output.foreground
        cas, scores, foreground = (None if part is None else as_array(part[0]) for part in parts)
        assert cas is not None
        assert scores is not None
        actions = len(scores) - _recipe(preset).background
        return Prediction(cas, scores[:actions], foreground)

    def background_rule(self, preset: Preset) -> str:
        """By its recipe."""
        return _recipe(preset).background_rule


def _own(preset: Preset) -> BasnetSettings:
    return preset.own_as(BasnetSettings)


def _recipe(preset: Preset) -> Recipe:
    return recipe(_own(preset).recipe)


HEAD = BasnetHead()
