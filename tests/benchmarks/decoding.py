"""Frames per second of both decoders and of the resize, and the memory that a long video takes.

python tests/benchmarks/decoding.py VIDEO...
"""

import resource
import sys
import time

import torch

from extract.errors import ExtractError
from extract.preprocessing.torch_ops import resize_short_side
from extract.video.clip import open_video


def measure(path: str, decoder: str) -> float:
    """Grid frames per second of processor time, with the resize; printed with its parts."""
    wall, begin = time.perf_counter(), time.process_time()
    with open_video(path, decoder) as clip:
        opened = time.process_time()
        resized, count = 0.0, clip.frame_count()
        for _, frame in clip.frames():
            start = time.process_time()
            resize_short_side(torch.from_numpy(frame)[None], 256)
            resized += time.process_time() - start
    spent = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{path} {clip.size[0]}x{clip.size[1]} {decoder}: {count / spent:.0f} frames per second of "
        f"processor time ({time.perf_counter() - wall:.1f} s wall; opening {opened - begin:.2f} s, "
        f"resize {1e3 * resized / count:.2f} ms a frame), peak memory {memory:.0f} MB"
    )
    return count / spent


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            ratio = measure(name, "decord") / measure(name, "pyav")
            print(f"{name}: decord / pyav {ratio:.2f}")
        except ExtractError as error:
            print(error)
