"""Train and evaluate one network after another; each is kept with its figures.

A run may be interrupted at any time. It has a folder of its own with the model (and that of the
best step, if asked for), its detections and its figures. A matching run is not recomputed; a run
with other settings is an error and is never overwritten. Settings that matter only at inference
(``ranking``, ``nms``, ...) may change without retraining.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.data.files.text_files import read_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.background import (
    FIGURE_NAMES,
    background_detection,
    background_truth,
)
from basnet_e2e.evaluation.evaluate import prepare, score
from basnet_e2e.heads.checkpoint import HeadModel, load_model, save_model
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.interchange.writers import write_results
from basnet_e2e.intervals import Localization
from basnet_e2e.localization.inference import activations, localization_of, predict_background
from basnet_e2e.reproduction.data import Benchmark
from basnet_e2e.training.fit import fit
from basnet_e2e.training.loop import StepListener
from basnet_e2e.training.run_identity import RunInputs, data_digest, with_segments
from basnet_e2e.training.state import state_path
from basnet_e2e.training.train import usable
from basnet_e2e.training.validation import Validation
from weights.files import write_text
from weights.json_documents import Duration

log = logging.getLogger(__name__)
# Increased whenever proposals or evaluation change, so that kept figures are recomputed.
FIGURES_VERSION = 1
# Compared by hashes, which mean nothing to a reader.
DIGESTS = ("training data", "test set")


@dataclass(frozen=True)
class Spec:
    """One network to train and how to read it.

    Attributes:
        preset: the head and its settings, with the row of its ablation if it has one.
        seed: of weights, samples and dropout.
        fix: the one fix that distinguishes this run from the others of its row, if any.
    """

    preset: Preset
    seed: int
    fix: str | None = None

    @property
    def row(self) -> str:
        """Row of a table: the recipe, or the head if it has no ablation."""
        ablated = find_head(self.preset.head).recipes
        return (self.preset.recipe if ablated else None) or self.preset.head


@dataclass(frozen=True)
class Figures:
    """Figures of one network on the test videos, in [0, 1].

    Attributes:
        map: mAP at the protocol's thresholds.
        background: precision, recall, F-measure and threshold-free AP of background detection.
        step: training step the network was taken from.
    """

    map: tuple[float, ...]
    background: dict[str, float]
    step: int

    @property
    def average(self) -> float:
        """Mean mAP over the thresholds."""
        return sum(self.map) / len(self.map)


@dataclass(frozen=True)
class Outcome:
    """The figures of one run.

    Attributes:
        spec: the run.
        last: figures of its last step.
        best: figures of the best step on the test videos, if asked for.
        seconds: training time without interruptions; None if it was not measured.
        parameters: number of parameters of its network.
    """

    spec: Spec
    last: Figures
    best: Figures | None = None
    seconds: float | None = field(default=None, compare=False)
    parameters: int = 0


Reporter = Callable[[int, int, Spec], StepListener]


class Runner:
    """Trains and evaluates runs in a folder.

    Args:
        folder: has a folder for each run.
        benchmark: videos and intervals.
        tious: thresholds.
        best_on_test: also evaluate the best step on the test videos.
        device: where networks run.
    """

    def __init__(
        self,
        folder: Path,
        benchmark: Benchmark,
        tious: Sequence[float],
        *,
        best_on_test: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.folder, self.benchmark = folder, benchmark
        self.tious, self.best_on_test = tuple(tious), best_on_test
        self.device = device or torch.device("cpu")

    def all(self, specs: Sequence[Spec], progress: "Reporter | None" = None) -> Iterator[Outcome]:
        """Take runs one after another; those already on disk are not recomputed.

        Args:
            specs: the runs.
            progress: ``progress(index, runs, spec)`` returns a callback for each training step.

        Raises:
            BasnetError: see :meth:`run`.
            KeyboardInterrupt: Ctrl-C; the next call continues from there.
        """
        for index, spec in enumerate(specs):
            yield self.run(spec, progress(index, len(specs), spec) if progress else None)

    def run(self, spec: Spec, progress: StepListener | None = None) -> Outcome:
        """Figures of a run, from the disk or from training.

        Raises:
            BasnetError: the folder contains a run with other settings or other data.
            KeyboardInterrupt: Ctrl-C; the next call continues from there.
        """
        data = usable(self.benchmark.train, spec.preset)
        spec = replace(spec, preset=with_segments(spec.preset, data))
        paths = {"last": self.place(spec) / "model.safetensors"}
        if self.best_on_test and spec.fix is None:
            paths["best"] = self.place(spec) / "best-on-test.safetensors"
        for path in paths.values():
            if path.is_file():
                self._check(path, load_model(path), spec, data)
        if not paths["last"].is_file():
            self._train(spec, data, paths, progress)
        elif "best" in paths and not paths["best"].is_file():
            raise BasnetError(
                f"{paths['last']}: trained without looking at the test videos, so its best step is "
                "not known; choose another folder with -o"
            )
        figures = {name: self._judge(path, spec) for name, path in paths.items()}
        net = load_model(paths["last"]).net
        parameters = sum(each.numel() for each in net.parameters())
        seconds = _read_seconds(self._clock(spec))
        return Outcome(spec, figures["last"], figures.get("best"), seconds, parameters)

    def _clock(self, spec: Spec) -> Path:
        """File with the training time of a run, which a model file does not record."""
        return self.place(spec) / "seconds.json"

    def place(self, spec: Spec) -> Path:
        """Folder of a run; a fix that needs no training shares the folder of its network."""
        tag = spec.row
        if spec.fix is not None and changes_training(spec.preset.head, spec.fix):
            tag = f"{tag}+{spec.fix}"
        return self.folder / f"{tag}-{spec.seed}"

    def model(self, spec: Spec) -> HeadModel:
        """The network of a finished run's last step, with the decoding settings of the spec."""
        model = load_model(self.place(spec) / "model.safetensors", self.device)
        preset = spec.preset.changed(segments=model.preset.training.segments)
        return replace(model, preset=preset)

    def _check(self, path: Path, model: HeadModel, spec: Spec, data: LabelledSet) -> None:
        validation = model.training.get("validation")
        wanted, found = spec.preset.learnt(), model.preset.flat()
        if validation is not None:
            # The best step also depends on decoding settings and validation videos.
            wanted = spec.preset.flat()
        pairs = {name: (found.get(name), wanted[name]) for name in wanted}
        if validation is not None:
            pairs["test set"] = validation.get("videos"), self._validation(data).identity
        pairs["seed"] = model.training.get("seed"), spec.seed
        pairs["classes"] = list(model.classes), list(data.classes)
        pairs["training data"] = model.training.get("data"), data_digest(data)
        for name, (there, here) in pairs.items():
            if there != here:
                values = f" ({_short(there)} instead of {_short(here)})"
                raise BasnetError(
                    f"{path}: from a run with another {name}{'' if name in DIGESTS else values}; "
                    "choose another folder with -o, or delete this file"
                )

    def _validation(self, data: LabelledSet) -> Validation:
        return Validation(self.benchmark.test, self.benchmark.truth, data.classes, self.tious)

    def _train(
        self,
        spec: Spec,
        data: LabelledSet,
        paths: dict[str, Path],
        progress: StepListener | None,
    ) -> None:
        validation = self._validation(data) if "best" in paths else None
        state = state_path(paths["last"])
        resume, clock = state.is_file(), self._clock(spec)
        before = (_read_seconds(clock) or 0.0) if resume else 0.0
        begun = time.monotonic()
        try:
            trained = fit(
                RunInputs(data, spec.preset, spec.seed, monitor=validation),
                device=self.device,
                state=state,
                resume=resume,
                progress=progress,
            )
        finally:
            spent = before + time.monotonic() - begun
            write_text(clock, json.dumps({"seconds": spent}) + "\n")
        if "best" in paths and trained.best is not None:
            save_model(trained.best, paths["best"])
        save_model(trained.last, paths["last"])
        state.unlink(missing_ok=True)

    def _judge(self, path: Path, spec: Spec) -> Figures:
        """Figures of a model file, computed unless the file beside it has them."""
        # A fix that needs no training shares the model's folder with the plain run.
        stem = path.stem if spec.fix is None else f"{path.stem}+{spec.fix}"
        kept = path.with_name(f"{stem}-figures.json")
        model = replace(load_model(path, self.device), preset=spec.preset)
        test = self._validation(self.benchmark.train).identity
        made_by = {
            "version": FIGURES_VERSION,
            "preset": spec.preset.flat(),
            "training": model.training,
            "test": test,
        }
        figures = _read_figures(kept, made_by, len(self.tious))
        if figures is None:
            found, figures = judge(model, self.benchmark, self.tious)
            # Removed first, so that figures are never beside detections of other settings.
            kept.unlink(missing_ok=True)
            write_results(path.with_name(f"{stem}-detections.json"), found, many=True)
            document = {"made_by": made_by, "figures": asdict(figures)}
            write_text(kept, json.dumps(document, indent=1, sort_keys=True) + "\n")
        return figures


