"""The demo: every command in turn on generated videos, as a user would type it for their own.

Nothing is computed here. The demo prints each command, runs it as a process of its own, and shows
the figures of ``basnet evaluate --json`` side by side. A second run in the same folder skips steps
that are up to date, as make does.
"""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.demo.footage.collection import (
    Collection,
    ground_truth_path,
    labels_path,
    video_path,
)
from basnet_e2e.errors import BasnetError
from weights.files import write_text

BACKBONE = "i3d-mini"
HEAD = "basnet"  # the paper's, whose recipes the comparison shows
PRESET = "small"
RECIPES = ("baseline", "base", "suppression", "full")

Echo = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        program: module to run with ``python -m``.
        arguments: its arguments.
        makes: output file or folder; the step is done if this file exists.
        needs: files that it reads; if one is newer, the step runs again.
        keep_stdout: whether ``makes`` is the output that the command prints.
    """

    program: str
    arguments: tuple[str, ...]
    makes: Path
    needs: tuple[Path, ...] = ()
    keep_stdout: bool = False

    @property
    def line(self) -> str:
        """The command as a user types it."""
        start = ["basnet"] if self.program == "basnet_e2e" else ["python", "-m", self.program]
        tail = f" > {shlex.quote(str(self.makes))}" if self.keep_stdout else ""
        return shlex.join([*start, *self.arguments]) + tail

    def is_done(self) -> bool:
        """Whether the output exists and no input is newer."""
        if not self.makes.is_file():
            return False
        made = self.makes.stat().st_mtime
        return all(need.exists() and need.stat().st_mtime <= made for need in self.needs)


@dataclass(frozen=True)
class Variant:
    """A model to train and score: its name in files and tables, and options of train."""

    name: str
    options: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name as part of a file name."""
        return self.name.replace(",", "").replace(" ", "-")


QUICK = Variant("two streams, 100 steps", ("--steps", "100"))
TWO_STREAM = Variant("two streams")
COMPARISON = (
    TWO_STREAM,
    Variant("rgb only", ("--streams", "rgb")),
    Variant("flow only", ("--streams", "flow")),
)
# Enough videos to see each class with and without each of the others.
QUICK_COLLECTION = Collection(training=18, test=6)
FULL_COLLECTION = Collection()
SHOWN = 1  # the test video that is shown: one class, three times
ABLATION = tuple(Variant(recipe, ("--recipe", recipe)) for recipe in RECIPES)


