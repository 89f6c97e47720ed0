"""Published figures to compare with: those of the paper's poster, and of the methods it names.

All figures are percent. A protocol fixes the thresholds and the data of a benchmark; figures for
other data are for scale only, and the tables say so.
"""

from dataclasses import dataclass, field

THUMOS_TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ACTIVITYNET_TIOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
# In the order of the paper's table, each step adding a part.
RECIPE_TITLES = {
    "baseline": "Baseline",
    "base": "Base branch",
    "suppression": "Suppression branch",
    "full": "BaS-Net",
}
HEAD_TITLES = {
    "basnet": "BaS-Net",
    "plus": "Plus",
    "untrimmednet": "UntrimmedNet",
    "hide-and-seek": "Hide-and-Seek",
    "stpn": "STPN",
    "autoloc": "AutoLoc",
    "wtalc": "W-TALC",
    "cmcs": "CMCS (Liu et al.)",
    "maan": "MAAN",
}


@dataclass(frozen=True)
class Published:
    """Published figures of a head.

    Attributes:
        features: those it was published with, as people name them.
        figures: mAP in percent at ``Protocol.shown``, then the average; None if not published.
    """

    features: str
    figures: tuple[float | None, ...]


@dataclass(frozen=True)
class Method:
    """A row of the paper's comparison.

    Attributes:
        name: as the paper writes it.
        figures: mAP in percent at the thresholds of ``Protocol.compared``, then the average; None
            if not in the paper.
        full: trained with start and end times of every action.
    """

    name: str
    figures: tuple[float | None, ...]
    full: bool = False


@dataclass(frozen=True)
class Protocol:
    """How a data set is evaluated, and the figures published for it.

    Attributes:
        name: as on the command line.
        title: as people write it.
        preset: default settings of training.
        tious: thresholds of the average.
        shown: thresholds with a column in the ablation table.
        compared: thresholds with a column in the comparison.
        classes: number of classes.
        videos: number of training and test videos behind the published figures.
        ablation: recipe -> mAP in percent at ``shown``, then the average.
        background: recipe -> F-measure of background detection in [0, 1].
        methods: the comparison.
        heads: published figures of the heads.
    """

    name: str
    title: str
    preset: str
    tious: tuple[float, ...]
    shown: tuple[float, ...]
    compared: tuple[float, ...]
    classes: int
    videos: tuple[int, int]
    ablation: dict[str, tuple[float, ...]]
    background: dict[str, float]
    methods: tuple[Method, ...]
    heads: dict[str, Published] = field(default_factory=dict)


