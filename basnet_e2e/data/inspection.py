"""What one of our files holds, without loading what it computes with."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_predictions, read_results
from basnet_e2e.data.files.file_kinds import Kind, basnet_metadata, kind_of, tensor_header
from basnet_e2e.data.files.text_files import parse_json
from basnet_e2e.errors import BasnetError

# What reads the kinds of files of which no more is said here.
READ_BY = {
    Kind.WEIGHTS: "see 'basnet weights list'",
    Kind.ARRAYS: "'basnet train' and 'basnet localize' read features from such files",
    Kind.ANNOTATIONS: "'basnet evaluate --ground-truth' reads it",
    Kind.LABELS: "'basnet train --labels' reads it",
    Kind.TABLE: "'basnet export intervals --format csv' writes such files",
    Kind.SUBTITLES: "'basnet export intervals --format srt' writes such files",
    Kind.FAILURES: "videos that failed, beside the features or results of the others",
    Kind.REPORT: "of 'basnet reproduce'",
    Kind.PICTURE: "as 'basnet report --picture' draws them",
    Kind.TRAINING_LOG: "'basnet report --picture training' draws it",
    Kind.PAGE: "a browser shows it",
    Kind.EVIDENCE: "'basnet report' reads it with the result beside it",
    Kind.VIDEO: "'basnet localize' and 'basnet extract' read it",
}


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file is and what it says of itself, as JSON values.

    Raises:
        BasnetError: there is no such file, it cannot be read, or it is none of ours.
    """
    if Path(path).is_dir():
        raise BasnetError(f"{path}: is a folder; name one of its files")
    try:
        kind = kind_of(path)
    except FileNotFoundError as error:
        raise BasnetError(f"{path}: no such file") from error
    except OSError as error:
        raise BasnetError(f"{path}: cannot be read ({error.strerror})") from error
    if kind in DETAILS:
        return {"file": os.fspath(path), "kind": kind.name.lower(), **DETAILS[kind](path)}
    if kind in READ_BY:
        return {"file": os.fspath(path), "kind": kind.name.lower(), "use": READ_BY[kind]}
    raise BasnetError(f"{path}: {kind}, none that basnet reads or writes")


def _header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    header = tensor_header(path) or {}
    end = max((entry["data_offsets"][1] for name, entry in _tensors(header).items()), default=0)
    with open(path, "rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
    if os.path.getsize(path) != begin + end:
        raise BasnetError(f"{path}: damaged, its size is not what its header says")
    return header, basnet_metadata(header)


def _tensors(header: dict[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def _model(path: str | os.PathLike[str]) -> dict[str, Any]:
    _, meta = _header(path)
    return {key: value for key, value in meta.items() if key != "kind"}


def _features(path: str | os.PathLike[str]) -> dict[str, Any]:
    header, meta = _header(path)
    shapes = {name: entry["shape"] for name, entry in _tensors(header).items()}
    return {
        "rows": shapes["start"][0] if "start" in shapes else 0,
        "widths": {name: shape[1] for name, shape in shapes.items() if len(shape) == 2},
        "settings": meta["settings"],
        "facts": meta.get("facts", {}),
    }


def _result(path: str | os.PathLike[str]) -> dict[str, Any]:
    document = parse_json(path)
    predictions = read_predictions(path)
    labels = Counter(found.label for kept in predictions.videos.values() for found in kept)
    details: dict[str, Any] = {
        "format": "activitynet" if "results" in document else "json",
        "videos": len(predictions.videos),
        "intervals": dict(labels.most_common()),
        "failed": list(predictions.failed),
        "left": list(document.get("left", [])),
    }
    made = list((document.get("external_data") or {}).get("made", {}).values())
    if details["format"] == "json":
        results, _ = read_results(path)
        made = [result.made for result in results]
        details["models"] = sorted({result.model for result in results})
        details["seconds"] = round(sum(result.duration for result in results), 3)
    kept = [{key: one.get(key) for key in ("keep", "min_score", "min_length")} for one in made]
    details["kept"] = [one for index, one in enumerate(kept) if one not in kept[:index]]
    return details


DETAILS: dict[Kind, Callable[[str | os.PathLike[str]], dict[str, Any]]] = {
    Kind.MODEL: _model,
    Kind.FEATURES: _features,
    Kind.RESULT: _result,
}
