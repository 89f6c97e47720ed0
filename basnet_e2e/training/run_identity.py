"""What the result of a training run depends on, and in what two runs differ."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from basnet_e2e.data.annotations.video_names import listing
from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.data.features.sampling import segments_for
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.training.early_stopping import EarlyStopping
from basnet_e2e.training.holdout import Holdout
from basnet_e2e.training.validation import Validation
from weights.json_documents import Name, Number, Text, convert, parse_json

Monitor = Validation | EarlyStopping


@dataclass(frozen=True)
class RunInputs:
    """All that the result of a training run depends on.

    Attributes:
        data: training videos that were checked by :func:`usable`.
        preset: the head and its settings; by default T follows from the videos.
        seed: of weights, samples and dropout.
        holdout: videos that were kept out of ``data``; it only tells runs apart.
        monitor: evaluates the network now and then for the best step.
    """

    data: LabelledSet
    preset: Preset
    seed: int = 0
    holdout: Holdout | None = None
    monitor: Monitor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "preset", with_segments(self.preset, self.data))

    def identity(self) -> dict[str, Any]:
        """The inputs as JSON values; each video is named, so that a change can be reported."""
        monitor = self.monitor
        validation = monitor.identity if isinstance(monitor, Validation) else None
        return {
            **_settings(self.preset, self.seed, validation),
            "classes": list(self.data.classes),
            "videos": [
                [video.id, list(labels), video.digest]
                for video, labels in zip(self.data.videos, self.data.labels, strict=True)
            ],
            "times": times_digest(self.data),
            "holdout": holdout_identity(self.holdout),
            "patience": monitor.patience if isinstance(monitor, EarlyStopping) else None,
        }


def with_segments(preset: Preset, data: LabelledSet) -> Preset:
    """The preset with T as a number: by default that of the videos."""
    lengths = [len(video.x) for video in data.videos]
    return preset.changed(segments=segments_for(lengths, preset.training.segments))


class _Held(Struct):
    share: Number
    data: Text


class _Identity(Struct):
    """An identity in a state file; older files lack some of it."""

    preset: dict[str, Any]
    classes: list[Name]
    videos: list[tuple[Name, list[Name], Text]]
    holdout: _Held | None = None


def read_identity(text: str) -> dict[str, Any]:
    """The identity of a run from JSON.

    Raises:
        JsonError: it is damaged.
    """
    found: dict[str, Any] = parse_json(text)
    convert(found, _Identity, strict=True)
    return found


def holdout_identity(holdout: Holdout | None) -> dict[str, Any] | None:
    """The videos held out of a run as JSON values: their share and a digest."""
    if holdout is None:
        return None
    return {"share": holdout.share, "data": data_digest(holdout.data)}


def model_identity(model: HeadModel) -> dict[str, Any]:
    """The identity of a finished run as its model records it: of the videos only a digest."""
    training = model.training
    chosen, held = training.get("validation"), training.get("holdout")
    return {
        **_settings(model.preset, training.get("seed"), chosen and chosen.get("videos")),
        "classes": list(model.classes),
        "videos": training.get("data"),
        "times": training.get("times_digest"),
        "holdout": held and {name: held.get(name) for name in ("share", "data")},
        "patience": (training.get("stopping") or {}).get("patience"),
    }


def data_digest(data: LabelledSet) -> str:
    """SHA-256 of the videos, their labels and features."""
    digest = hashlib.sha256()
    for video, labels in zip(data.videos, data.labels, strict=True):
        digest.update(repr((video.id, tuple(labels), video.digest)).encode())
    return digest.hexdigest()


def times_digest(data: LabelledSet) -> str | None:
    """SHA-256 of the known times; None if there are none."""
    known = {video.id: data.times[video.id] for video in data.videos if video.id in data.times}
    return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest() if known else None


def run_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first difference in words (``another seed (0 against 1)``); None if there is none."""
    for name in ("head", "recipe", "seed"):
        if before.get(name) != now[name]:
            return f"another {name} ({before.get(name)} against {now[name]})"
    setting = _setting_difference(before.get("preset") or {}, now["preset"])
    if setting is not None and before.get("name") != now["name"]:
        return f"another preset ({before.get('name')} against {now['name']})"
    if before.get("classes") != now["classes"]:
        then = before.get("classes") or []
        return f"other classes ({_names(then)} against {_names(now['classes'])})"
    held, holds = before.get("holdout") or {}, now["holdout"] or {}
    if held.get("share") != holds.get("share"):
        return f"another share held out ({_share(held)} against {_share(holds)})"
    # Before single settings, since T follows the videos.
    if before.get("videos") != now["videos"]:
        return _video_difference(before.get("videos"), now["videos"])
    if before.get("times") != now["times"]:
        return "other known intervals, points or unknown stretches"
    if setting is not None:
        return setting
    if held != holds:
        return "other videos held out, or other labels or features of them"
    for name, option in (("patience", "--stop-early"), ("validation", "--validate")):
        if before.get(name) == now[name]:
            continue
        if now[name] is None:
            return f"{option}, now without it"
        if before.get(name) is None:
            return f"no {option}, now with it"
        return f"other {name}" if name == "patience" else "other validation videos or intervals"
    return None


def _settings(preset: Preset, seed: int | None, validation: str | None) -> dict[str, Any]:
    return {
        "name": preset.name,
        "head": preset.head,
        "recipe": preset.recipe,
        # Which step is best depends on the decoding settings; what a network learns does not.
        "preset": preset.flat() if validation else preset.learnt(),
        "seed": seed,
        "validation": validation,
    }


def _setting_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting of both that differs, the preset's name aside."""
    for name in sorted(before.keys() & now.keys() - {"name"}):
        if before[name] != now[name]:
            return f"another {name} ({_short(before[name])} against {_short(now[name])})"
    return None


def _video_difference(before: Any, now: Sequence[Sequence[Any]]) -> str:
    if not isinstance(before, list):
        return "other videos, labels or features"
    then = {video: (labels, digest) for video, labels, digest in before}
    here = {video: (labels, digest) for video, labels, digest in now}
    gone = [video for video in then if video not in here]
    new = [video for video in here if video not in then]
    if gone or new:
        parts = [f"then also {listing(gone)}"] if gone else []
        parts += [f"now also {listing(new)}"] if new else []
        return f"other videos ({'; '.join(parts)})"
    relabelled = [video for video in then if then[video][0] != here[video][0]]
    if relabelled:
        first = relabelled[0]
        rest = f", and of {len(relabelled) - 1} more" if len(relabelled) > 1 else ""
        labels = f"{_names(then[first][0])} against {_names(here[first][0])}"
        return f"other labels of '{first}' ({labels}){rest}"
    remade = [video for video in then if then[video] != here[video]]
    if remade:
        return f"other features of {listing(remade)}"
    return "another order of the videos"


def _names(names: Sequence[str]) -> str:
    return listing(names) if names else "none"


def _share(held: Mapping[str, Any]) -> str:
    return f"{held['share']:g}" if held.get("share") is not None else "none"


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
