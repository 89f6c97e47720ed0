"""Teach a second stage which proposals are complete and where their borders should be.

Videos with known intervals teach it those. Others teach it pseudo intervals: the best proposal that
holds a point and no other one, and where nothing is known the best proposals of the video's labels
that do not overlap (as P-MIL and HR-Pro). Half of the networks learn from the ones and half from
the others, and the more intervals are known, the more those are trusted that know them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.data.annotations.known_times import Times
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.data.features.sampling import reading_rows
from basnet_e2e.heads.common.decoding_rules import Floats, Proposals
from basnet_e2e.heads.common.proposal_features import Described, describe, mirrored
from basnet_e2e.heads.common.second_stage import NETWORKS, SHORTEST, SecondStage
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.common.suppression import non_maximum_suppression
from basnet_e2e.heads.registry import find_head
from basnet_e2e.intervals import Interval, temporal_iou
from basnet_e2e.localization.inference import apply_network
from basnet_e2e.localization.proposals import candidates, distinct
from basnet_e2e.training.batches import known_rows, row_places

STEPS, BATCH, RATE, WEIGHT_DECAY, WARM_UP = 300, 128, 3e-3, 1e-2, 20
PSEUDO_VIDEOS = 40  # that pseudo intervals are taken from, at most
PSEUDO_COUNT = 15  # known intervals that are trusted as much as all pseudo intervals
PSEUDO_SCORE = 0.5  # of the best proposal's score, from which on one is a pseudo interval
MOST = 200  # proposals of a class in a video
JITTER, COPIES = 0.15, 6  # true intervals with borders moved by this share of their length, each
LEFT_OUT = 4  # parts of the annotated videos, of which a network leaves out one
LEAST_IOU = 0.3  # from which on the borders of a proposal are those of an action
SMOOTH = 0.1  # of the smooth L1 loss


@dataclass(frozen=True)
class Examples:
    """Proposals of one video with what they should be.

    Attributes:
        described: ``[P, WIDTH]``.
        targets: ``[P, 3]`` IoU with the nearest action, and offsets of both borders in lengths.
        known: intervals of the video that a person gave.
        annotated: whether a person gave all of them; else they are pseudo intervals.
    """

    described: Described
    targets: NDArray[np.float32]
    known: int
    annotated: bool


def fit_second_stage(net: nn.Module, preset: Preset, data: LabelledSet, seed: int) -> SecondStage:
    """A second stage for a trained network, on its device.

    Args:
        net: in evaluation mode.
        preset: the head and its settings.
        data: training videos.
        seed: of the choice of proposals and of the networks.
    """
    device = next(net.parameters()).device
    stage = SecondStage(data.videos[0].x.shape[1])
    stage.project.measure(video.x for video in data.videos)
    stage.to(device)
    rng = np.random.default_rng([seed, 4])
    examples = _examples(net, stage, preset, data, rng)
    if examples:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            _learn(stage, examples, rng)
    return stage.eval()


def _examples(
    net: nn.Module,
    stage: SecondStage,
    preset: Preset,
    data: LabelledSet,
    rng: np.random.Generator,
) -> list[Examples]:
    """Of all videos with known intervals, and of some others."""
    annotated = {video for video, times in data.times.items() if times.complete}
    places, head = row_places(known_rows(data, preset.training.rows)), find_head(preset.head)
    order = rng.permutation(len(data.videos)).tolist()
    own = [index for index in order if data.videos[index].id in annotated]
    others = [index for index in order if data.videos[index].id not in annotated]
    # Points come first among the others.
    others.sort(key=lambda index: data.videos[index].id not in data.times)
    found = []
    for index in own + others[:PSEUDO_VIDEOS]:
        video, labels = data.videos[index], data.labels[index]
        times = data.times.get(video.id, Times())
        # A network that learnt the rows of a video sees them too well.
        learns = video.id in annotated and video.id in places
        own_net = head.unaware(net, places[video.id]) if learns else net
        video_seen = _Proposed(own_net, stage, preset, video)
        parts = []
        for column, name in enumerate(data.classes):
            proposals = video_seen.proposals.get(column, Proposals.joined([]))
            if video.id in annotated:
                actions = video_seen.in_rows([one for one in times.intervals if one.label == name])
            elif times.points:
                points = video_seen.in_rows([one for one in times.points if one.label == name])
                actions = holding(proposals, points[:, 0])
            else:
                actions = best_apart(proposals) if name in labels else np.zeros((0, 2))
            proposals = _with_jitter(proposals, actions, len(video_seen.edges) - 1, rng)
            hidden = video_seen.in_rows(times.unknown)
            proposals = proposals.take(~_overlaps(proposals, hidden))
            if len(proposals):
                parts.append(video_seen.described(column, proposals, actions))
        if parts:
            described, targets = (np.concatenate(each) for each in zip(*parts, strict=True))
            count = len(times.intervals) if video.id in annotated else 0
            found.append(Examples(described, targets, count, video.id in annotated))
    return found


class _Proposed:
    """Proposals of one video, in rows, and the curves around them."""

    def __init__(
        self, net: nn.Module, stage: SecondStage, preset: Preset, video: VideoFeatures
    ) -> None:
        training, decoding = preset.training, preset.decoding
        self.activations = apply_network(net, preset, video)
        self.edges = self.activations.edges
        rows = reading_rows(video, decoding.centre, training.length, training.segments)
        self.curves_of = stage.class_curves(self.activations.prediction, rows.x)
        count = len(self.edges) - 1
        places = np.arange(count + 1, dtype=np.float64)
        rules = find_head(preset.head).rules
        found = candidates(
            self.activations.prediction, places, places[:-1] + 0.5, decoding, count, rules
        )
        self.proposals = {index: distinct(each) for index, each in found.items()}

    def in_rows(self, intervals: Sequence[Interval]) -> Floats:
        """Borders ``[n, 2]`` in rows and their fractions."""
        borders = np.array([(one.start, one.end) for one in intervals]).reshape(-1, 2)
        return np.interp(borders, self.edges, np.arange(len(self.edges)))

    def described(
        self, column: int, proposals: Proposals, actions: Floats
    ) -> tuple[Described, NDArray[np.float32]]:
        """Proposals of a class, and their mirror images, with their targets."""
        curves = self.curves_of(column, self.activations.cas[:, column])
        described = describe(curves, proposals.start, proposals.end)
        targets = targets_of(proposals, actions)
        back = np.column_stack([targets[:, 0], -targets[:, 2], -targets[:, 1]])
        both = np.concatenate([targets, back]).astype(np.float32)
        return np.concatenate([described, mirrored(described)]), both


def targets_of(proposals: Proposals, actions: Floats) -> Floats:
    """IoU with the action that each overlaps most, and that one's border offsets ``[P, 3]``.

    Args:
        proposals: P of one class.
        actions: borders ``[n, 2]``; without any all targets are 0.
    """
    if not len(actions):
        return np.zeros((len(proposals), 3))
    start, end = proposals.start[:, None], proposals.end[:, None]
    overlap = temporal_iou(start, end, actions[:, 0], actions[:, 1])
    nearest = actions[overlap.argmax(axis=1)]
    offsets = (nearest - np.hstack([start, end])) / (end - start)
    return np.column_stack([overlap.max(axis=1), offsets])


def holding(proposals: Proposals, points: Floats) -> Floats:
    """Borders ``[n, 2]`` of the best proposal that holds each point and no other one."""
    within = (proposals.start[:, None] <= points) & (points <= proposals.end[:, None])
    alone = within & (within.sum(axis=1, keepdims=True) == 1)
    chosen = [np.where(held, proposals.score, -np.inf).argmax() for held in alone.T if held.any()]
    return np.column_stack([proposals.start[chosen], proposals.end[chosen]]).reshape(-1, 2)


def best_apart(proposals: Proposals) -> Floats:
    """Borders ``[n, 2]`` of the best proposals that do not overlap."""
    kept = proposals.take(
        non_maximum_suppression(proposals.start, proposals.end, proposals.score, 1e-6)
    )
    if len(kept):
        kept = kept.take(kept.score >= PSEUDO_SCORE * kept.score.max())
    return np.column_stack([kept.start, kept.end])


def _with_jitter(
    proposals: Proposals, actions: Floats, rows: int, rng: np.random.Generator
) -> Proposals:
    """Proposals and actions whose borders were moved a little; not too many."""
    moved = np.repeat(actions, COPIES, axis=0)
    moved = moved + rng.normal(0, JITTER, moved.shape) * (moved[:, 1:] - moved[:, :1])
    start = np.clip(np.concatenate([proposals.start, moved[:, 0]]), 0, rows)
    end = np.clip(np.concatenate([proposals.end, moved[:, 1]]), 0, rows)
    long = np.flatnonzero(end - start >= SHORTEST)
    if len(long) > MOST:
        long = rng.choice(long, MOST, replace=False)
    return Proposals(start[long], end[long], np.zeros(len(long)))


def _overlaps(proposals: Proposals, stretches: Floats) -> NDArray[np.bool_]:
    """Which proposals share time with any of some stretches."""
    start, end = proposals.start[:, None], proposals.end[:, None]
    return np.asarray(((start < stretches[:, 1]) & (stretches[:, 0] < end)).any(axis=1))


def _learn(stage: SecondStage, examples: Sequence[Examples], rng: np.random.Generator) -> None:
    """Train the networks at once, each by its teachers."""
    described = np.concatenate([one.described for one in examples])
    device = stage.centre.device
    stage.centre.copy_(torch.from_numpy(described.mean(axis=0)))
    stage.scale.copy_(torch.from_numpy(described.std(axis=0) + 0.05))
    stage.initialise()
    x, y = (
        torch.from_numpy(np.concatenate(each)).to(device)
        for each in ([one.described for one in examples], [one.targets for one in examples])
    )
    weights, trust = _teachers(examples)
    stage.trust.copy_(torch.from_numpy(trust))
    shares = [_cumulative(examples, weight) for weight in weights]
    optimizer = torch.optim.AdamW(stage.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    stage.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / WARM_UP)
            group["lr"] = RATE * warm * (1 + math.cos(math.pi * step / STEPS)) / 2
        drawn = [np.searchsorted(share, rng.random(BATCH)) for share in shares]
        rows = torch.from_numpy(np.minimum(np.stack(drawn), len(x) - 1)).to(device)
        optimizer.zero_grad(set_to_none=True)
        second_stage_loss(stage(x[rows]), y[rows]).backward()
        optimizer.step()


def second_stage_loss(said: Tensor, targets: Tensor) -> Tensor:
    """Smooth L1 of the completeness, and of the offsets where a proposal meets an action.

    Args:
        said: ``[..., 3]`` of the networks.
        targets: likewise, of :func:`targets_of`.
    """
    complete = F.smooth_l1_loss(torch.sigmoid(said[..., 0]), targets[..., 0], beta=SMOOTH)
    meets = (targets[..., :1] >= LEAST_IOU).to(said)
    offsets = F.smooth_l1_loss(said[..., 1:], targets[..., 1:], beta=SMOOTH, reduction="none")
    return complete + (offsets * meets).sum() / meets.sum().clamp(min=1)


def _teachers(examples: Sequence[Examples]) -> tuple[list[Floats], Floats]:
    """What each network is taught by, and how far it is trusted.

    Returns:
        Weights of the examples for each network, and the networks' weights ``[NETWORKS]``.
    """
    known = np.array([one.annotated for one in examples], np.float64)
    count = sum(one.known for one in examples)
    if not known.any() or known.all():
        kinds, trust = [np.ones(len(examples))] * NETWORKS, np.ones(NETWORKS)
    else:
        half = NETWORKS // 2
        kinds = [known] * half + [1 - known] * half
        trust = np.repeat([count, PSEUDO_COUNT], half).astype(np.float64)
    weights = []
    for network, kind in enumerate(kinds):
        weight = kind.copy()
        own = np.flatnonzero(kind * known)
        if len(own) > 1:
            # Each leaves out another part of the annotated videos.
            weight[own[network % LEFT_OUT :: LEFT_OUT]] = 0
        weights.append(weight)
    return weights, trust / trust.sum()


def _cumulative(examples: Sequence[Examples], weight: Floats) -> Floats:
    """Cumulative probability ``[P]`` of drawing each proposal of all videos.

    A video counts as the root of the number of its proposals, times its weight.
    """
    sizes = np.array([len(one.described) for one in examples], np.float64)
    total = np.cumsum(np.repeat(weight / np.sqrt(sizes), sizes.astype(np.intp)))
    return np.asarray(total / total[-1])