class Demo:
    """The demo in one folder.

    Args:
        folder: where everything is written.
        echo: prints a line.
    """

    def __init__(self, folder: Path, echo: Echo) -> None:
        self.folder = folder
        self._echo = echo
        self._began = time.monotonic()

    def run(self, *, compare: bool = False, ablation: bool = False) -> dict[str, dict[str, float]]:
        """Run all stages and print a table of mAP on the test videos.

        Args:
            compare: train on more videos, and on each stream alone too.
            ablation: compare the four recipes on the same features.

        Returns:
            Variant -> column (``0.1`` .. ``0.9`` and ``average``) -> mAP in [0, 1].

        Raises:
            BasnetError: a command failed, after printing its own message.
        """
        full = compare or ablation
        self._prepare(FULL_COLLECTION if full else QUICK_COLLECTION)
        if ablation:
            return self._compare(ABLATION, "The four recipes on the same features")
        self._show_one(TWO_STREAM if compare else QUICK)
        if not compare:
            table = self._compare((QUICK,), "Trained with labels alone")
            self._what_next()
            return table
        return self._compare(COMPARISON, "The same head on one stream alone")

    def _prepare(self, collection: Collection) -> None:
        self._say(
            f"In place of your videos, {collection.training} training and {collection.test} test "
            "videos are generated: nothing is downloaded. About "
            f"{_about(0.6 * (collection.training + collection.test))}."
        )
        self._do(self._generate(collection))
        self._say(
            "A small bundled network turns snippets of 16 frames into features of pictures (rgb) "
            "and motion (TV-L1 flow), kept on disk in one file per video. About "
            f"{_about(2 * (collection.training + collection.test))}."
        )
        for part in ("train", "test"):
            self._do(self._extract(part))

    def _show_one(self, variant: Variant) -> None:
        self._say(
            "BaS-Net learns when actions happen from labels that say only which ones. About "
            f"{_about(20 if variant is QUICK else 60)}."
        )
        self._do(self._train(variant))
        self._say("Action intervals in a raw video that was not used for training. A few seconds.")
        self._do(self._localize_video(variant))
        self._do(self._page())
        self._show_video()

    def _what_next(self) -> None:
        self._say(f"See it: open {self._page().makes} in a browser.")
        self._say("The same on your own videos, in three commands:")
        self._echo("basnet extract VIDEOS/ -o features")
        self._echo("basnet train features --labels labels.csv -o model.safetensors")
        self._echo("basnet localize another.mp4 -m model.safetensors")
        self._echo(
            "\n'basnet labels VIDEOS/ -o labels.csv' writes the label file to fill in, and "
            "'basnet localize\nvideo.mp4' names 400 actions without any training."
        )

    def _compare(self, variants: Sequence[Variant], title: str) -> dict[str, dict[str, float]]:
        self._say("How good is it? All test videos, compared with their true intervals.")
        table = {}
        for variant in variants:
            for step in (self._train(variant), self._localize(variant), self._evaluate(variant)):
                self._do(step)
            table[variant.name] = read_figures(self._figures(variant))
        self._say(f"mAP in % on the held-out test videos. {title}:")
        self._echo(format_table(table))
        self._echo(
            f"\n{time.monotonic() - self._began:.0f} s in all; everything is in {self.folder}"
        )
        return table

    def _generate(self, collection: Collection) -> Step:
        counts = "--training", str(collection.training), "--test", str(collection.test)
        # Always run: it knows best which videos exist.
        return Step("basnet_e2e.demo.footage", (str(self.folder), *counts), makes=self.folder)

    def _extract(self, part: str) -> Step:
        features = self._features(part)
        # Always run: extract itself knows best which features exist and still fit.
        arguments = (self._videos(part), "-o", features, "--backbone", BACKBONE)
        return _basnet("extract", *arguments, makes=features)

    def _train(self, variant: Variant) -> Step:
        features, labels = self._features("train"), labels_path(self.folder)
        model = self._model(variant)
        arguments = (
            *(features, "--labels", labels, "-o", model),
            *("--head", HEAD, "--preset", PRESET, *variant.options),
        )
        return _basnet("train", *arguments, makes=model, needs=(labels, *_files(features)))

    def _localize_video(self, variant: Variant) -> Step:
        video, model = video_path(self.folder, "test", SHOWN), self._model(variant)
        result = self._one_result()
        arguments = video, "-m", model, "-o", result, "--report", result.with_suffix(".html")
        return _basnet("localize", *arguments, makes=result, needs=(video, model))

    def _page(self) -> Step:
        """The page of the video with its true intervals beside those found."""
        result, truth = self._one_result(), ground_truth_path(self.folder)
        page = self.folder / "page.html"
        arguments = result, "--ground-truth", truth, "--videos", self._videos("test"), "-o", page
        return _basnet("report", *arguments, makes=page, needs=(result, truth))

    def _localize(self, variant: Variant) -> Step:
        features, model = self._features("test"), self._model(variant)
        result = self._result(variant)
        arguments = features, "-m", model, "-o", result, "--keep", "all"
        return _basnet("localize", *arguments, makes=result, needs=(model, *_files(features)))

    def _evaluate(self, variant: Variant) -> Step:
        result, truth = self._result(variant), ground_truth_path(self.folder)
        arguments, made = (result, "--ground-truth", truth, "--json"), self._figures(variant)
        return _basnet("evaluate", *arguments, makes=made, needs=(result, truth), keep_stdout=True)

    def _videos(self, part: str) -> Path:
        return self.folder / "videos" / part

    def _features(self, part: str) -> Path:
        return self.folder / "features" / part

    def _model(self, variant: Variant) -> Path:
        return self.folder / "models" / f"{variant.file}.safetensors"

    def _result(self, variant: Variant) -> Path:
        return self.folder / "results" / f"{variant.file}.json"

    def _figures(self, variant: Variant) -> Path:
        return self.folder / "results" / f"{variant.file}-map.json"

    def _one_result(self) -> Path:
        return self.folder / "results" / "one-video.json"

    def _do(self, step: Step) -> None:
        if step.is_done():
            self._echo(f"$ {step.line}    (done before)")
            return
        self._echo(f"$ {step.line}")
        step.makes.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        run_step(step)
        self._echo(f"  {time.monotonic() - began:.1f} s")

    def _say(self, text: str) -> None:
        self._echo(f"\n# {text}")

    def _show_video(self) -> None:
        """The intervals found in one video, and its true intervals."""
        found = json.loads(self._one_result().read_text(encoding="utf-8"))
        truth = json.loads(ground_truth_path(self.folder).read_text(encoding="utf-8"))
        self._echo("  found:")
        for one in sorted(found["intervals"], key=lambda one: -one["score"])[:5]:
            self._echo(
                f"    {one['start']:6.2f} - {one['end']:6.2f} s  {one['label']}"
                f"  (score {one['score']:.2f})"
            )
        self._echo("  happens:")
        for one in truth["database"][found["video"]]["annotations"]:
            start, end = one["segment"]
            self._echo(f"    {start:6.2f} - {end:6.2f} s  {one['label']}")


