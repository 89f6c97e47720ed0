"""Which video a name in a label, annotation or result file means."""

import difflib
import logging
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from basnet_e2e.errors import BasnetError
from extract.sources.find import VIDEO_SUFFIXES

log = logging.getLogger(__name__)
LISTED = 5
# Suffixes of feature files; those of videos are in extract.sources.find.
FEATURE_SUFFIXES = frozenset({".safetensors", ".npy", ".npz"})
# Published files of ActivityNet put this before the ids that its annotations use.
YOUTUBE = "v_"


class MatchKind(StrEnum):
    """How a name was found to mean the video of an id."""

    ID = "id"
    SUFFIX = "id plus suffix"
    ENDING = "the end of the path"
    BASE = "file name"


@dataclass(frozen=True)
class Matches:
    """Which names mean which video ids.

    Attributes:
        found: name -> id, in the order of the names.
        unknown: names that match no id.
        unnamed: ids that no name matches.
        kinds: name -> how it was matched, for the names in ``found``.
        ambiguous: name -> the ids that it could mean.
    """

    found: dict[str, str]
    unknown: tuple[str, ...]
    unnamed: tuple[str, ...]
    kinds: dict[str, MatchKind] = field(default_factory=dict)
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def report(self, what: str, source: str) -> None:
        """Log in one line how many names did not match by id; -v lists them.

        Args:
            what: what the names are, ``label``.
            source: file that holds the names.
        """
        counts = Counter(kind for kind in self.kinds.values() if kind is not MatchKind.ID)
        if not counts:
            return
        (first, count), *rest = counts.most_common()
        parts = [f"{counted(count, what)} matched by {first}"]
        parts += [f"{count} by {kind}" for kind, count in rest]
        log.info("%s: %s (-v lists them)", source, ", ".join(parts))
        for name, kind in self.kinds.items():
            if kind is not MatchKind.ID:
                log.debug("  '%s' is the video '%s', by %s", name, self.found[name], kind)


def match_ids(names: Iterable[str], ids: Iterable[str]) -> Matches:
    """Match names to ids as :func:`find_matches` does; an ambiguous name is an error.

    Raises:
        BasnetError: a name could mean several ids.
    """
    matches = find_matches(names, ids)
    for name, candidates in matches.ambiguous.items():
        raise BasnetError(ambiguous_message(name, candidates))
    return matches


def find_matches(names: Iterable[str], ids: Iterable[str]) -> Matches:
    """Match names to ids: by id, then id plus suffix, then by a whole ending or the file name.

    ``a/b.mp4`` means the id ``a/b``. A name with folders also means the one id that it ends in
    (``videos/a/b``, the path as a person sees it) or that ends in it, never one in another folder.
    A bare ``b`` means the one id whose last part it is. ``b`` and ``v_b`` are the same video. Names
    are compared in Unicode NFC. Several names may mean one id; callers decide whether that is an
    error.
    """
    known = list(dict.fromkeys(ids))
    index = _Index.of(known)
    found: dict[str, str] = {}
    kinds: dict[str, MatchKind] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    unknown = []
    for name in dict.fromkeys(names):
        kind, candidates = index.meanings(name)
        if len(candidates) == 1:
            found[name], kinds[name] = candidates[0], kind
        elif candidates:
            ambiguous[name] = tuple(candidates)
        else:
            unknown.append(name)
    named = set(found.values())
    unnamed = tuple(video_id for video_id in known if video_id not in named)
    return Matches(found, tuple(unknown), unnamed, kinds, ambiguous)


