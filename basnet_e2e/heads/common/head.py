"""A head is one weakly supervised method on cached features.

It defines a network, its loss, how batches are drawn and how the network's output is decoded. All
the rest is shared: data sets, training loop, model file, localization, evaluation, reports. To add
one, derive from :class:`Head` in a file of its own and add it to :mod:`basnet_e2e.heads.registry`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.data.features.sampling import training_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.decoding_rules import DEFAULT_RULES, DecodingRules, Prediction
from basnet_e2e.heads.common.row_loss import RowBatch
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings
from basnet_e2e.heads.common.video_order import choose_videos

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Shape:
    """What a network is built for.

    Attributes:
        features: width F of the feature rows.
        classes: number of action classes C, background not counted.
        streams: widths of the streams side by side in a row; their sum is F. Default: one stream.
    """

    features: int
    classes: int
    streams: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.streams:
            object.__setattr__(self, "streams", (self.features,))
        if sum(self.streams) != self.features:
            raise BasnetError(f"streams {self.streams} do not add up to {self.features}")

    @classmethod
    def of(cls, features: int, classes: int, settings: Mapping[str, Any]) -> "Shape":
        """From the extractor's settings: ``streams``, and ``dimensions`` if these differ.

        Features of unknown streams count as one stream.
        """
        names = settings.get("streams") or ()
        known = settings.get("dimensions") or {}
        if names and all(name in known for name in names):
            widths = tuple(int(known[name]) for name in names)
        else:
            widths = (features // len(names),) * len(names) if names else ()
        return cls(features, classes, widths if sum(widths) == features else ())


@dataclass(frozen=True)
class Batch:
    """Videos of one training step.

    Attributes:
        x: ``[B, T, F]``, zeros behind the last row of shorter videos.
        valid: real rows of each ``[B] int``; None where all are.
        labels: multi-hot ``[B, C]``; a row of zeros is a video of background alone.
        step: counted from 0.
        steps: in all; with ``step`` they determine the phase of a method that has several.
        rows: what is known of single rows; None where no video of the set has known times.
    """

    x: Tensor
    valid: Tensor | None
    labels: Tensor
    step: int
    steps: int
    rows: RowBatch | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        valid = None if self.valid is None else self.valid.to(device)
        rows = None if self.rows is None else self.rows.to(device)
        return Batch(self.x.to(device), valid, self.labels.to(device), self.step, self.steps, rows)

    def check_finite(self, *scores: Tensor | None) -> None:
        """Check that a loss can be computed from the scores.

        Raises:
            BasnetError: they are not finite.
        """
        if not all(bool(part.isfinite().all()) for part in scores if part is not None):
            raise BasnetError(
                f"the scores of step {self.step + 1} are not finite: the features hold values that "
                "cannot be learnt from (very large ones?)"
            )


@dataclass(frozen=True)
class Loss:
    """The loss to minimise, and its named terms before weighting; scalars."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    def with_term(self, name: str, term: Tensor, weight: float) -> "Loss":
        """The loss with one more term."""
        return Loss(self.total + weight * term, {**self.parts, name: term})


