"""What a file of ours holds, without loading torch."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from safetensors import SafetensorError, safe_open

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.data.files.file_kinds import Kind, is_activitynet, kind_of
from basnet_e2e.data.files.model_metadata import parse_metadata
from basnet_e2e.data.files.text_files import convert, parse_json
from basnet_e2e.errors import BasnetError
from extract.errors import ExtractError
from extract.features.feature_file import read_meta
from weights.json_documents import Number, Text

# What to do with files of which nothing more is shown.
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
    """What a file is and what it records, as JSON values.

    Raises:
        BasnetError: the file is missing, cannot be read, or is of a kind that basnet does not know.
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
    raise BasnetError(f"{path}: {kind}, which basnet neither reads nor writes")


def _model(path: str | os.PathLike[str]) -> dict[str, Any]:
    meta = parse_metadata(path, _header(path)[0])
    return {key: value for key, value in meta.items() if key != "kind"}


def _features(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        meta = read_meta(path)
    except ExtractError as error:
        raise BasnetError(str(error)) from error
    _, shapes = _header(path)
    return {
        "rows": shapes.get("start", [0])[0],
        "widths": {name: shape[1] for name, shape in shapes.items() if len(shape) == 2},
        "settings": meta["settings"],
        "facts": meta.get("facts", {}),
    }


def _header(path: str | os.PathLike[str]) -> tuple[dict[str, str] | None, dict[str, list[int]]]:
    """Metadata of a safetensors file, and the shape of each tensor."""
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            names = list(file.keys())
            shapes = {name: list(file.get_slice(name).get_shape()) for name in names}
            return file.metadata(), shapes
    except (SafetensorError, OSError) as error:
        raise BasnetError(f"{path}: damaged ({error})") from error


class _Kept(Struct):
    """Which proposals a result holds."""

    keep: Text | None = None
    min_score: Number | None = None
    min_length: Number | None = None


def _result(path: str | os.PathLike[str]) -> dict[str, Any]:
    document = parse_json(path)
    results, failed = read_results(path, document)
    labels = Counter(found.label for result in results for found in result.intervals)
    activitynet = is_activitynet(document)
    details: dict[str, Any] = {
        "format": "activitynet" if activitynet else "json",
        "videos": len(results),
        "intervals": dict(labels.most_common()),
        "failed": [failure.video for failure in failed],
        "left": list(document.get("left", [])),
    }
    if not activitynet:
        details["models"] = sorted({result.model for result in results})
        details["seconds"] = round(sum(result.duration for result in results), 3)
    made = [result.made for result in results if result.made or not activitynet]
    kept = [asdict(each) for each in convert(path, made, list[_Kept], "$.made")]
    details["kept"] = [one for index, one in enumerate(kept) if one not in kept[:index]]
    return details


DETAILS: dict[Kind, Callable[[str | os.PathLike[str]], dict[str, Any]]] = {
    Kind.MODEL: _model,
    Kind.FEATURES: _features,
    Kind.RESULT: _result,
}
