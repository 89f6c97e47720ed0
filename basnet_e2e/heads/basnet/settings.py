"""BaS-Net's settings: every number and choice in one place, each with its source.

``official`` is what the authors' released code computes (commit c8c6bbd), its defects included;
``default`` fixes each defect by one named setting, so that the effect of a fix can be measured
alone (``preset("official", fix=("ranking",))``). A *recipe* is one row of the paper's ablation:
which branches are trained and which one is used at inference.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.decoding_rules import MIN_ACTIVATION
from basnet_e2e.heads.common.settings import (
    DecodingSettings,
    Preset,
    Settings,
    TrainingSettings,
    check_names,
)

NAME = "basnet"


@dataclass(frozen=True)
class Recipe:
    """One row of the paper's ablation.

    Attributes:
        background: the classifier has a background class.
        base: the base branch is trained, with background as a label of every video.
        suppression: the suppression branch is trained, behind the filter, with background as a
            label of none.
    """

    background: bool
    base: bool
    suppression: bool

    @property
    def reads(self) -> str:
        """The branch that is used at inference: ``suppression`` if there is one."""
        return "suppression" if self.suppression else "base"

    @property
    def background_rule(self) -> str:
        """What is taken for background, in words."""
        if self.suppression:
            return "foreground weight below .5"
        if self.background:
            return "the background class is the most active one"
        return f"no action class's activation (min-max over the video) reaches {MIN_ACTIVATION:g}"


RECIPES: dict[str, Recipe] = {
    "baseline": Recipe(background=False, base=True, suppression=False),
    "base": Recipe(background=True, base=True, suppression=False),
    "suppression": Recipe(background=True, base=False, suppression=True),
    "full": Recipe(background=True, base=True, suppression=True),
}


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        BasnetError: there is none of this name.
    """
    check_names([name], RECIPES, "recipe")
    return RECIPES[name]


@dataclass(frozen=True)
class BasnetSettings(Settings):
    """Network and loss. The values below are those of the released code.

    Attributes:
        recipe: row of the ablation: which branches are trained.
        hidden: channels of both convolutions of the CAS head (model.py).
        filter_hidden: channels within the filter that makes foreground weights (model.py).
        dropout: share of hidden channels dropped before the last layer (model.py).
        slope: LeakyReLU's slope below zero (PyTorch's default, which the code uses).
        ratio: k of the top-k mean is ``max(1, rows // ratio)`` (model.py; r = 8 in the paper).
        alpha: weight of the norm of the foreground weights.
        class_divisor: the cross-entropy summed over classes is divided by this; None is the number
            of classes with background, i.e. the mean. With the mean, the gradient of 201 classes is
            ten times weaker than that of 21 against weight decay and norm; 21 keeps the balance of
            THUMOS'14 for any number of classes.
        norm: ``sum`` is the L1 norm over the T rows; ``mean`` is 750 times the mean over real rows,
            the same at T = 750, independent of a video's length elsewhere.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"norm": ("sum", "mean")}
    COUNTS = ("hidden", "filter_hidden", "ratio")

    recipe: str = "full"
    hidden: int = 2048
    filter_hidden: int = 512
    dropout: float = 0.7
    slope: float = 0.01
    ratio: int = 8
    alpha: float = 1e-4
    class_divisor: int | None = None
    norm: str = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        recipe(self.recipe)
        if not 0 <= self.dropout < 1:
            raise BasnetError(f"setting dropout is within [0, 1), not {self.dropout}")


# Each fix of the released code, as the settings it changes.
FIXES: dict[str, dict[str, Any]] = {
    # The released code overwrites the class score by 0 or 1 before it enters the ranking.
    "ranking": {"ranking": "softmax"},
    "contrast": {"contrast": "curve"},
    "nms": {"nms": "seconds"},
    "first": {"first": "kept"},
    "fallback": {"fallback": "argmax"},  # as the authors' later code
    "groups": {"groups": "sound"},
    "centre": {"centre": "centre"},
    "length": {"length": "pad", "segments": None},
    "norm": {"norm": "mean"},
    "unlabelled": {"unlabelled": "background"},
    "batches": {"batches": "epochs"},
}
# A video may hold no action at all, so `default` does not force a class upon it.
_DEFAULT_FIXES = tuple(name for name in FIXES if name != "fallback")

_OFFICIAL = Preset(
    "official",
    NAME,
    BasnetSettings(),
    TrainingSettings(
        segments=750,  # config.py
        length="repeat",
        steps=1500,  # the released command's learning rate list has 1500 entries
        batch=16,
        rate=1e-4,  # of Adam
        weight_decay=5e-4,  # main.py
        unlabelled="drop",
        batches="independent",  # what a lost iterator amounts to after the first epoch
    ),
    # Thresholds, samples per row, margin, gamma and suppression of config.py are the defaults of
    # DecodingSettings; the shortest proposal, 2 samples, is that of the authors' later code.
    DecodingSettings(
        ranking="binary",
        contrast="thresholded",
        nms="pixel",
        first="dropped",
        groups="any",
        centre="start",
    ),
)
_DEFAULT = _OFFICIAL.named(
    "default", **{key: value for name in _DEFAULT_FIXES for key, value in FIXES[name].items()}
)

PRESETS: dict[str, Preset] = {
    "official": _OFFICIAL,
    "default": _DEFAULT,
    # For CPUs: a quarter of the width and a fifth of the steps.
    "small": _DEFAULT.named("small", hidden=512, steps=300),
    # BaS-Net's own ActivityNet settings were never released. Others report that THUMOS settings
    # fail there because the cross-entropy is averaged over 101 or 201 classes, and that actions
    # span much of a video: CoLA's re-implementation (CORAL, its issue 86) goes from 1.0 to 24.7
    # average mAP with a tenfold action loss and to 27.3 with T = 200 over the whole video; CoLA
    # takes classes from .1 and NMS at .6; W-TALC smooths the activation; the authors' later code
    # takes 10 000 steps; thresholds up to .5 are those remembered of the paper. The smoothing
    # width, a twentieth of the video, is ours. None of it could be checked on ActivityNet here.
    "activitynet": _DEFAULT.named(
        "activitynet",
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
