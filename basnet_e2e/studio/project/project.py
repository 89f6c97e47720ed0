"""What people said of all videos, as files that every command reads: the studio's only state."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from basnet_e2e.data.annotations.video_names import ambiguous_message, find_matches, nfc
from basnet_e2e.data.files.text_files import json_text, read_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.annotation import Annotation, annotation_of
from basnet_e2e.studio.project.documents import Documents
from basnet_e2e.studio.project.tables import label_text, saved_labels, saved_spans, span_text

LABELS, INTERVALS, CLASSES, STUDIO = "labels.csv", "intervals.csv", "classes.txt", "studio.json"
FEATURES, RESULTS = "features", "results"
MODEL, PREVIOUS = "model.safetensors", "model.previous.safetensors"
HELD_OUT_EVERY = 4  # of the corrected videos one is kept for checking the model
LONGEST_NAME = 200
DEFAULT_FEATURES = {"backbone": "i3d", "streams": ["rgb"], "stride": 16}


class _Settings(Struct):
    """``studio.json``: what no table holds."""

    colours: dict[str, Annotated[int, Meta(ge=0, le=10_000)]] = {}
    held_out: list[str] = []
    features: dict[str, str | int | list[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> "_Settings":
        path = folder / STUDIO
        return read_json(path, cls) if path.is_file() else cls()


class StaleError(BasnetError):
    """A change was based on something that no longer exists."""


@dataclass(frozen=True)
class Content:
    """All that people said.

    Attributes:
        videos: id -> annotation; names that mean no video are kept as they are written.
        classes: in the order in which they are shown.
        colours: class -> its place in the palette, which it keeps.
        held_out: videos that the model is checked on and never learns from.
        features: how features are made: ``backbone``, ``streams``, ``stride``.
    """

    videos: Mapping[str, Annotation] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    colours: Mapping[str, int] = field(default_factory=dict)
    held_out: frozenset[str] = frozenset()
    features: Mapping[str, Any] = field(default_factory=dict)

    def of(self, video: str) -> Annotation:
        """What is known of a video."""
        return self.videos.get(video, Annotation())


class Project:
    """The files of one project; all methods may be called from any thread.

    Args:
        folder: it is made.
        features: how features are made, of a new project.

    Attributes:
        content: what the files say.
        problem: why a file cannot be read; nothing is written while there is one.
        revision: rises with every change.
        changed: id -> revision of its last change.
    """

    def __init__(self, folder: Path, features: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._files = Documents(folder, (LABELS, INTERVALS, CLASSES, STUDIO))
        self._lock = threading.RLock()
        self._ids: tuple[str, ...] = ()
        self._stamps: object = None
        self._undo: tuple[str, Content, int] | None = None
        self._renamed: dict[str, str | None] = {}
        self.content = Content(features=dict(features or {}))
        self.problem: str | None = None
        self.revision = 1
        self.changed: dict[str, int] = {}
        self.refresh()
        if not (folder / STUDIO).is_file() and self.problem is None:
            self._save(self.content)  # how features are made holds from the first one on

    def refresh(self, ids: Iterable[str] | None = None) -> None:
        """Read what another program has changed.

        Args:
            ids: of the videos, where they have changed.
        """
        with self._lock:
            stamps = self._files.stamps()
            if ids is not None and tuple(ids) != self._ids:
                self._ids, self._stamps = tuple(ids), None
            if stamps == self._stamps:
                return
            self._stamps = stamps
            try:
                content, problem = self._read(), None
            except BasnetError as error:
                content, problem = self.content, str(error)
            if (content, problem) != (self.content, self.problem):
                self.problem = problem
                self._take(content)

    def _read(self) -> Content:
        labels, spans = (
            self._by_id(read(self.folder / name))
            for read, name in ((saved_labels, LABELS), (saved_spans, INTERVALS))
        )
        videos = {
            video: Annotation(labels.get(video), spans.get(video)).consistent()
            for video in dict.fromkeys([*labels, *spans])
        }
        path = self.folder / CLASSES
        listed = path.read_text("utf-8-sig").splitlines() if path.is_file() else []
        named = (label for each in videos.values() for label in each.labels or ())
        classes = tuple(dict.fromkeys([*(nfc(each.strip()) for each in listed), *named]))
        kept = _Settings.read(self.folder)
        return Content(
            videos,
            tuple(name for name in classes if name),
            _with_colours(kept.colours, classes),
            frozenset(kept.held_out),
            {**self.content.features, **kept.features},
        )

    def _by_id(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Rows by the id of their video; names of no video stay."""
        matches = find_matches(rows, self._ids)
        for name, candidates in matches.ambiguous.items():
            raise BasnetError(ambiguous_message(name, candidates))
        found: dict[str, Any] = {}
        for name, row in rows.items():
            video = matches.found.get(name, name)
            if video in found:
                raise BasnetError(f"{self.folder}: the video '{video}' is named in two ways")
            found[video] = row
        return found

    # Changes -------------------------------------------------------------------------------------

    def annotate(self, video: str, document: Any, based_on: str, duration: float | None) -> str:
        """Replace what is known of a video; on the disk when this returns.

        Args:
            video: id.
            document: as :meth:`Annotation.to_json` gives it.
            based_on: version of the annotation that was changed.
            duration: seconds of the video, where known.

        Returns:
            The new version.

        Raises:
            StaleError: the annotation has changed since.
            BasnetError: the document is not an annotation.
        """
        with self._lock:
            self._check()
            content = self.content
            names = [*content.classes, *self._renamed]
            new = annotation_of(document, names, duration).renamed(self._renamed)
            old = content.of(video)
            if old.version not in (based_on, new.version):
                raise StaleError(f"{video} was changed elsewhere")
            held_out = content.held_out
            if new.state == "corrected" and old.state != "corrected":
                count = sum(each.state == "corrected" for each in content.videos.values()) + 1
                if count % HELD_OUT_EVERY == 0:
                    held_out |= {video}
            videos = {**content.videos, video: new}
            self._save(replace(content, videos=videos, held_out=held_out))
            return new.version

    def hold_out(self, video: str, held_out: bool) -> None:
        """Keep a video for checking, or let the model learn from it."""
        with self._lock:
            self._check()
            kept = self.content.held_out | {video} if held_out else self.content.held_out - {video}
            self._save(replace(self.content, held_out=kept))
            self._touch([video])

    def add_class(self, name: str) -> None:
        """Add a class; one that is there already stays.

        Raises:
            BasnetError: no name for a class.
        """
        with self._lock:
            self._check()
            name = _class_name(name)
            self._renamed.pop(name, None)
            classes = tuple(dict.fromkeys([*self.content.classes, name]))
            colours = _with_colours(self.content.colours, classes)
            self._save(replace(self.content, classes=classes, colours=colours))

    def rename_class(self, old: str, new: str | None) -> int:
        """Rename a class in every file; to the name of another one, both become one.

        Args:
            old: its name.
            new: other name; None removes it with all its intervals.

        Returns:
            Number of videos that changed.

        Raises:
            StaleError: the class no longer exists.
            BasnetError: no name for a class.
        """
        with self._lock:
            self._check()
            content = self.content
            if old not in content.classes:
                raise StaleError(f"the class '{old}' no longer exists")
            new = None if new is None else _class_name(new)
            videos = {id: each.renamed({old: new}) for id, each in content.videos.items()}
            listed = (new if name == old else name for name in content.classes)
            classes = tuple(dict.fromkeys(name for name in listed if name is not None))
            colours = dict(content.colours)
            colour = colours.pop(old)
            if new is not None:
                colours.setdefault(new, colour)
            self._save(replace(content, videos=videos, classes=classes, colours=colours))
            if new != old:
                done = f"'{old}' removed" if new is None else f"'{old}' is now '{new}'"
                self._undo = (done, content, self.revision)
                self._renamed = {k: new if v == old else v for k, v in self._renamed.items()}
                self._renamed[old] = new
            return sum(content.of(id) != each for id, each in videos.items())

    @property
    def can_undo(self) -> str | None:
        """What :meth:`undo` takes back; None once something else has changed."""
        undo = self._undo
        return undo[0] if undo and undo[2] == self.revision else None

    def undo(self) -> None:
        """Take the last change of classes back.

        Raises:
            StaleError: something else has changed since.
        """
        with self._lock:
            self._check()
            if self._undo is None or self.can_undo is None:
                raise StaleError("something else has changed since")
            self._renamed = {}
            self._save(self._undo[1])
            self._undo = None

    def _check(self) -> None:
        self.refresh()
        if self.problem:
            raise BasnetError(f"{self.problem}; nothing is saved until this file is put right")

    def _save(self, content: Content) -> None:
        empty = _texts(Content())
        texts = {
            name: text
            for name, text in _texts(content).items()
            if text != empty[name] or (self.folder / name).is_file()
        }
        read = _texts(self.content)
        self._files.write(texts, {name: read[name] for name in (LABELS, INTERVALS)})
        self._stamps = self._files.stamps()
        self._take(content)

    def _take(self, content: Content) -> None:
        old, self.content = self.content, content
        every = {*old.videos, *content.videos}
        self._touch(id for id in every if old.of(id) != content.of(id))

    def _touch(self, videos: Iterable[str]) -> None:
        self.revision += 1
        for video in videos:
            self.changed[video] = self.revision


