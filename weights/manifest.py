"""The manifest: the known networks, what their files must hold, where the files come from."""

import difflib
import functools
import re
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct, field

from weights.errors import WeightsError
from weights.formats.libraries import torchvision_weights
from weights.sources.download import Content

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "manifest.toml"
CLASS_PATTERNS = {"charades": "c{:03d}", "numbered": "class {:03d}"}
TORCHVISION = "torchvision"
TRANSFORMERS = "transformers"
HUB = "https://huggingface.co"
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")


class Origin(Struct, frozen=True):
    """One source of a network's file, as the manifest states it.

    Attributes:
        origin: short name of the source.
        kind: ``package``, ``url``, ``torchvision``, ``hub`` or ``import``.
        given_file: the file's name there; None if torchvision states it.
        url: its address, or its name in torchvision or on the hub; None for a package.
        size: bytes of the file; None if unknown, as each of the next two.
        sha256: its hash, or the beginning if only that was published.
        git_blob: Git's id of its content.
        project: for a package, its name; the file is its source archive.
        member: path of the weights in the archive.
        member_sha256: their hash.
    """

    origin: str
    kind: str
    given_file: str | None = field(default=None, name="file")
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    git_blob: str | None = None
    project: str = ""
    member: str = ""
    member_sha256: str = ""

    @property
    def fetchable(self) -> bool:
        """Whether the file can be downloaded and checked."""
        if self.kind in (TORCHVISION, "hub"):  # which state the hash of each file
            return True
        return self.kind in ("package", "url") and self.content.known

    @property
    def address(self) -> str:
        """Where the file is; torchvision knows the addresses of its own weights."""
        if self.url is None:
            return "the package index"
        if self.kind == "hub":
            return f"{HUB}/{self.url}"
        return self.url if self.kind != TORCHVISION else str(torchvision_weights(self.url).url)

    @property
    def file(self) -> str:
        """The file's name there."""
        return self.given_file or self.address.rpartition("/")[2]

    @property
    def content(self) -> Content:
        """Size and hashes of the file; torchvision puts the beginning of its sha256 in its name."""
        if self.kind != TORCHVISION:
            return Content(self.size, self.sha256, self.git_blob)
        found = HASH_IN_NAME.search(self.file)
        return Content(sha256=found[1] if found else None)

    def __str__(self) -> str:
        if self.kind == "package":
            return f"{self.file} from the package index"
        return f"torchvision's {self.url}" if self.kind == TORCHVISION else f"{self.url}"


class Network(Struct, frozen=True):
    """One stream of one named network.

    Attributes:
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        title: what it is.
        trained_on: data it was trained on.
        licence: SPDX name of the weights' licence; words if none is stated with them.
        architecture: which tensors its file must hold, see `weights.weights_file.convert`.
        channels: input channels.
        classes: width of its classifier; 0 if it has none or the file states it.
        class_names: file of class names beside the manifest, or how to make them.
        preprocessing: what its input must be, in words.
        metric: its published accuracy, in words; empty if torchvision states it.
        bundled: file beside the manifest, or None.
        sources: where its file comes from, best first.
    """

    name: str
    stream: str
    title: str
    trained_on: str
    licence: str
    architecture: str
    channels: int
    preprocessing: str
    metric: str
    classes: int = 0
    class_names: str = ""
    bundled: str | None = None
    sources: tuple[Origin, ...] = field(default=(), name="source")

    @property
    def model(self) -> str | None:
        """Its name on the model hub if it is a model of transformers."""
        return self.sources[0].url if self.architecture == TRANSFORMERS else None

    @property
    def accuracy(self) -> str:
        """Its published accuracy in words."""
        if self.metric:
            return self.metric
        data, figures = next(
            iter(torchvision_weights(self.sources[0].url or "").meta["_metrics"].items())
        )
        return f"{data}: top-1 {figures['acc@1']:.1f}, top-5 {figures['acc@5']:.1f}"

    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits; empty if they are in the file itself."""
        if not self.class_names:
            return ()
        if pattern := CLASS_PATTERNS.get(self.class_names):
            return tuple(pattern.format(n) for n in range(self.classes))
        if self.class_names == TORCHVISION:
            return tuple(torchvision_weights(self.sources[0].url or "").meta["categories"])
        lines = (HERE / self.class_names).read_text(encoding="utf-8").splitlines()
        return tuple(line for line in lines if line)


@functools.cache
def networks() -> tuple[Network, ...]:
    """All networks of the manifest, in its order."""
    with open(MANIFEST, "rb") as file:
        return msgspec.convert(tomllib.load(file)["network"], tuple[Network, ...])


def network(name: str, stream: str) -> Network:
    """The manifest's entry of a stream.

    Raises:
        WeightsError: there is none; the message names the nearest and all known names.
    """
    for entry in networks():
        if (entry.name, entry.stream) == (name, stream):
            return entry
    streams = [entry.stream for entry in networks() if entry.name == name]
    if streams:
        raise WeightsError(f"{name} has no {stream} stream, only {' and '.join(streams)}")
    names = list(dict.fromkeys(entry.name for entry in networks()))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise WeightsError(f"no network '{name}'{hint} (known: {', '.join(names)})")