class Head(ABC, Generic[Net]):
    """One method. Its state is in the network and the settings; the head itself has none.

    Attributes:
        name: as the registry and every model file name it.
        network_class: of its network, which takes a :class:`Shape` and the head's own settings.
        presets: settings by name; ``default`` is among them.
        own: class of its own settings, with a field ``recipe`` if it has an ablation.
        training: class of its training settings.
        decoding: class of its decoding settings.
        recipes: rows of its ablation, values of the setting ``recipe``.
        fixes: settings that fix a defect of the released code, by name.
        rules: the decoding steps that it replaces.
        may_stop: whether training may stop early; not if a method has several phases.
        learns_times: whether it also learns from known intervals and points.
        where_annotated: changes of settings if most videos are annotated with intervals.
        has_background: whether videos without any label teach it something.
        background: what it takes for background, in words (see ``localization.inference``).
    """

    name: ClassVar[str]
    network_class: type[Net]
    presets: Mapping[str, Preset]
    own: type[Settings] = Settings
    training: type[TrainingSettings] = TrainingSettings
    decoding: type[DecodingSettings] = DecodingSettings
    recipes: Sequence[str] = ()
    fixes: Mapping[str, Mapping[str, Any]] = {}
    rules: DecodingRules = DEFAULT_RULES
    may_stop: ClassVar[bool] = True
    learns_times: ClassVar[bool] = False
    where_annotated: Mapping[str, Any] = {}
    has_background: ClassVar[bool] = True
    background: ClassVar[str] = "foreground weight below .5"

    # What every head defines: network, loss, prediction ----------------------------------------

    @abstractmethod
    def loss(self, output: Any, batch: Batch, preset: Preset) -> Loss:
        """Loss of the output of :meth:`forward`, in float32."""

    @abstractmethod
    def predict(self, net: Net, x: Tensor, preset: Preset) -> Prediction:
        """Prediction of the network, in evaluation mode and without gradients, for one video.

        Args:
            net: as :meth:`network` made it.
            x: rows ``[n, F]`` on the network's device.
            preset: all settings.
        """

    def network(self, shape: Shape, preset: Preset) -> Net:
        """The untrained network. Random numbers are torch's, seeded by the caller.

        All that is learnt or measured on the training videos belongs to its state: parameters,
        and buffers for the rest.
        """
        return self.network_class(shape, preset.own)

    # Data: which videos are learnt from, and how batches are drawn ----------------------------

    def learns_background(self, preset: Preset) -> bool:
        """Whether videos without any label teach it something, with these settings."""
        return self.has_background

    def videos(self, data: LabelledSet, preset: Preset) -> LabelledSet:
        """The videos to learn from: those given, and what the method makes from them.

        Background cut out of a video, for example, becomes a video without labels.
        """
        return data

    def choose(
        self, labels: NDArray[np.float32], step: int, seed: int, preset: Preset
    ) -> list[int]:
        """Videos of one step, a function of these arguments alone.

        Args:
            labels: multi-hot ``[videos, C]``.
            step: counted from 0.
            seed: of the run.
            preset: ``batch`` and ``batches``.
        """
        return choose_videos(labels, step, seed, preset.training)

    def sample(
        self, x: NDArray[np.float32], preset: Preset, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rows of a training sample of one video ``[T, F]``, drawn with ``rng`` alone."""
        assert preset.training.segments is not None  # resolved before training
        return training_rows(x, preset.training.segments, preset.training.length, rng)

    # Training ----------------------------------------------------------------------------------

    def prepare(self, net: Net, data: LabelledSet, preset: Preset) -> None:
        """Once before the first step: fill buffers that are measured on the videos (a mean)."""

    def optimizer(self, net: Net, preset: Preset) -> torch.optim.Optimizer:
        """The optimiser of all steps, with groups where parts of the network differ."""
        return torch.optim.Adam(
            net.parameters(),
            lr=preset.training.rate,
            betas=(0.9, 0.999),
            weight_decay=preset.training.weight_decay,
            fused=True,
        )

    def before_step(
        self, net: Net, optimizer: torch.optim.Optimizer, step: int, preset: Preset
    ) -> None:
        """Before each step, with the network in training mode: set rates, freeze parameters.

        It depends on the step alone, so that a resumed run continues alike. No optimiser changes a
        parameter without gradient.
        """

    def forward(self, net: Net, batch: Batch, preset: Preset) -> Any:
        """Input of the loss; computed in lower precision if the device supports it."""
        return net(batch.x, batch.valid)

    def unaware(self, net: Net, place: float) -> Net:
        """The part of a network that did not learn the rows of an annotated video.

        Args:
            net: trained, in evaluation mode.
            place: of the video, in [0, 1) (:class:`RowBatch`).

        Returns:
            The whole network where a method has no such part.
        """
        return net

    def background_rule(self, preset: Preset) -> str:
        """What it takes for background with these settings, in words."""
        return self.background
