"""What arrives is what was sent, however late a copy is made."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.pipeline import transfer


class LateCopies:
    """Copies at the last moment that is allowed: when the buffer is asked for again."""

    def __init__(self):
        self.open = []
        self.buffers = 0

    def buffer(self, size):
        self.buffers += 1
        return torch.full((size,), 255, dtype=torch.uint8)

    def send(self, staged):
        there = torch.zeros_like(staged)

        def wait():
            if wait in self.open:
                self.open.remove(wait)
                there.copy_(staged)

        self.open.append(wait)
        return there, wait

    def fetch(self, rows):
        here = torch.zeros_like(rows)
        return here, lambda: here.copy_(rows)


CHUNKS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), max_size=12)


@given(CHUNKS)
@settings(max_examples=100, deadline=None)
def test_a_buffer_is_not_written_while_it_is_copied(chunks):
    copies = LateCopies()
    send = transfer.StagedTransfer(copies).up
    random = np.random.default_rng(0)
    given, found = [], []
    for count, height, width in chunks:
        frames = list(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8))
        given.append(np.stack(frames))
        found.append(send(frames))
        assert len(copies.open) <= 2
    for wait in list(copies.open):
        wait()
    for sent, there in zip(given, found, strict=True):
        np.testing.assert_array_equal(there.numpy(), sent)


def test_two_buffers_serve_a_whole_video():
    copies = LateCopies()
    send = transfer.StagedTransfer(copies).up
    for count in (5, 5, 5, 5, 5, 3):
        send([np.zeros((4, 4, 3), np.uint8)] * count)
    assert copies.buffers == 2


def test_a_processor_needs_no_copy():
    frames = [np.full((2, 3, 3), n, np.uint8) for n in range(4)]
    found = transfer.transfer_with(torch.device("cpu")).up(frames)
    np.testing.assert_array_equal(found.numpy(), np.stack(frames))


def test_features_are_read_when_they_are_there():
    rows = torch.arange(6.0).view(2, 3)
    for way in (transfer.StagedTransfer(LateCopies()), transfer.Transfer(torch.device("cpu"))):
        np.testing.assert_array_equal(way.down(rows)(), rows.numpy())


@pytest.mark.parametrize(
    ("height", "width", "length"), [(1080, 1920, 5), (4320, 7680, 1), (9, 16, 64)]
)
def test_chunks_are_bounded_and_hold_a_frame_at_least(height, width, length):
    frame = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (height, width, 3), (0, 0, 0))
    assert transfer.chunk_length(frame) == length
