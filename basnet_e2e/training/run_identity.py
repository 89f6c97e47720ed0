"""What makes a training run: whether two of them are one, and where they differ."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from basnet_e2e.data.annotations.video_names import listing
from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.training.early_stopping import EarlyStopping
from basnet_e2e.training.holdout import Holdout
from basnet_e2e.training.validation import Validation
from weights.json_documents import Name, Number, Text, convert, parse_json


def run_identity(
    data: LabelledSet,
    preset: Preset,
    seed: int,
    validation: Validation | None,
    holdout: Holdout | None = None,
    stopping: EarlyStopping | None = None,
) -> dict[str, Any]:
    """All that a run's result depends on, as JSON values.

    Args:
        data: training videos; each is named with its labels, so that a change can be told.
        preset: the head and its settings, with ``segments`` resolved.
        seed: of weights, samples and dropout.
        validation: what the best step is chosen by.
        holdout: videos that were kept out of ``data``.
        stopping: what the run may be ended by.
    """
    return {
        **_settings(preset, seed, validation.identity if validation else None),
        "classes": list(data.classes),
        "videos": [
            [video.id, list(labels), video.digest]
            for video, labels in zip(data.videos, data.labels, strict=True)
        ],
        "times": times_digest(data),
        "holdout": held_out(holdout),
        "patience": stopping.patience if stopping else None,
    }


class _Held(Struct):
    share: Number
    data: Text


class _Identity(Struct):
    """What :func:`run_identity` gives, as a state file holds it; older ones lack some of it."""

    preset: dict[str, Any]
    classes: list[Name]
    videos: list[tuple[Name, list[Name], Text]]
    holdout: _Held | None = None


def read_identity(text: str) -> dict[str, Any]:
    """The identity of a run that was written as JSON.

    Raises:
        JsonError: it is damaged.
    """
    found: dict[str, Any] = parse_json(text)
    convert(found, _Identity, strict=True)
    return found


def held_out(holdout: Holdout | None) -> dict[str, Any] | None:
    """The videos kept out of a run, as JSON values: their share and a digest."""
    if holdout is None:
        return None
    return {"share": holdout.share, "data": data_digest(holdout.data)}


def model_identity(model: HeadModel) -> dict[str, Any]:
    """The same of a finished run, as far as its model records it: of the videos a digest."""
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
    """What tells these videos, labels and features from others."""
    digest = hashlib.sha256()
    for video, labels in zip(data.videos, data.labels, strict=True):
        digest.update(repr((video.id, tuple(labels), video.digest)).encode())
    return digest.hexdigest()


def times_digest(data: LabelledSet) -> str | None:
    """What tells these known times from others; None where there are none."""
    known = {video.id: data.times[video.id] for video in data.videos if video.id in data.times}
    return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest() if known else None


def run_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """First thing that differs, in words (``another seed (0 against 1)``); None where none does."""
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
    if before.get("patience") != now["patience"]:
        if now["patience"] is None:
            return "--stop-early, now without it"
        return "no --stop-early, now with it"
    if before.get("validation") != now["validation"]:
        if now["validation"] is None:
            return "--validate, now without it"
        if before.get("validation") is None:
            return "no --validate, now with it"
        return "other validation videos or intervals"
    return None


def _settings(preset: Preset, seed: int | None, validation: str | None) -> dict[str, Any]:
    return {
        "name": preset.name,
        "head": preset.head,
        "recipe": preset.recipe,
        # Which step is best depends on how a network is read; what it learns does not.
        "preset": preset.flat() if validation else preset.learnt(),
        "seed": seed,
        "validation": validation,
    }


def _setting_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """First setting that both have and that differs, but for the preset's name."""
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