_THUMOS = Protocol(
    name="thumos14",
    title="THUMOS'14",
    preset="official",
    tious=THUMOS_TIOUS,
    shown=THUMOS_TIOUS,
    compared=(0.1, 0.5),
    classes=20,
    videos=(200, 210),
    ablation={
        "baseline": (32.3, 25.2, 19.8, 15.9, 12.0, 8.7, 4.7, 1.4, 0.2, 13.4),
        "base": (28.5, 23.0, 18.1, 13.7, 9.2, 5.8, 2.7, 0.8, 0.1, 11.3),
        "suppression": (49.1, 42.5, 33.5, 26.0, 18.6, 12.8, 6.2, 2.0, 0.5, 21.2),
        "full": (58.2, 52.3, 44.6, 36.0, 27.0, 18.6, 10.4, 3.9, 0.5, 27.9),
    },
    background={"base": 0.541, "suppression": 0.775, "full": 0.846},
    methods=(
        Method("TAL-Net", (None, 42.8, None), full=True),
        Method("Action Search", (None, 11.1, None), full=True),
        Method("BSN", (None, 36.9, None), full=True),
        Method("GTAN", (None, 38.8, None), full=True),
        Method("STAR (frame counts)", (None, 23.0, None)),
        Method("UntrimmedNet", (44.4, 13.7, None)),
        Method("Hide-and-seek", (36.4, 6.8, None)),
        Method("STPN (UNT)", (45.3, 16.2, None)),
        Method("AutoLoc", (None, 21.2, None)),
        Method("W-TALC (UNT)", (49.0, 18.8, None)),
        Method("Liu et al. (UNT)", (53.5, 19.9, None)),
        Method("BaS-Net (UNT)", (56.2, 25.1, None)),
        Method("STPN (I3D)", (52.0, 16.9, None)),
        Method("W-TALC (I3D)", (55.2, 22.8, None)),
        Method("MAAN", (59.8, 20.3, None)),
        Method("Liu et al. (I3D)", (57.4, 23.1, None)),
        Method("BaS-Net (I3D)", (58.2, 27.0, 27.9)),
    ),
    heads={
        name: Published(features, (*figures, *(None,) * (10 - len(figures))))
        for name, features, figures in (
            ("basnet", "I3D", (58.2, 52.3, 44.6, 36.0, 27.0, 18.6, 10.4, 3.9, 0.5, 27.9)),
            ("untrimmednet", "UNT", (44.4, 37.7, 28.2, 21.1, 13.7)),
            ("hide-and-seek", "not stated", (36.4, 27.8, 19.5, 12.7, 6.8)),
            ("stpn", "I3D", (52.0, 44.7, 35.5, 25.8, 16.9, 9.9, 4.3)),
            ("autoloc", "UNT", (None, None, 35.8, 29.0, 21.2, 13.4, 5.8)),
            ("wtalc", "I3D", (55.2, 49.6, 40.1, 31.1, 22.8, None, 7.6)),
            ("cmcs", "I3D", (57.4, 50.8, 41.2, 32.1, 23.1, 15.0, 7.0)),
            ("maan", "I3D", (59.8, 50.8, 41.1, 30.6, 20.3, 12.0, 6.9)),
        )
    },
)


_METHOD_HEADS = {
    "STPN": "stpn",
    "AutoLoc": "autoloc",
    "W-TALC": "wtalc",
    "Liu et al.": "cmcs",
    "MAAN": "maan",
}


def _activitynet(
    version: str,
    classes: int,
    videos: tuple[int, int],
    ours: tuple[float, ...],
    methods: tuple[Method, ...],
) -> Protocol:
    return Protocol(
        name=f"activitynet{version.replace('.', '')}",
        title=f"ActivityNet {version}",
        preset="activitynet",
        tious=ACTIVITYNET_TIOUS,
        shown=(0.5, 0.75, 0.95),
        compared=(0.5, 0.75, 0.95),
        classes=classes,
        videos=videos,
        ablation={"full": ours},
        background={},
        methods=(*methods, Method("BaS-Net", ours)),
        heads={
            "basnet": Published("I3D", ours),
            **{
                _METHOD_HEADS[each.name]: Published("not stated", each.figures)
                for each in methods
                if each.name in _METHOD_HEADS
            },
        },
    )


# Training and validation videos as released; about a thousand are no longer available.
_ACTIVITYNET_12 = _activitynet(
    "1.2",
    100,
    (4819, 2383),
    (38.5, 24.2, 5.6, 24.3),
    (
        Method("SSN", (41.3, 27.0, 6.1, 26.6), full=True),
        Method("AutoLoc", (27.3, 15.1, 3.3, 16.0)),
        Method("W-TALC", (37.0, None, None, 18.0)),
        Method("Liu et al.", (36.8, 22.0, 5.6, 22.4)),
    ),
)
_ACTIVITYNET_13 = _activitynet(
    "1.3",
    200,
    (10024, 4926),
    (34.5, 22.5, 4.9, 22.2),
    (
        Method("TAL-Net", (38.2, 18.3, 1.3, 20.2), full=True),
        Method("BSN", (52.5, 33.5, 8.9, 33.7), full=True),
        Method("GTAN", (52.6, 34.1, 8.9, 34.3), full=True),
        Method("STAR (frame counts)", (31.1, 18.8, 4.7, None)),
        Method("STPN", (29.3, 16.9, 2.6, None)),
        Method("MAAN", (33.7, 21.9, 5.5, None)),
        Method("Liu et al.", (34.0, 20.9, 5.7, 21.2)),
    ),
)

PROTOCOLS = {each.name: each for each in (_THUMOS, _ACTIVITYNET_12, _ACTIVITYNET_13)}
