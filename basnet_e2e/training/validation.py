"""Choose the best step by intervals of validation videos, which are not trained or tested on."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from basnet_e2e.data.annotations import subsets
from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.data.annotations.video_names import counted, listing, match_ids
from basnet_e2e.data.features.dataset import (
    FeatureSet,
    LabelledSet,
    VideoFeatures,
    check_settings,
    load_features,
)
from basnet_e2e.data.features.layouts import find_stored
from basnet_e2e.data.training_log import VALIDATION
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.evaluate import TIOUS, evaluate
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.localization.inference import localize_network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """Validation videos with their intervals.

    Attributes:
        videos: features.
        truth: intervals of these videos.
        classes: of the model.
        tious: thresholds that the average mAP is taken over.
    """

    videos: list[VideoFeatures]
    truth: GroundTruth
    classes: tuple[str, ...]
    tious: tuple[float, ...] = TIOUS
    name: ClassVar[str] = "validation"

    @classmethod
    def of(
        cls,
        truth: str | os.PathLike[str] | GroundTruth,
        features: str | os.PathLike[str] | FeatureSet | LabelledSet,
        data: LabelledSet,
        *,
        streams: Sequence[str] | None = None,
        grid: str | None = None,
    ) -> "Validation":
        """Find the annotated videos that have features and are not trained on.

        Raises:
            BasnetError: there are none, or the intervals are those of a test subset.
        """
        if not isinstance(truth, GroundTruth):
            truth = _intervals(truth)
        trained = {video.id for video in data.videos}
        videos, names = _videos(features, truth, trained, streams, grid)
        if not videos:
            raise BasnetError(
                f"{truth.source}: none of its {len(truth.videos)} videos has features without "
                "being a training video; validation needs videos of its own"
            )
        check_settings(
            data.settings, videos[0].settings, "training videos", f"validation video {videos[0].id}"
        )
        kept = {video.id: truth.videos[names[video.id]] for video in videos}
        left_out = [name for name in truth.videos if name not in names.values()]
        if left_out:
            log.info("not validated on, trained on or without features: %s", listing(left_out))
        log.info(
            "validating on %s: %s",
            counted(len(videos), "video"),
            listing([video.id for video in videos]),
        )
        return cls(videos, replace(truth, videos=kept), data.classes)

    @property
    def identity(self) -> str:
        """SHA-256 of these videos, intervals and thresholds."""
        digest = hashlib.sha256(repr(self.tious).encode())
        for video in self.videos:
            truth = self.truth.videos[video.id]
            digest.update(repr((video.id, video.digest, video.duration, truth)).encode())
            digest.update(video.start.tobytes() + video.end.tobytes())
        return digest.hexdigest()

    def score(self, net: nn.Module, preset: Preset, step: int) -> float:
        """Average mAP in [0, 1] of a network in evaluation mode."""
        found = [localize_network(net, preset, self.classes, video) for video in self.videos]
        return evaluate(found, self.truth, self.tious).average

    def should_stop(self, evaluations: list[int], best: int, step: int) -> bool:
        """Never: all steps are taken."""
        return False

    def metric(self, score: float) -> tuple[str, float]:
        """Average mAP."""
        return VALIDATION, score

    def record(self, step: int, score: float) -> dict[str, Any]:
        """What the model's training summary keeps of its best step."""
        return {"step": step, "average_map": score, "videos": self.identity}


def _intervals(path: str | os.PathLike[str]) -> GroundTruth:
    truth = read_ground_truth(path)
    if truth.subset is None or subsets.spellings(truth.subset) is not subsets.TEST:
        return truth
    try:
        return read_ground_truth(path, "validation")
    except BasnetError as error:
        raise BasnetError(
            f"{path}: holds test videos only, and a model must not be chosen by them; give "
            "intervals of a validation subset, or train without --validate (the last step is kept)"
        ) from error


def _videos(
    features: str | os.PathLike[str] | FeatureSet | LabelledSet,
    truth: GroundTruth,
    trained: set[str],
    streams: Sequence[str] | None,
    grid: str | None,
) -> tuple[list[VideoFeatures], dict[str, str]]:
    """Validation videos, and id -> name in the annotations."""
    given = None
    if isinstance(features, FeatureSet | LabelledSet):
        given = features.videos
        ids = [video.id for video in given]
    else:
        root = Path(features)
        sources = find_stored(root, streams=streams, grid=grid)
        ids = [source.id for source in sources]
    matches = match_ids(truth.videos, ids)
    matches.report("validation video", truth.source)
    names: dict[str, str] = {}
    for name, video_id in matches.found.items():
        if video_id in names:
            raise BasnetError(
                f"{truth.source}: '{names[video_id]}', '{name}' mean the same video '{video_id}'"
            )
        names[video_id] = name
    names = {video_id: name for video_id, name in names.items() if video_id not in trained}
    if given is not None:
        return [video for video in given if video.id in names], names
    if not names:
        return [], names
    kept = load_features(
        Path(features),  # type: ignore[arg-type]  # neither set, hence a path
        ids=list(names),
        streams=streams,
        grid=grid,
        durations={
            video_id: truth.durations[name]
            for video_id, name in names.items()
            if name in truth.durations
        },
    )
    return kept.videos, names
