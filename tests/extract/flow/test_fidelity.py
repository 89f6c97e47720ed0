"""The default flow against OpenCV's on real video; the full table is in benchmarks/flow.py."""

import cv2
import numpy as np
import pytest
import torch
from flow_reference import MOVING, PAIRS, length, opencv_flow, real_pairs, within_one_level

import extract


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of OpenCV and torch wait busily for each other where CPUs are shared."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


def test_the_list_covers_enough_real_video():
    assert len(PAIRS) >= 8
    assert sum(len(numbers) for _, numbers in PAIRS) >= 16


def test_flow_of_real_video_is_that_of_opencv(shared_data):
    rows = []
    for pair in real_pairs(shared_data, every=3):
        ours, theirs = extract.tvl1(pair.frames, device="cpu")[0], opencv_flow(pair.frames)
        apart, motion = length(ours - theirs).mean(), length(theirs).mean()
        rows.append((apart, motion, within_one_level(ours, theirs)))
    apart, motion, within = np.array(rows).T
    moving = motion > MOVING
    assert moving.sum() >= 3
    assert apart.mean() <= 0.10
    assert apart.max() <= 0.5
    assert apart[moving].mean() <= 0.10 * motion[moving].mean()
    assert within.mean() >= 0.95
