"""Channel numbers and tensor shapes of Inception-v1 I3D.

The numbers are those of Carreira and Zisserman, "Quo Vadis, Action Recognition?" (2017), figure 3,
which are GoogLeNet's. Names are those of the common PyTorch port (piergiaj/pytorch-i3d).
"""

# Name, output channels, (time, height, width) kernel of the convolutions before the first block.
STEM: tuple[tuple[str, int, int], ...] = (
    ("Conv3d_1a_7x7", 64, 7),
    ("Conv3d_2b_1x1", 64, 1),
    ("Conv3d_2c_3x3", 192, 3),
)

# Output channels of a block's six convolutions: b0 | b1a b1b | b2a b2b | b3b.
BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}

UNITS = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def scaled(channels: int, width: float) -> int:
    """``channels * width`` rounded up to a multiple of 8; the published number for width 1."""
    return -(-round(channels * width * 1000) // 8000) * 8


def block_output(channels: tuple[int, ...]) -> int:
    """Channels of a block's output: those of b0, b1b, b2b and b3b side by side."""
    return channels[0] + channels[2] + channels[4] + channels[5]


def convolutions(in_channels: int, width: float = 1.0) -> dict[str, tuple[int, int, int]]:
    """Every convolution before the logits: name -> (input channels, output channels, kernel).

    Kernels are cubes: one number is their size in time, height and width.
    """
    found: dict[str, tuple[int, int, int]] = {}
    channels = in_channels
    for name, out, kernel in STEM:
        found[name] = (channels, scaled(out, width), kernel)
        channels = scaled(out, width)
    for block, published in BLOCKS.items():
        c = tuple(scaled(n, width) for n in published)
        inputs = (channels, channels, c[1], channels, c[3], channels)
        kernels = (1, 1, 3, 1, 3, 1)
        for unit, source, out, kernel in zip(UNITS, inputs, c, kernels, strict=True):
            found[f"{block}.{unit}"] = (source, out, kernel)
        channels = block_output(c)
    return found


def shapes(in_channels: int, classes: int, width: float = 1.0) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network's state dict but the 57 batch counters."""
    found: dict[str, tuple[int, ...]] = {}
    for name, (source, out, k) in convolutions(in_channels, width).items():
        found[f"{name}.conv3d.weight"] = (out, source, k, k, k)
        found.update({f"{name}.bn.{part}": (out,) for part in BATCH_NORM})
    dimension = block_output(tuple(scaled(n, width) for n in BLOCKS["Mixed_5c"]))
    found["logits.conv3d.weight"] = (classes, dimension, 1, 1, 1)
    found["logits.conv3d.bias"] = (classes,)
    return found