def judge(
    model: HeadModel, benchmark: Benchmark, tious: Sequence[float]
) -> tuple[list[Localization], Figures]:
    """Detections in all test videos, and their figures."""
    found, backgrounds = [], []
    for video in benchmark.test:
        prediction = activations(model, video)
        found.append(localization_of(prediction, model, video))
        truth = background_truth(video.start, video.end, benchmark.truth.videos[video.id])
        backgrounds.append((truth, *predict_background(prediction, video)))
    table = score(prepare(found, benchmark.truth), tious)
    step = (model.training.get("validation") or {}).get("step", model.training["steps"])
    figures = tuple(float(value) for value in table.map)
    return found, Figures(figures, background_detection(backgrounds), int(step))


def changes_training(head: str, fix: str) -> bool:
    """Whether a head's fix needs a network of its own."""
    read = {each.name for each in fields(find_head(head).decoding)}
    return not set(find_head(head).fixes[fix]) <= read


class _KeptFigures(Struct):
    made_by: dict[str, Any]
    figures: Figures


class _KeptSeconds(Struct):
    seconds: Duration


def _read_figures(path: Path, made_by: dict[str, Any], count: int) -> Figures | None:
    """Kept figures; None if they are missing, damaged or were made with other settings."""
    try:
        document = read_json(path, _KeptFigures)
    except BasnetError:
        return None
    kept = document.figures
    same = document.made_by == json.loads(json.dumps(made_by)) and len(kept.map) == count
    return kept if same and kept.background.keys() >= set(FIGURE_NAMES) else None


def _read_seconds(path: Path) -> float | None:
    """Seconds of training; None if they were not recorded."""
    try:
        return read_json(path, _KeptSeconds).seconds
    except BasnetError:
        return None


def _short(value: Any, most: int = 40) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
