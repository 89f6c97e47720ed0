"""What a file is, by its content: a model, features, a result, labels or something else."""

import os
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Any

from extract.sources.find import VIDEO_SUFFIXES
from weights.formats.safetensors_header import LENGTH, header_length, header_metadata
from weights.json_documents import JsonError, decode_json

PAGE_MARK = '<meta name="generator" content="basnet report">'
HEAD = 4096  # bytes that tell text, tables and arrays apart


class Kind(StrEnum):
    """Kinds of files that the commands read and write, as messages name them."""

    MODEL = "a model"
    FEATURES = "features"
    WEIGHTS = "network weights"
    TENSORS = "tensors of another program"
    ARRAYS = "arrays"
    RESULT = "a result"
    ANNOTATIONS = "annotated intervals"
    FAILURES = "a list of failures"
    REPORT = "a report"
    TRAINING_LOG = "a training log"
    PICTURE = "a picture"
    PAGE = "a page of a report"
    EVIDENCE = "evidence of a result"
    LABELS = "labels"
    TABLE = "a table of intervals"
    SUBTITLES = "subtitles"
    BUDGET = "a time budget"
    PROJECT = "a document of another tool"
    VIDEO = "a video"
    EMPTY = "an empty file"
    OTHER = "a file of another kind"


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """What a file is; a damaged one is ``OTHER``.

    Only a video is recognised by its suffix; decoding it shows whether it can be read.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not head:
        return Kind.EMPTY
    meta = tensor_metadata(path)
    if meta is not None:
        return _kind_of_tensors(meta)
    if head.startswith(b"\x93NUMPY") or (head.startswith(b"PK\x03\x04") and _holds_arrays(path)):
        return Kind.ARRAYS
    if _is_picture(head):
        return Kind.PICTURE
    if Path(path).suffix.lower() in VIDEO_SUFFIXES:
        return Kind.VIDEO
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return _kind_of_json(path)
    return _kind_of_text(head.decode("utf-8-sig", "replace"))


def tensor_metadata(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a safetensors file says of itself under our key; None for any other file.

    Files of other programs say nothing: an empty dictionary.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(LENGTH)
            length = header_length(start)
            if length > os.path.getsize(path) - LENGTH:
                return None
            metadata = header_metadata(start + file.read(length))
    except JsonError:
        return None
    try:
        return decode_json(metadata["basnet"], dict[str, Any])
    except (KeyError, JsonError):
        return {}


def is_result(document: Any) -> bool:
    """Whether a JSON document is a result, our own or ActivityNet-style."""
    return is_own_result(document) or is_activitynet(document)


def is_own_result(document: Any) -> bool:
    """Whether a JSON document is our own result, of one video or of several."""
    return isinstance(document, dict) and (
        {"video", "intervals"} <= document.keys() or isinstance(document.get("videos"), list)
    )


def is_activitynet(document: Any) -> bool:
    """Whether a JSON document holds ActivityNet-style detections."""
    return isinstance(document, dict) and isinstance(document.get("results"), dict)


def _kind_of_tensors(meta: dict[str, Any]) -> Kind:
    if meta.get("kind") == "head":
        return Kind.MODEL
    if meta.get("kind") == "evidence":
        return Kind.EVIDENCE
    if "settings" in meta:
        return Kind.FEATURES
    return Kind.WEIGHTS if {"name", "stream"} <= meta.keys() else Kind.TENSORS


def _is_picture(head: bytes) -> bool:
    """PNG, PDF or SVG."""
    if head.startswith((b"\x89PNG\r\n", b"%PDF-", b"<svg")):
        return True
    return head.startswith(b"<?xml") and b"<svg" in head


def _holds_arrays(path: str | os.PathLike[str]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _kind_of_json(path: str | os.PathLike[str]) -> Kind:
    try:
        document = decode_json(Path(path).read_bytes(), dict[str, Any])
    except JsonError:
        return Kind.OTHER
    if is_result(document):
        return Kind.RESULT
    if isinstance(document.get("database"), dict):
        return Kind.ANNOTATIONS
    if document.keys() == {"failed"}:
        return Kind.FAILURES
    compared = {"recipes", "heads"} & document.keys()
    return Kind.REPORT if "benchmark" in document and compared else Kind.OTHER


def _kind_of_text(text: str) -> Kind:
    if text.startswith("<!doctype html>") and PAGE_MARK in text:
        return Kind.PAGE
    lines = text.split("\n", 2)
    columns = [name.strip().lower() for name in lines[0].split(",")]
    if {"video", "label", "start", "end"} <= set(columns):
        # Annotated by hand, which nothing may replace, unless it has scores.
        return Kind.TABLE if "score" in columns else Kind.ANNOTATIONS
    if columns[:2] == ["video", "labels"]:
        return Kind.LABELS
    if columns[:4] == ["video", "label", "bouts", "total"]:
        return Kind.BUDGET
    if columns[:2] == ["step", "loss"]:
        return Kind.TRAINING_LOG
    if lines[0].strip() == "WEBVTT":
        return Kind.SUBTITLES
    cue = len(lines) > 1 and lines[0].strip().isdigit() and " --> " in lines[1]
    return Kind.SUBTITLES if cue else Kind.OTHER
