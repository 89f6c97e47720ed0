"""Every number and choice of BaS-Net in one place, each with its source.

A *preset* fixes how a network is trained and read. ``official`` is what the authors' released code
computes (commit c8c6bbd), its defects included; ``default`` mends each defect by one named setting,
so that the effect of a mend can be measured alone (``preset("official", mend=("ranking",))``). A
*recipe* is one row of the paper's ablation: which branches there are and which one is read.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from basnet_e2e.errors import BasnetError

# Values a setting of words may take: first what the released code does, then the mends.
CHOICES: dict[str, tuple[str, ...]] = {
    "ranking": ("binary", "softmax"),
    "contrast": ("thresholded", "curve"),
    "nms": ("pixel", "seconds"),
    "first": ("dropped", "kept"),
    "fallback": ("none", "argmax"),
    "groups": ("any", "sound"),
    "centre": ("start", "centre"),
    "length": ("repeat", "pad", "rescale"),
    "norm": ("sum", "mean"),
    "unlabelled": ("drop", "background"),
    "batches": ("independent", "epochs"),
    "normalise": ("minmax", "none"),
}


@dataclass(frozen=True)
class Preset:
    """Settings of training and reading. The values below are those of the released code.

    Attributes:
        name: which preset these settings began as.
        hidden: channels of both convolutions of the CAS head (model.py).
        filter_hidden: channels within the filter that makes foreground weights (model.py).
        dropout: share of hidden channels dropped before the last layer (model.py).
        slope: LeakyReLU's slope below zero (PyTorch's default, which the code uses).
        ratio: k of the top-k mean is ``max(1, rows // ratio)`` (model.py; r = 8 in the paper).
        segments: T, the rows of a training sample (config.py). None takes the 90th percentile of
            the training videos' lengths, rounded up to a multiple of 8, within [64, 750].
        steps: training steps (the released command's learning rate list has 1500 entries).
        batch: videos a step.
        rate: Adam's learning rate.
        weight_decay: Adam's L2 term (main.py).
        alpha: weight of the norm of the foreground weights.
        class_divisor: the cross-entropy summed over classes is divided by this; None is the number
            of classes with background, i.e. the mean. With the mean, the gradient of 201 classes is
            ten times weaker than that of 21 against weight decay and norm; 21 keeps the balance of
            THUMOS'14 for any number of classes.
        theta_class: lowest video-level score of a class whose intervals are sought (config.py).
        theta_act: thresholds on the class activation sequence (config.py).
        upsample: samples a row, by linear interpolation, before thresholding (config.py).
        smooth: rows over which the class activation sequence is averaged (Hann window) before it
            is normalised; 1 is no smoothing.
        nms_iou: an interval is suppressed by a better one of its class at this temporal IoU.
        outer: width of the outer margin on each side, as a share of a proposal (lambda, as CMCS).
        gamma: weight of the class score in a proposal's score (as CMCS).
        ranking: ``binary`` adds gamma times 1, since the released code overwrites the class score
            by 0 or 1 first; ``softmax`` adds gamma times the class score.
        contrast: ``thresholded`` measures the outer mean on the curve already zeroed below the
            threshold; ``curve`` on the normalised curve itself, clamped at 0.
        nms: ``pixel`` adds 1 (second) to lengths and overlaps, as for pixels; ``seconds`` does not.
        first: ``dropped`` gives a video no result whose only class is the first of the list;
            ``kept`` does.
        fallback: ``none`` gives a video no result where no class reaches ``theta_class``;
            ``argmax`` takes its best class (as the authors' later code).
        shortest: samples of the shortest proposal that ``groups`` = ``sound`` keeps (2, as the
            authors' later code).
        groups: ``any`` keeps proposals of one sample, and drops a class that is active at sample 0
            alone; ``sound`` keeps proposals of ``shortest`` samples and more, and those at sample
            0, and holds all within the video.
        centre: ``start`` places a row's value at its snippet's start and extrapolates the tail, so
            that intervals come half a snippet early; ``centre`` places it at (start + end) / 2 and
            holds it beyond the first and last centre.
        length: how videos become T rows. ``repeat``: T rows are drawn from each, repeated where it
            is shorter, in training and reading; ``pad``: shorter videos are padded and masked,
            longer ones sampled in training, and all rows are read; ``rescale``: the whole video is
            interpolated to T rows in training and reading.
        norm: ``sum`` is the L1 norm over the T rows; ``mean`` is 750 times the mean over real rows,
            the same at T = 750, independent of a video's length elsewhere.
        unlabelled: training videos without label are dropped, or learnt as background.
        batches: ``independent`` draws each batch anew (what the released code's lost iterator
            amounts to after the first epoch); ``epochs`` takes each video once an epoch.
        normalise: ``minmax`` scales each class's activation over a video to [0, 1]; ``none`` takes
            it as it is.
    """

    name: str = "official"
    hidden: int = 2048
    filter_hidden: int = 512
    dropout: float = 0.7
    slope: float = 0.01
    ratio: int = 8
    segments: int | None = 750
    steps: int = 1500
    batch: int = 16
    rate: float = 1e-4
    weight_decay: float = 5e-4
    alpha: float = 1e-4
    class_divisor: int | None = None
    theta_class: float = 0.25
    theta_act: tuple[float, ...] = tuple(step * 0.025 for step in range(10))
    upsample: int = 24
    smooth: int = 1
    shortest: int = 2
    nms_iou: float = 0.7
    outer: float = 0.25
    gamma: float = 0.2
    ranking: str = "binary"
    contrast: str = "thresholded"
    nms: str = "pixel"
    first: str = "dropped"
    fallback: str = "none"
    groups: str = "any"
    centre: str = "start"
    length: str = "repeat"
    norm: str = "sum"
    unlabelled: str = "drop"
    batches: str = "independent"
    normalise: str = "minmax"

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if value not in words:
                raise BasnetError(f"setting {name} is one of {', '.join(words)}, not {value!r}")
        counts = (
            *("hidden", "filter_hidden", "ratio", "steps", "batch"),
            *("upsample", "smooth", "shortest"),
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise BasnetError(f"setting {name} is at least 1, not {getattr(self, name)}")
        if self.segments is not None and self.segments < 1:
            raise BasnetError(f"setting segments is at least 1, not {self.segments}")
        if not 0 <= self.dropout < 1:
            raise BasnetError(f"setting dropout is within [0, 1), not {self.dropout}")
        if self.length != "pad" and self.segments is None:
            raise BasnetError(f"setting length {self.length} needs a number of segments")
        # JSON has no tuples; settings read back from a model file must equal those written.
        object.__setattr__(self, "theta_act", tuple(float(value) for value in self.theta_act))

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self) | {"theta_act": list(self.theta_act)}

    def training_json(self) -> dict[str, Any]:
        """Settings that a trained network depends on, see ``READING``."""
        return {name: value for name, value in self.to_json().items() if name not in READING}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Preset":
        """Settings as :meth:`to_json` wrote them.

        Raises:
            BasnetError: a setting is unknown or missing, or has a value it cannot have.
        """
        _check_names(settings, [field.name for field in fields(cls)], "setting")
        missing = {field.name for field in fields(cls)} - settings.keys()
        if missing:
            raise BasnetError(f"preset without the settings {', '.join(sorted(missing))}")
        return cls(**settings)


# Each mend of the released code, as the settings that make it.
MENDS: dict[str, dict[str, Any]] = {
    "ranking": {"ranking": "softmax"},
    "contrast": {"contrast": "curve"},
    "nms": {"nms": "seconds"},
    "first": {"first": "kept"},
    "fallback": {"fallback": "argmax"},
    "groups": {"groups": "sound"},
    "centre": {"centre": "centre"},
    "length": {"length": "pad", "segments": None},
    "norm": {"norm": "mean"},
    "unlabelled": {"unlabelled": "background"},
    "batches": {"batches": "epochs"},
}
# A video may hold no action at all, so `default` does not force a class upon it.
_DEFAULT_MENDS = tuple(name for name in MENDS if name != "fallback")

_OFFICIAL = Preset()
_DEFAULT = replace(
    _OFFICIAL,
    name="default",
    **{key: value for name in _DEFAULT_MENDS for key, value in MENDS[name].items()},
)

PRESETS: dict[str, Preset] = {
    "official": _OFFICIAL,
    "default": _DEFAULT,
    # For CPUs: a quarter of the width and a fifth of the steps.
    "small": replace(_DEFAULT, name="small", hidden=512, steps=300),
    # BaS-Net's own ActivityNet settings were never released. Others report that THUMOS settings
    # fail there because the cross-entropy is averaged over 101 or 201 classes, and that actions
    # span much of a video: CoLA's re-implementation (CORAL, its issue 86) goes from 1.0 to 24.7
    # average mAP with a tenfold action loss and to 27.3 with T = 200 over the whole video; CoLA
    # takes classes from .1 and NMS at .6; W-TALC smooths the activation; the authors' later code
    # takes 10 000 steps; thresholds up to .5 are those remembered of the paper. The smoothing
    # width, a twentieth of the video, is ours. None of it could be checked on ActivityNet here.
    "activitynet": replace(
        _DEFAULT,
        name="activitynet",
        length="rescale",
        segments=200,
        steps=10000,
        class_divisor=21,
        theta_class=0.1,
        theta_act=tuple(step * 0.025 for step in range(20)),
        smooth=9,
        nms_iou=0.6,
    ),
}
# How the published classifier of 400 actions is read without any training: its per-snippet softmax
# is the class activation sequence, probabilities need no normalisation. They are above 0 everywhere
# and not stretched to [0, 1], so thresholds go from .1, below which the recipe `baseline` too calls
# a snippet background, to .9; and what is shorter than a snippet is more than a classifier of whole
# snippets can tell.
KINETICS400 = replace(
    _DEFAULT,
    name="kinetics400",
    normalise="none",
    theta_act=tuple(step / 10 for step in range(1, 10)),
    shortest=_DEFAULT.upsample,
)


# Settings that a trained network does not depend on: they matter only when it is read.
READING = frozenset(
    {
        *("name", "theta_class", "theta_act", "upsample", "smooth", "shortest", "nms_iou", "outer"),
        *("gamma", "ranking", "contrast", "nms", "first", "fallback", "groups", "centre"),
        "normalise",
    }
)


@dataclass(frozen=True)
class Recipe:
    """One row of the paper's ablation.

    Attributes:
        name: as the command line knows it.
        background: the classifier has a background class.
        base: the base branch is trained, with background as a label of every video.
        suppression: the suppression branch is trained, behind the filter, with background as a
            label of none.
    """

    name: str
    background: bool
    base: bool
    suppression: bool

    @property
    def reads(self) -> str:
        """The branch that is read at inference: ``suppression`` where there is one."""
        return "suppression" if self.suppression else "base"


RECIPES: dict[str, Recipe] = {
    "baseline": Recipe("baseline", background=False, base=True, suppression=False),
    "base": Recipe("base", background=True, base=True, suppression=False),
    "suppression": Recipe("suppression", background=True, base=False, suppression=True),
    "full": Recipe("full", background=True, base=True, suppression=True),
}


def preset(name: "str | Preset", /, *, mend: Iterable[str] = (), **overrides: Any) -> Preset:
    """A preset by name, with mends and single settings changed.

    Args:
        name: ``official``, ``default``, ``small``, ``activitynet``, or settings to start from.
        mend: names of mends (see ``MENDS``) put on top.
        overrides: single settings.

    Raises:
        BasnetError: a preset, mend or setting is unknown (with the nearest known name).
    """
    if not isinstance(name, Preset):
        _check_names([name], PRESETS, "preset")
    chosen = name if isinstance(name, Preset) else PRESETS[name]
    mend = list(mend)
    _check_names(mend, MENDS, "mend")
    _check_names(overrides, [field.name for field in fields(Preset)], "setting")
    settings = {key: value for each in mend for key, value in MENDS[each].items()}
    return replace(chosen, **(settings | overrides))


def recipe(name: "str | Recipe") -> Recipe:
    """A recipe by name.

    Raises:
        BasnetError: there is none of this name.
    """
    if isinstance(name, Recipe):
        return name
    _check_names([name], RECIPES, "recipe")
    return RECIPES[name]


def _check_names(names: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BasnetError(f"no {what} {name!r}; {hint}known: {', '.join(known)}")
