"""Optical flow methods by name, as ``basnet extract --flow`` offers them.

``tvl1`` is what the published flow network was trained on and the default. ``tvl1-fast`` takes 2
warps for 5: 1.9 times faster, and 0.03 to 0.12 px from ``tvl1`` on four real clips. ``raft`` is
torchvision's network, which the flow network has never seen. ``opencv`` is the CPU reference that
``tvl1`` is checked against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from extract.flow.tvl1.solver import TVL1Params, check_frames, choose_engine, params_with, solve

FAST_WARPS = 2
"""At most this many warps in ``tvl1-fast``, whatever a backbone's own schedule has."""
RAFT_UPDATES = 12
"""Refinements of torchvision's RAFT (its default)."""
RAFT_MIN_SIDE = 128
"""Frames below this are padded: the network's coarsest correlation map needs at least 2 pixels."""


class FlowMethod(Protocol):
    """A way to compute flow between consecutive frames."""

    name: str

    @property
    def engine(self) -> str:
        """What computes it, a fact for the feature file: library, version and device."""
        ...

    def settings(self) -> dict[str, Any]:
        """Name and every parameter that influences values, for the feature file."""
        ...

    def compute(
        self,
        grey: NDArray[np.uint8],
        rgb: NDArray[np.uint8],
        resets: Sequence[int] = (),
    ) -> NDArray[np.float32]:
        """Flow of each pair.

        Args:
            grey: ``[N+1, H, W]``.
            rgb: the same frames ``[N+1, H, W, 3]``.
            resets: pairs that begin a snippet. A method that carries something from pair to pair
                forgets it there; pair 0 always begins afresh.

        Returns:
            ``[N, 2, H, W] float32``, pixels per frame, u then v.
        """
        ...


class TVL1Flow:
    """``tvl1`` and ``tvl1-fast``: our solver, see ``extract.flow.tvl1.solver``.

    Args:
        name: how the method is recorded.
        params: solver settings.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        threads: of the CPU engine; None takes its default. Changes no value.
    """

    def __init__(
        self, name: str, params: TVL1Params, device: str = "auto", threads: int | None = None
    ) -> None:
        self.name = name
        self.params = params
        self._engine = choose_engine(device)
        self._threads = threads

    @property
    def engine(self) -> str:
        """For example ``numba 0.61.0 on cpu`` or ``torch 2.6.0 on cuda, compiled``."""
        from importlib.metadata import version

        name, device = self._engine.name, self._engine.device
        return f"{name} {version(name)} on {device}" + ", compiled" * self._is_compiled()

    def _is_compiled(self) -> bool:
        if self._engine.name == "numba":
            return False  # says it by its name
        import torch

        from extract.flow.tvl1.kernels import choose_kernels

        return choose_kernels(torch.device(self._engine.device)).step is not None

    def settings(self) -> dict[str, Any]:
        """``{"method": name, "tau": ..., ...}``."""
        return {"method": self.name, **asdict(self.params)}

    def compute(
        self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8], resets: Sequence[int] = ()
    ) -> NDArray[np.float32]:
        """See ``FlowMethod.compute``; the colours are not used."""
        images = check_frames(grey)
        return solve(images, self._engine, self.params, threads=self._threads, resets=resets)


class OpenCVFlow:
    """``opencv``: DualTVL1OpticalFlow of opencv-contrib on the CPU, without its median filter.

    Args:
        overrides: ``scales``, ``warps``, ``iterations`` (on every level), ``epsilon``, ``tau``,
            ``lambda_``, ``theta`` or ``scale_step`` of ``TVL1Params``; the rest stays OpenCV's.
        threads: OpenCV's threads, None leaves them. Changes no value.

    Raises:
        ExtractError: OpenCV's contributed modules are not installed.
    """

    name = "opencv"
    _SETTERS = {  # noqa: RUF012  (read only)
        "tau": "setTau",
        "lambda_": "setLambda",
        "theta": "setTheta",
        "scales": "setScalesNumber",
        "warps": "setWarpingsNumber",
        "iterations": "setInnerIterations",
        "epsilon": "setEpsilon",
        "scale_step": "setScaleStep",
    }

    def __init__(
        self, overrides: Mapping[str, Any] | None = None, threads: int | None = None
    ) -> None:
        try:
            import cv2

            # Its type stubs leave the factory out.
            contributed: Any = cv2.optflow
            self._solver = contributed.DualTVL1OpticalFlow_create()
        except (ImportError, AttributeError) as error:
            raise ExtractError(
                "flow method opencv needs OpenCV with its contributed modules: "
                "pip install opencv-contrib-python-headless (or use --flow tvl1)"
            ) from error
        self._version = str(cv2.__version__)
        if threads is not None:
            cv2.setNumThreads(threads)
        # 1 switches the median filter off, which the published features were made without.
        self._solver.setMedianFiltering(1)
        for name, value in (overrides or {}).items():
            if name not in self._SETTERS:
                raise ExtractError(
                    f"flow method opencv cannot change {name!r}; "
                    f"it knows {', '.join(self._SETTERS)}"
                )
            getattr(self._solver, self._SETTERS[name])(value)
            if name == "iterations":
                # OpenCV counts in rounds, between which it would filter.
                self._solver.setOuterIterations(1)

    @property
    def engine(self) -> str:
        """For example ``opencv 5.0.0 on cpu``."""
        return f"opencv {self._version} on cpu"

    def settings(self) -> dict[str, Any]:
        """``{"method": "opencv", "tau": ..., ...}`` as the solver holds them."""
        solver = self._solver
        values = {key: getattr(solver, f"get{set_[3:]}")() for key, set_ in self._SETTERS.items()}
        values["iterations"] *= solver.getOuterIterations()
        return {"method": self.name, **values}

    def compute(
        self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8], resets: Sequence[int] = ()
    ) -> NDArray[np.float32]:
        """See ``FlowMethod.compute``; the colours are not used.

        Raises:
            ExtractError: frames below 3 pixels, which OpenCV refuses.
        """
        if min(grey.shape[1:]) < 3:
            raise ExtractError(f"flow method opencv needs 3 pixels a side, got {grey.shape[1:]}")
        images = [np.ascontiguousarray(image, dtype=np.uint8) for image in grey]
        flow = np.empty((len(images) - 1, 2, *grey.shape[1:]), np.float32)
        for n in range(len(flow)):
            field = self._solver.calc(images[n], images[n + 1], None)
            flow[n] = field.transpose(2, 0, 1)
        return flow