def settings_of(folder: Path, **how: Any) -> dict[str, Any]:
    """How the features of a project are made.

    Args:
        folder: the project; it need not be there yet.
        how: what the user asks for: ``backbone``, ``streams``, ``stride``; None where nothing.

    Raises:
        BasnetError: the project's features are made otherwise.
    """
    kept = _Settings.read(folder).features
    for name, value in how.items():
        wanted = list(value) if isinstance(value, tuple) else value
        if wanted is not None and kept.get(name, wanted) != wanted:
            raise BasnetError(
                f"{folder}: the features of this project are made with {name} {kept[name]}, not "
                f"{wanted}; name another project with -o"
            )
        if wanted is not None:
            kept[name] = wanted
    return {**DEFAULT_FEATURES, **kept}


def _texts(content: Content) -> dict[str, str]:
    """The files, by name."""
    studio = {
        "version": 1,
        "held_out": sorted(content.held_out),
        "colours": dict(content.colours),
        "features": dict(content.features),
    }
    return {
        LABELS: label_text(content.videos),
        INTERVALS: span_text(content.videos),
        CLASSES: "".join(f"{name}\n" for name in content.classes),
        STUDIO: json_text(studio),
    }


def _with_colours(colours: Mapping[str, int], classes: Iterable[str]) -> dict[str, int]:
    """A place in the palette for every class; those that have one keep it."""
    found = dict(colours)
    for name in classes:
        if name not in found:
            taken = set(found.values())
            found[name] = next(place for place in range(len(taken) + 1) if place not in taken)
    return found


def _class_name(name: str) -> str:
    plain = nfc(" ".join(str(name).split()))
    if not plain or ";" in plain or len(plain) > LONGEST_NAME or not plain.isprintable():
        raise BasnetError("a class has a name of one line, without ';'")
    return plain
