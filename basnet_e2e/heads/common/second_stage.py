"""A second stage: small networks that correct the borders and the ranks of proposals.

As in P-MIL (Ren et al., CVPR 2023) and HR-Pro (Zhang et al., AAAI 2024) it looks at each proposal
as a whole and gives its completeness (the IoU with the action) and how far both borders are off, in
lengths of the proposal. It knows no classes, so that intervals of some teach it those of others.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.heads.common.decoding_rules import Floats, Prediction, Proposals
from basnet_e2e.heads.common.pca import Projection
from basnet_e2e.heads.common.proposal_features import WIDTH, RowCurves, describe

NETWORKS, HIDDEN, DROPOUT = 8, 64, 0.3
COMPONENTS = 64
SHARES = "shares"  # softmax over classes and background ``[n, C + 1]``, in ``Prediction.extra``
SHORTEST = 0.3  # rows that are left of a proposal; where less would be, it stays as it was


class SecondStage(nn.Module):
    """Networks of equal layers, read as their weighted mean.

    Args:
        features: width F of the rows of a video.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = Projection(features, COMPONENTS)
        self.centre: Tensor
        self.scale: Tensor
        self.trust: Tensor
        self.register_buffer("centre", torch.zeros(WIDTH))
        self.register_buffer("scale", torch.ones(WIDTH))
        self.register_buffer("trust", torch.full((NETWORKS,), 1 / NETWORKS))
        sizes = (WIDTH, HIDDEN, HIDDEN, 3)
        self.weights = nn.ParameterList(
            torch.zeros(NETWORKS, *each) for each in itertools.pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(NETWORKS, 1, size) for size in sizes[1:])

    def initialise(self) -> None:
        """Uniform weights in all layers but the last, whose zeros change no proposal."""
        for weight in list(self.weights)[:-1]:
            bound = weight.shape[1] ** -0.5
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, described: Tensor) -> Tensor:
        """Completeness (before its sigmoid) and border offsets ``[NETWORKS, P, 3]``.

        Args:
            described: ``[NETWORKS, P, WIDTH]`` of :func:`describe`.
        """
        x = (described - self.centre) / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = F.dropout(F.relu(torch.baddbmm(bias, x, weight)), DROPOUT, self.training)
        return torch.baddbmm(self.biases[-1], x, self.weights[-1])

    def class_curves(
        self, prediction: Prediction, x: NDArray[np.float32]
    ) -> Callable[[int, Floats], RowCurves]:
        """Map a class and its activation, as proposals are cut from it, to the curves of a video.

        Args:
            prediction: of the head for the video.
            x: its rows ``[n, F]``.
        """
        with torch.inference_mode():
            rows = torch.from_numpy(np.array(x, np.float32)).to(self.centre.device)
            axes = self.project(rows).cpu().numpy()
            shares = prediction.extra.get(SHARES)
            if shares is None:
                shares = torch.softmax(torch.from_numpy(prediction.raw), dim=1).numpy()

        def curves(index: int, activation: Floats) -> RowCurves:
            return RowCurves.of(axes, activation, shares[:, [index, -1]], prediction.foreground)

        return curves

    def correct(self, video: RowCurves, found: Proposals) -> Proposals:
        """Proposals with their borders moved, scored by the mean of score and completeness.

        The less the networks agree on an offset, the less of their mean is used: m^3 / (m^2 + v)
        with their mean m and variance v.
        """
        described = describe(video, found.start, found.end)
        with torch.inference_mode():
            rows = torch.from_numpy(described).to(self.centre.device)
            said = self(rows.expand(NETWORKS, -1, -1)).double()
            trust = self.trust.double()
            complete = (trust @ torch.sigmoid(said[..., 0])).cpu().numpy()
            mean = torch.einsum("m,mpk->pk", trust, said[..., 1:])
            variance = torch.einsum("m,mpk->pk", trust, (said[..., 1:] - mean) ** 2)
            offsets = (mean**3 / (mean**2 + variance).clamp(min=1e-12)).cpu().numpy()
        offsets *= (found.end - found.start)[:, None]
        start, end = (
            np.clip(border + offset, 0, len(video.rows))
            for border, offset in zip((found.start, found.end), offsets.T, strict=True)
        )
        sound = end - start >= SHORTEST
        return Proposals(
            np.where(sound, start, found.start),
            np.where(sound, end, found.end),
            (found.score + complete) / 2,
        )