class RAFTFlow:
    """``raft``: RAFT (Teed and Deng 2020) of torchvision; its weights come by the registry.

    Raises:
        WeightsError: the weights are not there.
        ExtractError: the device is not there.
    """

    name = "raft"

    def __init__(self, device: str = "auto", offline: bool = False) -> None:
        import torch
        from safetensors.torch import load_file
        from torchvision.models.optical_flow import raft_large

        from weights.registry import resolve

        # The torch engine's choice of a device is RAFT's too.
        self._device = choose_engine(device, "torch").device
        weights = resolve("raft", "flow", offline=offline)
        self._sha256 = weights.sha256
        model = raft_large(weights=None)
        model.load_state_dict(load_file(weights.path))
        self._model: torch.nn.Module = model.eval().to(self._device)

    @property
    def engine(self) -> str:
        """For example ``torchvision 0.29.1 on cpu``."""
        from importlib.metadata import version

        return f"torchvision {version('torchvision')} on {self._device}"

    def settings(self) -> dict[str, Any]:
        """``{"method": "raft", "updates": 12, "weights": sha256}``."""
        return {"method": self.name, "updates": RAFT_UPDATES, "weights": self._sha256}

    def compute(
        self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8], resets: Sequence[int] = ()
    ) -> NDArray[np.float32]:
        """See ``FlowMethod.compute``; the grey frames are not used."""
        return raft_flow(self._model, rgb, self._device)


def raft_flow(model: Any, rgb: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.float32]:
    """Flow ``[N, 2, H, W]`` of a RAFT network, pair by pair, on frames ``[N+1, H, W, 3] uint8``.

    The network needs sides that are multiples of 8 and at least 128; frames are padded by
    repeating their border, evenly on both sides, and the flow is cut back.
    """
    import torch
    from torch.nn.functional import pad

    height, width = rgb.shape[1:3]
    tall, wide = (max(-(-side // 8) * 8, RAFT_MIN_SIDE) for side in (height, width))
    top, left = (tall - height) // 2, (wide - width) // 2
    borders = (left, wide - width - left, top, tall - height - top)
    flow = np.empty((max(len(rgb) - 1, 0), 2, height, width), np.float32)
    with torch.inference_mode():
        for n in range(len(flow)):
            pair = torch.from_numpy(np.ascontiguousarray(rgb[n : n + 2])).to(device)
            scaled = pad(pair.permute(0, 3, 1, 2).float() / 127.5 - 1, borders, mode="replicate")
            field = model(scaled[:1], scaled[1:], num_flow_updates=RAFT_UPDATES)[-1][0]
            flow[n] = field[:, top : top + height, left : left + width].cpu().numpy()
    return flow


METHODS = ("tvl1", "tvl1-fast", "raft", "opencv")


def flow_method(
    name: str,
    *,
    device: str = "auto",
    overrides: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> FlowMethod:
    """The flow method of that name, ready to compute.

    Args:
        name: one of ``METHODS``.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        overrides: parameters that a backbone asks for (a short schedule for small frames); RAFT
            has none and ignores them.
        threads: processor threads; None leaves it to the engine. Changes no value.

    Raises:
        ExtractError: an unknown name or parameter, or what the method needs is not installed.
        WeightsError: RAFT's weights are not there.
    """
    if name in ("tvl1", "tvl1-fast"):
        params = params_with(TVL1Params(), dict(overrides or {}))
        if name == "tvl1-fast":
            params = replace(params, warps=min(params.warps, FAST_WARPS))
        return TVL1Flow(name, params, device, threads)
    if name == "opencv":
        return OpenCVFlow(overrides, threads)
    if name == "raft":
        return RAFTFlow(device)
    raise ExtractError(f"unknown flow method {name!r}; choose one of {', '.join(METHODS)}")
