"""The metadata of a model file: classes, settings, features it needs, how it was trained."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from basnet_e2e.errors import BasnetError
from extract.features.metadata import FeatureSettings
from weights.json_documents import Count, JsonError, Name, Number, Text, convert, decode_json

FORMAT_VERSION = 2
METADATA_KEY = "basnet"
KIND = "head"
Width = Annotated[int, Meta(ge=1, le=1_000_000)]


class Validation(Struct):
    """The step kept by its score on validation videos."""

    step: Count
    average_map: Number


class Stopping(Struct):
    """The step kept by its loss on videos held out."""

    step: Count
    loss: Number


class Holdout(Struct):
    """How well the labels of videos held out were recognised."""

    share: Number | None = None
    videos: Count = 0
    map: Number = 0.0
    chance: Number = 0.0


class TrainingSummary(Struct):
    """What is recorded of a training run."""

    videos: Count
    unlabelled: Count
    steps: Count
    loss: Number
    seed: int | None = None
    per_class: list[Count] | None = None
    validation: Validation | None = None
    stopping: Stopping | None = None
    holdout: Holdout | None = None
    times: list[str] = []
    times_digest: str | None = None


class PresetParts(Struct):
    """A preset of today's form; its head checks the settings of each part."""

    name: Name
    head: Name
    own: dict[str, Any]
    training: dict[str, Any]
    reading: dict[str, Any]


class _Metadata(Struct):
    classes: Annotated[list[Name], Meta(min_length=1)]
    features: Width
    extractor: FeatureSettings
    training: TrainingSummary | None
    members: Annotated[int, Meta(ge=1, le=100)] | None = None


class _Current(_Metadata, kw_only=True):
    streams: list[Width]
    settings: PresetParts


class _First(_Metadata, kw_only=True):
    """Format 1, from before heads had names: settings are side by side, the recipe apart."""

    preset: dict[str, Any]
    recipe: Text


def parse_metadata(
    path: str | os.PathLike[str], metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    """Check what a model file says of itself.

    Args:
        path: the file, for the message.
        metadata: of the safetensors file.

    Returns:
        The metadata as it is in the file, of format 1 or 2.

    Raises:
        BasnetError: the file is not a model, of another version, or damaged.
    """
    try:
        meta: dict[str, Any] = decode_json((metadata or {})[METADATA_KEY], dict[str, Any])
    except (KeyError, JsonError) as error:
        raise BasnetError(
            f"{path}: not a model file of basnet (made by another program?); give the file that "
            "'basnet train -o' wrote"
        ) from error
    if meta.get("kind") != KIND:
        what = "a feature file" if "settings" in meta else "another file"
        raise BasnetError(f"{path}: {what}, not a model file; give what 'basnet train -o' wrote")
    if meta.get("format") not in (1, FORMAT_VERSION):
        raise BasnetError(
            f"{path}: model format {meta.get('format')} is not one of those this version reads "
            f"(up to {FORMAT_VERSION}); train the model again, or use the version that wrote it"
        )
    try:
        found = convert(
            meta | {"training": meta.get("training") or None},
            _First if meta["format"] == 1 else _Current,
            strict=True,
        )
        counts = None if found.training is None else found.training.per_class
        if counts is not None and len(counts) != len(found.classes):
            raise JsonError("its counts of videos are not those of its classes")
    except JsonError as error:
        raise BasnetError(f"{path}: damaged model file ({error}); train it again") from error
    return meta