def _basnet(
    command: str,
    *arguments: object,
    makes: Path,
    needs: tuple[Path, ...] = (),
    keep_stdout: bool = False,
) -> Step:
    return Step("basnet_e2e", (command, *map(str, arguments)), makes, needs, keep_stdout)


def _about(seconds: float) -> str:
    """A duration, rounded for people."""
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{5 * max(1, round(seconds / 5))} s"


def run_step(step: Step) -> None:
    """Run a step's command; its messages go to the same streams as the demo's.

    Raises:
        BasnetError: it failed.
    """
    command = [sys.executable, "-m", step.program, *step.arguments]
    stdout = subprocess.PIPE if step.keep_stdout else None
    done = subprocess.run(command, stdout=stdout, text=True, check=False)
    if done.returncode != 0:
        raise BasnetError(f"'{step.line}' failed with exit code {done.returncode}, see above")
    if step.keep_stdout:
        write_text(step.makes, done.stdout)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("*.safetensors")))


def read_figures(path: Path) -> dict[str, float]:
    """MAP per tIoU threshold and their mean, from the output of ``basnet evaluate --json``.

    Raises:
        BasnetError: the file does not contain them.
    """
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        pairs = zip(document["tiou"], document["map"], strict=True)
        figures = {f"{float(tiou):.1f}": float(value) for tiou, value in pairs}
        return {**figures, "average": sum(figures.values()) / len(figures)}
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BasnetError(f"{path}: holds no mAP per threshold; delete it and run again") from error


def format_table(table: dict[str, dict[str, float]]) -> str:
    """A table of mAP in percent as text.

    Args:
        table: row -> column -> mAP in [0, 1]; all rows have the same columns.
    """
    columns = list(next(iter(table.values())))
    width = max(len(name) for name in table)
    lines = [" " * width + "".join(f"{column:>8}" for column in columns)]
    for name, row in table.items():
        lines.append(f"{name:<{width}}" + "".join(f"{100 * row[c]:8.1f}" for c in columns))
    return "\n".join(lines)
