"""Fixtures of tests about decoding."""

import pytest


@pytest.fixture
def decord():
    """The decoder's module, loaded after torch (see ``extract.video.decord_decoder``)."""
    pytest.importorskip("torch")
    return pytest.importorskip("decord")
