"""Settings in three parts: the head's own, training and decoding; and defaults for older files.

A *preset* is one choice of all three. The parts are frozen dataclasses; a head may add to each of
them. No setting has the same name in two parts, so one can be changed without naming its part.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

from basnet_e2e.errors import BasnetError
from weights.json_documents import JsonError, convert

# Parts of a preset by their names in files: the attribute of presets and heads.
PARTS = {"own": "own", "training": "training", "reading": "decoding"}
_OLDER = "older"
Part = TypeVar("Part", bound="Settings")


def added(default: Any, *, older: Any) -> Any:
    """A setting that older files do not name.

    Args:
        default: of the setting from now on.
        older: its value in a file that does not name it: what was done before it was added.
    """
    return field(default=default, metadata={_OLDER: older})


@dataclass(frozen=True)
class Settings:
    """One part of a preset: fields, values of those in CHOICES; those in COUNTS are at least 1."""

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}
    COUNTS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, words in self.CHOICES.items():
            value = getattr(self, name)
            if value not in words:
                raise BasnetError(f"setting {name} is one of {', '.join(words)}, not {value!r}")
        for name in self.COUNTS:
            if getattr(self, name) < 1:
                raise BasnetError(f"setting {name} is at least 1, not {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls: type[Part], values: Mapping[str, Any]) -> Part:
        """Settings as :meth:`to_json` wrote them; older files may lack some.

        Raises:
            BasnetError: a setting is unknown or missing, or has a value it cannot have.
        """
        known = {each.name: each.metadata for each in fields(cls)}
        check_names(values, known, "setting")
        missing = [name for name in known if name not in values]
        lost = [name for name in missing if _OLDER not in known[name]]
        if lost:
            raise BasnetError(f"preset without the settings {', '.join(lost)}")
        try:
            older = {name: known[name][_OLDER] for name in missing}
            return convert(older | dict(values), cls, strict=True)
        except JsonError as error:
            raise BasnetError(f"a setting has a value it cannot have: {error}") from error


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How any head is trained.

    Attributes:
        segments: T, the rows of a training sample. Default: the 90th percentile of the training
            videos' lengths, rounded up to a multiple of 8, within [64, 750].
        length: how videos become T rows. ``repeat``: T rows are drawn from each, with repetition if
            it is shorter, in training and at inference; ``pad``: in training shorter videos are
            padded and masked, longer ones sampled, and inference takes all rows; ``rescale``: the
            whole video is interpolated to T rows in training and at inference.
        steps: training steps.
        batch: videos per step.
        rate: the optimiser's learning rate.
        weight_decay: the optimiser's L2 term.
        unlabelled: training videos without labels are dropped, or learnt as background.
        batches: ``independent`` draws each batch by itself; ``epochs`` takes each video once per
            epoch; ``balanced`` draws every class, and background, equally often.
        rows: single rows are learnt in videos with ``points`` alone, or in ``all`` videos with
            known times.
        row_weight: of the loss of single rows.
        second_stage: whether a network that corrects the borders and ranks of proposals is trained
            after the head; known times turn it on.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "length": ("repeat", "pad", "rescale"),
        "unlabelled": ("drop", "background"),
        "batches": ("independent", "epochs", "balanced"),
        "rows": ("points", "all"),
    }
    COUNTS = ("steps", "batch")

    segments: int | None = None
    length: str = "pad"
    steps: int = 1500
    batch: int = 16
    rate: float = 1e-4
    weight_decay: float = 5e-4
    unlabelled: str = "background"
    batches: str = "epochs"
    rows: str = added("points", older="points")
    row_weight: float = added(0.5, older=0.0)
    second_stage: bool = added(False, older=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segments is not None and self.segments < 1:
            raise BasnetError(f"setting segments is at least 1, not {self.segments}")
        if self.length != "pad" and self.segments is None:
            raise BasnetError(f"setting length {self.length} needs a number of segments")


@dataclass(frozen=True)
class DecodingSettings(Settings):
    """How activations become intervals, unless the head has a rule of its own.

    Training does not depend on these.

    Attributes:
        theta_class: lowest video-level score of a class to search for.
        theta_act: thresholds on the class activation sequence.
        upsample: samples per row, by linear interpolation, before thresholding.
        smooth: rows over which the class activation sequence is averaged (Hann window) before it
            is normalised; 1 is no smoothing.
        normalise: ``minmax`` scales each class's activation over a video to [0, 1]; ``none`` takes
            it as it is.
        nms_iou: an interval is suppressed by a better one of its class at this temporal IoU.
        outer: width of the outer margin on each side, as a share of a proposal (lambda, as CMCS).
        gamma: weight of the class score in a proposal's score (as CMCS).
        ranking: ``binary`` adds gamma for every class found; ``softmax`` gamma times its score.
        contrast: ``thresholded`` measures the outer mean on the curve already zeroed below the
            threshold; ``curve`` on the normalised curve itself, clamped at 0.
        nms: ``pixel`` adds 1 (second) to lengths and overlaps, as for pixels; ``seconds`` does not.
        first: ``dropped`` ignores the first class if it is the only one found; ``kept`` does not.
        fallback: if no class reaches ``theta_class``, ``none`` finds nothing, ``argmax`` takes the
            best class.
        shortest: samples of the shortest proposal that ``groups`` = ``sound`` keeps.
        groups: ``any`` keeps proposals of one sample, and drops a class that is active at sample 0
            alone; ``sound`` keeps proposals of ``shortest`` samples and more, also at sample 0,
            and clips all to the video.
        centre: ``start`` places a row's value at its snippet's start and extrapolates the tail, so
            that intervals come half a snippet early; ``centre`` places it at (start + end) / 2 and
            holds it beyond the first and last centre.
    """

    # First what BaS-Net's released code does, then the fixes.
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "ranking": ("binary", "softmax"),
        "contrast": ("thresholded", "curve"),
        "nms": ("pixel", "seconds"),
        "first": ("dropped", "kept"),
        "fallback": ("none", "argmax"),
        "groups": ("any", "sound"),
        "centre": ("start", "centre"),
        "normalise": ("minmax", "none"),
    }
    COUNTS = ("upsample", "smooth", "shortest")

    theta_class: float = 0.25
    theta_act: tuple[float, ...] = tuple(step * 0.025 for step in range(10))
    upsample: int = 24
    smooth: int = 1
    shortest: int = 2
    nms_iou: float = 0.7
    outer: float = 0.25
    gamma: float = 0.2
    ranking: str = "softmax"
    contrast: str = "curve"
    nms: str = "seconds"
    first: str = "kept"
    fallback: str = "none"
    groups: str = "sound"
    centre: str = "centre"
    normalise: str = "minmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "theta_act", tuple(float(value) for value in self.theta_act))


@dataclass(frozen=True)
class Preset:
    """All settings of one head.

    Attributes:
        name: of the preset that was changed, if at all, to these settings.
        head: name of the head in the registry.
        own: of the head: network and loss.
        training: how it is trained.
        decoding: how its activations become intervals.
    """

    name: str
    head: str
    own: Settings
    training: TrainingSettings
    decoding: DecodingSettings

    def own_as(self, kind: type[Part]) -> Part:
        """The head's own settings, typed."""
        assert isinstance(self.own, kind)
        return self.own

    @property
    def recipe(self) -> str | None:
        """Row of the head's ablation; None if it has none."""
        return getattr(self.own, "recipe", None)

    @property
    def title(self) -> str:
        """Head, preset and recipe in one phrase."""
        return f"{self.head} {self.name}" + (f"/{self.recipe}" if self.recipe else "")

    def changed(self, **settings: Any) -> "Preset":
        """The preset with other values for some settings of any part.

        Raises:
            BasnetError: a setting is unknown (with the nearest name), or cannot have the value.
        """
        parts: dict[str, Any] = {part: getattr(self, part) for part in PARTS.values()}
        check_names(settings, [name for kept in parts.values() for name in vars(kept)], "setting")
        for part, kept in parts.items():
            parts[part] = replace(
                kept, **{name: value for name, value in settings.items() if name in vars(kept)}
            )
        return replace(self, **parts)

    def named(self, name: str, **settings: Any) -> "Preset":
        """Another preset of the head: :meth:`changed`, with a name."""
        return replace(self, name=name).changed(**settings)

    def flat(self) -> dict[str, Any]:
        """Every setting by its name alone, as JSON values, with the names of head and preset."""
        return {"name": self.name} | self.learnt() | self.decoding.to_json()

    def learnt(self) -> dict[str, Any]:
        """As :meth:`flat`, but only what a trained network depends on."""
        return {"head": self.head} | self.own.to_json() | self.training.to_json()

    def to_json(self) -> dict[str, Any]:
        """All settings in their parts, as JSON values."""
        parts = {name: getattr(self, part).to_json() for name, part in PARTS.items()}
        return {"name": self.name, "head": self.head} | parts


def check_names(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Check that all names are known.

    Raises:
        BasnetError: suggests the nearest known name and lists all.
    """
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BasnetError(f"no {what} {name!r}; {hint}known: {', '.join(known)}")
