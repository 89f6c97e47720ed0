"""What a file is, told by its content: a model, features, a result, labels, or something else."""

import json
import os
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Any

from extract.sources.find import VIDEO_SUFFIXES

HEADER_LIMIT = 100_000_000  # bytes; the format's own limit for a safetensors header
PAGE_MARK = '<meta name="generator" content="basnet report">'
HEAD = 4096  # bytes that tell text, tables and arrays apart


class Kind(StrEnum):
    """Kinds of files that the commands read and write, in words for a message."""

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
    PROJECT = "a document of another tool"
    VIDEO = "a video"
    EMPTY = "an empty file"
    OTHER = "a file of another kind"


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """What a file is; a damaged one is ``OTHER``.

    Only a video is told by its suffix: whether one can be decoded shows when it is.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not head:
        return Kind.EMPTY
    header = tensor_header(path)
    if header is not None:
        return _kind_of_tensors(header)
    if head.startswith(b"\x93NUMPY") or (head.startswith(b"PK\x03\x04") and _holds_arrays(path)):
        return Kind.ARRAYS
    if _is_picture(head):
        return Kind.PICTURE
    if Path(path).suffix.lower() in VIDEO_SUFFIXES:
        return Kind.VIDEO
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return _kind_of_json(path)
    return _kind_of_text(head.decode("utf-8-sig", "replace"))


def tensor_header(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Header of a safetensors file (tensors, ``__metadata__``); None for any other file.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= min(HEADER_LIMIT, os.path.getsize(path) - 8):
            return None
        text = file.read(size)
    try:
        header = json.loads(text)
    except ValueError:
        return None
    return header if isinstance(header, dict) else None


def basnet_metadata(header: dict[str, Any]) -> dict[str, Any]:
    """What a safetensors file says of itself under our key; empty for other programs' files."""
    try:
        meta = json.loads(header["__metadata__"]["basnet"])
    except (KeyError, TypeError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _kind_of_tensors(header: dict[str, Any]) -> Kind:
    meta = basnet_metadata(header)
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
        document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except ValueError:
        return Kind.OTHER
    if isinstance(document.get("results"), dict) or isinstance(document.get("videos"), list):
        return Kind.RESULT
    if {"video", "intervals"} <= document.keys():
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
    if columns[:2] == ["step", "loss"]:
        return Kind.TRAINING_LOG
    if lines[0].strip() == "WEBVTT":
        return Kind.SUBTITLES
    cue = len(lines) > 1 and lines[0].strip().isdigit() and " --> " in lines[1]
    return Kind.SUBTITLES if cue else Kind.OTHER
