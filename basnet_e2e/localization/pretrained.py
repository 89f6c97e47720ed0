"""A pretrained classifier as a predictor: it scores its classes, or prompts, on every snippet."""

import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.softmax import softmax
from basnet_e2e.localization.feature_rows import as_rows
from basnet_e2e.localization.predictor import Predictor, VideoPrediction, text_digest
from extract.backbones.registry import backbone_names, backbone_spec
from extract.features.feature_file import Features
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions, ExtractSettings

log = logging.getLogger(__name__)
BUILT_IN = "kinetics400"
BUILT_IN_BACKBONE = "i3d"
PROMPT_BACKBONE = "clip-vit-b32"
PROMPTS = "prompts"
# Competes with the prompts for snippets that match none of them.
BACKGROUND_PROMPT = "a video of nothing in particular"
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class SnippetPrediction:
    """The most likely class of one snippet, known before the rest of the video is.

    Attributes:
        start: seconds.
        end: seconds.
        label: the class.
        probability: its share of the softmax over all classes.
    """

    start: float
    end: float
    label: str
    probability: float


class PretrainedClassifier(Predictor):
    """Class probabilities of snippets from a backbone alone.

    Args:
        backbone: default: ``i3d``, or CLIP for prompts.
        streams: streams that classify; default: rgb.
        prompts: texts that replace the backbone's own classes.
        precision: of the backbone; default: float32.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoding: how videos are decoded.

    Raises:
        BasnetError: a prompt is empty, or given twice.
    """

    def __init__(
        self,
        backbone: str | None = None,
        streams: tuple[str, ...] | None = None,
        prompts: Sequence[str] = (),
        *,
        precision: str | None = None,
        device: str = "auto",
        decoding: DecodeOptions | None = None,
    ) -> None:
        self.prompts = tuple(prompt.strip() for prompt in prompts)
        if not all(self.prompts) or len(set(self.prompts)) != len(self.prompts):
            raise BasnetError("prompts must be different texts: one is empty or given twice")
        self.backbone = backbone or (PROMPT_BACKBONE if self.prompts else BUILT_IN_BACKBONE)
        self.name = PROMPTS if self.prompts else self.backbone_name
        if self.backbone == BUILT_IN_BACKBONE:
            self.name = BUILT_IN
        settings = ExtractSettings(
            self.backbone,
            streams=streams or ("rgb",),
            precision=precision or ExtractSettings.precision,
        )
        super().__init__(settings, device, decoding or DecodeOptions())

    @functools.cached_property
    def backbone_name(self) -> str:
        """How feature files name the backbone."""
        known = self.backbone in backbone_names()
        return self.backbone if known else backbone_spec(self.backbone).name

    def announce(self) -> None:
        """Log which classifier is used and what to expect of it."""
        used = f"the built-in {BUILT_IN}, a classifier of 400 actions that was"
        if self.prompts:
            used = f"{self.backbone_name}, which compares pictures with prompts and was"
        elif self.backbone != BUILT_IN_BACKBONE:
            used = f"the classifier of {self.backbone_name}, which was"
        log.info(
            "no model given: using %s never trained to localize (a baseline); train your own with "
            "'basnet train' and pass it with -m",
            used,
        )

    def check_extractor(self, extractor: Extractor) -> None:
        """Its backbone must have a classifier, unless there are prompts."""
        if not self.prompts and not extractor.backbone.class_names:
            raise BasnetError(
                f"{self.backbone_name} has no classifier: give a model that was trained on its "
                "features with -m, or with CLIP and SigLIP say what to look for: --prompt TEXT"
            )

    def check_features(self, settings: Mapping[str, Any], video_id: str) -> None:
        """They must come from the same backbone and contain a stream that classifies."""
        made_with = settings.get("backbone")
        if made_with != self.backbone_name:
            raise BasnetError(
                f"{video_id}: features of the backbone {made_with} cannot be read by "
                f"{self.name}, which needs {self.backbone_name}; give a model with -m, "
                "or --backbone"
            )
        held = settings.get("streams", ())
        if not set(self.settings.streams) & set(held):
            raise BasnetError(
                f"{video_id}: these features hold {' and '.join(held)} only; "
                f"add --streams {','.join(held)}"
            )

    def digest(self) -> str:
        """Of the backbone's weights, the streams and the prompts."""
        hashes = self.extractor.backbone.weights_hashes()
        parts = [self.name, hashes, list(self.settings.streams), *self.prompts]
        return text_digest(json.dumps(parts))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of `probabilities`."""
        return self.prompts or self.extractor.backbone.class_names

    def probabilities(self, features: Mapping[str, NDArray[np.float32]]) -> Probabilities:
        """Probability of each class on every snippet, ``[T, C]``, from the features of each stream.

        A row of a classifier sums to 1, a row of prompts to 1 with the background.

        Raises:
            BasnetError: the backbone has no classifier.
            ExtractError: there are prompts, and the backbone has no text encoder.
        """
        if self.prompts:
            return self._prompt_probabilities(features["rgb"])
        backbone = self.extractor.backbone
        logits = sum(backbone.classify(rows, name) for name, rows in features.items())
        return np.asarray(softmax(logits, axis=1), np.float64)

    def _prompt_probabilities(self, features: NDArray[np.float32]) -> Probabilities:
        """Softmax of the scaled cosines between snippets and prompts, background left out."""
        text = self.extractor.backbone.prompts((*self.prompts, BACKGROUND_PROMPT))
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        cosines = features / np.maximum(lengths, np.finfo(np.float32).tiny) @ text.vectors.T
        return np.asarray(softmax(text.scale * cosines.astype(np.float64), axis=1))[:, :-1]

    def predict(self, features: Features, video_id: str) -> VideoPrediction:
        """Read the class probabilities of the snippets as a class activation sequence."""
        from basnet_e2e.localization.inference import localize_pretrained

        used = tuple(name for name in self.settings.streams if name in features.streams)
        rows = as_rows(features, video_id, used)
        cas = self.probabilities({name: getattr(features, name) for name in used})
        found = localize_pretrained(cas, rows, self.classes, self.name)
        return VideoPrediction(found, rows, self.classes, (rows.start + rows.end) / 2, cas)

    def predict_rows(self, rows: VideoFeatures) -> VideoPrediction:
        """Refuse them: the backbone of arrays is unknown."""
        raise BasnetError(
            f"{rows.id}: {self.name} needs features that basnet extracted with the "
            f"{self.backbone_name} backbone; give a model with -m"
        )

    def report_snippets(
        self,
        on_snippet: Callable[[SnippetPrediction], None],
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        features: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Report the most likely class of each of some snippets."""
        for first, last, row in zip(start, end, self.probabilities(features), strict=True):
            best = row.argmax()
            label, probability = self.classes[best], float(row[best])
            on_snippet(SnippetPrediction(float(first), float(last), label, probability))
