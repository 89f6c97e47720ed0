"""The metadata of a feature file: settings of the features, facts about the video."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from extract.errors import ExtractError
from extract.sources.urls import Url
from weights.json_documents import JsonError, Name, Positive, Text, convert, decode_json

FORMAT_VERSION = 1
METADATA_KEY = "basnet"
Step = Annotated[int, Meta(ge=1, le=1_000_000)]


class Flow(Struct, frozen=True):
    """How flow was computed; the method's parameters are beside its name."""

    method: Name = "tvl1"


class FeatureSettings(Struct, frozen=True):
    """How features were made, as far as readers use it; a model records the same.

    Array files have only a grid, streams and dimensions.
    """

    fps: Annotated[str, Meta(pattern=r"^[1-9]\d{0,8}(/[1-9]\d{0,8})?$")] = "25"
    length: Step = 16
    stride: Step = 16
    streams: list[Name] = []
    dimensions: dict[str, Step] = {}
    backbone: Name | None = None
    weights: dict[str, Text | None] = {}
    flow: Flow | None = None
    quantize: Text | None = None
    precision: Text | None = None


class FeatureFacts(Struct, frozen=True):
    """Facts about the video and the programs used."""

    file: Text = ""
    fingerprint: Text = ""
    duration: Positive | None = None
    source_fps: Positive | None = None
    size: tuple[Step, Step] | None = None
    decoder: Text | None = None
    engine: Text | None = None
    runtime: Text | None = None
    partial: Text | None = None


class _Metadata(Struct):
    settings: FeatureSettings
    facts: FeatureFacts = FeatureFacts()


def parse_metadata(
    path: str | os.PathLike[str] | Url, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    """Check the metadata of a safetensors file, and return ``{"settings": ..., "facts": ...}``.

    Raises:
        ExtractError: it is not a feature file, of another version, or damaged; it names ``path``.
    """
    try:
        meta: dict[str, Any] = decode_json((metadata or {})[METADATA_KEY], dict[str, Any])
        if meta.get("kind") == "head":
            raise ExtractError(f"{path}: a model, not a feature file")
        version = meta["settings"]["format"]
    except (KeyError, TypeError, JsonError) as error:
        raise ExtractError(
            f"{path}: not a feature file of basnet (made by another program?)"
        ) from error
    if version != FORMAT_VERSION:
        raise ExtractError(
            f"{path}: feature format {version} is not the {FORMAT_VERSION} this version reads; "
            "extract the video again"
        )
    try:
        convert(meta, _Metadata, strict=True)
    except JsonError as error:
        raise ExtractError(f"{path}: damaged metadata, {error}; extract the video again") from error
    return meta
