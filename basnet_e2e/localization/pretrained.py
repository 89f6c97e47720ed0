"""Localization without training: a published classifier, or prompts, read on every snippet."""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.errors import BasnetError
from basnet_e2e.localization.softmax import softmax
from extract.backbones.registry import backbone_names, backbone_record

if TYPE_CHECKING:
    from extract.inference.backbone import Backbone

log = logging.getLogger(__name__)
BUILT_IN = "kinetics400"
BUILT_IN_BACKBONE = "i3d"
PROMPT_BACKBONE = "clip-vit-b32"
PROMPTS = "prompts"
# What a snippet is compared with that shows none of what the prompts say.
BACKGROUND_PROMPT = "a video of nothing in particular"
Probabilities = NDArray[np.float64]


class Untrained:
    """Class probabilities of snippets from a backbone alone.

    Args:
        backbone: its name; without it ``i3d``, or CLIP for prompts.
        streams: streams that classify; rgb without it.
        prompts: texts that take the place of classes; none for the backbone's own classifier.

    Raises:
        BasnetError: a prompt is empty or there twice.
    """

    def __init__(
        self,
        backbone: str | None = None,
        streams: tuple[str, ...] | None = None,
        prompts: Sequence[str] = (),
    ) -> None:
        self.prompts = tuple(prompt.strip() for prompt in prompts)
        if not all(self.prompts) or len(set(self.prompts)) != len(self.prompts):
            raise BasnetError("prompts must be texts that differ: one is empty or there twice")
        self.backbone = backbone or (PROMPT_BACKBONE if self.prompts else BUILT_IN_BACKBONE)
        self.streams = streams or ("rgb",)
        self.name = PROMPTS if self.prompts else self.backbone_name
        if self.backbone == BUILT_IN_BACKBONE:
            self.name = BUILT_IN

    @functools.cached_property
    def backbone_name(self) -> str:
        """What features of the backbone say that they were made by."""
        known = self.backbone in backbone_names()
        return self.backbone if known else backbone_record(self.backbone).name

    def announce(self) -> None:
        """Say what is used and what to expect of it."""
        what = f"the built-in {BUILT_IN}, a classifier of 400 actions that was"
        if self.prompts:
            what = f"{self.backbone_name}, which compares pictures with prompts and was"
        elif self.backbone != BUILT_IN_BACKBONE:
            what = f"the classifier of {self.backbone_name}, which was"
        log.info(
            "no model given: using %s never trained to localize (a baseline); train your own with "
            "'basnet train' and pass it with -m",
            what,
        )

    def check(self, backbone: "Backbone") -> None:
        """See that the backbone tells classes apart.

        Raises:
            BasnetError: it has no classifier.
        """
        if not self.prompts and not backbone.class_names:
            raise BasnetError(
                f"{self.backbone_name} has no classifier: give a model that was trained on its "
                "features with -m, or with CLIP and SigLIP say what to look for: --prompt TEXT"
            )

    def classes(self, backbone: "Backbone") -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of `probabilities`."""
        return self.prompts or backbone.class_names

    def probabilities(
        self, backbone: "Backbone", features: Mapping[str, NDArray[np.float32]]
    ) -> Probabilities:
        """Probability of each class on every snippet, ``[T, C]``, of the features of each stream.

        Rows of a classifier add up to 1; prompts share theirs with the background.

        Raises:
            BasnetError: the backbone has no classifier.
            ExtractError: there are prompts, and it has no text encoder.
        """
        self.check(backbone)
        if self.prompts:
            return self._compared(backbone, features["rgb"])
        logits = sum(backbone.classify(rows, name) for name, rows in features.items())
        return np.asarray(softmax(logits, axis=1), np.float64)

    def _compared(self, backbone: "Backbone", features: NDArray[np.float32]) -> Probabilities:
        """Softmax of the scaled cosines between snippets and prompts, background left out."""
        text = backbone.prompts((*self.prompts, BACKGROUND_PROMPT))
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        cosines = features / np.maximum(lengths, np.finfo(np.float32).tiny) @ text.vectors.T
        return np.asarray(softmax(text.scale * cosines.astype(np.float64), axis=1))[:, :-1]
