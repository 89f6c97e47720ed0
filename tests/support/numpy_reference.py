"""What `extract.preprocessing` computes on tensors, once more by numpy."""

import numpy as np


def scale_rgb(record, pictures):
    """Pictures ``[..., 3]`` of 0..255 to what the network was trained on (I3D: [-1, 1])."""
    deviation = np.array(record.deviation)
    scale, shift = 1 / (255 * deviation), np.array(record.mean) / deviation
    return pictures * scale.astype(np.float32) - shift.astype(np.float32)


def quantize_flow(flow, mode="uint8"):
    """Clip, round to 256 levels and scale, as DeepMind's flow network was trained."""
    values = np.clip(np.asarray(flow, dtype=np.float32), -20, 20)
    if mode == "none":
        return values / np.float32(20)
    levels = np.rint((values + np.float32(20)) * np.float32(255 / 40))
    return levels * np.float32(2 / 255) - np.float32(1)