@dataclass(frozen=True)
class _Index:
    """Ids by their spelling in NFC, and by each whole ending (``c`` and ``b/c`` of ``a/b/c``).

    Attributes:
        exact: ids as they are.
        whole: spelling -> ids.
        endings: ending -> ids; the whole spelling is not among its endings.
    """

    exact: frozenset[str]
    whole: dict[str, list[str]]
    endings: dict[str, list[str]]

    @classmethod
    def of(cls, ids: Sequence[str]) -> "_Index":
        whole: dict[str, list[str]] = {}
        endings: dict[str, list[str]] = {}
        for video_id in ids:
            spelling = nfc(video_id)
            whole.setdefault(spelling, []).append(video_id)
            for ending in _endings(spelling):
                endings.setdefault(ending, []).append(video_id)
        return cls(frozenset(ids), whole, endings)

    def meanings(self, name: str) -> tuple[MatchKind, list[str]]:
        """Ids that a name can mean, and how it matched them."""
        if name in self.exact:
            return MatchKind.ID, [name]
        path = _plain(name)
        stem = without_suffix(path)
        for kind, spelling in (
            (MatchKind.ID, nfc(name)),
            (MatchKind.ID, path),
            (MatchKind.SUFFIX, stem),
        ):
            if spelling in self.whole:
                return kind, self.whole[spelling]
        kind = MatchKind.ENDING if "/" in path else MatchKind.BASE
        for spelling in (path, *_youtube_spellings(stem)):
            candidates = self._by_ending(spelling)
            if candidates:
                return kind, candidates
        return kind, []

    def _by_ending(self, spelling: str) -> list[str]:
        """Ids that are the spelling, end in it, or that it ends in."""
        found = [*self.whole.get(spelling, ()), *self.endings.get(spelling, ())]
        for ending in _endings(spelling):
            found.extend(self.whole.get(ending, ()))
        return list(dict.fromkeys(found))


def nfc(name: str) -> str:
    """Unicode NFC, in which names that look the same are equal."""
    return unicodedata.normalize("NFC", name)


def base_name(video_id: str) -> str:
    """Last part of an id: ``a/b`` gives ``b``."""
    return video_id.rsplit("/", 1)[-1]


def without_suffix(name: str) -> str:
    """The name without the suffix of a video or feature file, if it has one."""
    stem, dot, suffix = name.rpartition(".")
    known = f".{suffix.lower()}"
    return stem if dot and stem and known in VIDEO_SUFFIXES | FEATURE_SUFFIXES else name


def listing(names: Collection[str], most: int = LISTED) -> str:
    """The first few names and how many more there are: ``'a', 'b' and 7 more``."""
    first = ", ".join(f"'{name}'" for name in list(names)[:most])
    rest = len(names) - most
    return f"{first} and {rest} more" if rest > 0 else first


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 video``, ``2 videos``."""
    many = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun}" if number == 1 else f"{number} {many}"


def ambiguous_message(name: str, candidates: Collection[str]) -> str:
    """What to do about a name that could mean several ids."""
    return f"'{name}' could be {listing(candidates)}; write the path relative to the folder given"


def unknown_message(unknown: Collection[str], ids: Collection[str]) -> str:
    """Unknown names, each with the id it resembles: ``'vidoe_1' (did you mean 'video_1'?)``."""
    parts = []
    for name in list(unknown)[:LISTED]:
        near = nearest(name, ids)
        parts.append(f"'{name}'" if near is None else f"'{name}' (did you mean '{near}'?)")
    rest = len(unknown) - LISTED
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")


def nearest(name: str, ids: Iterable[str]) -> str | None:
    """The id most like a mistyped name, ignoring case; else the same file name elsewhere."""
    folded: dict[str, str] = {}
    bases: dict[str, str] = {}
    for video_id in ids:
        spelling = _folded(video_id)
        folded.setdefault(spelling, video_id)
        bases.setdefault(base_name(spelling), video_id)
    wanted = _folded(without_suffix(_plain(name)))
    near = difflib.get_close_matches(wanted, folded, n=1)
    return folded[near[0]] if near else bases.get(base_name(wanted))


def alike_classes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of class names that differ only in case, spaces, hyphens and underscores."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        key = "".join(part for part in _folded(name) if part not in " \t_-")
        groups.setdefault(key, []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _folded(name: str) -> str:
    return nfc(name).casefold()


def _plain(name: str) -> str:
    """A path as ids are written: NFC, ``/`` between parts, no ``.`` parts."""
    parts = nfc(name).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _endings(path: str) -> list[str]:
    """Whole endings shorter than the path: ``b/c`` and ``c`` of ``a/b/c``."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def _youtube_spellings(path: str) -> tuple[str, str, str]:
    """The path, and its last part with and without ``v_``."""
    folder, slash, base = path.rpartition("/")
    return path, f"{folder}{slash}{YOUTUBE}{base}", f"{folder}{slash}{base.removeprefix(YOUTUBE)}"
