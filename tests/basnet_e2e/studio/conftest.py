"""Fixtures for the tests of the studio."""

import shutil

import pytest

from basnet_e2e.demo.footage.collection import Collection, video_path

COUNT = 8


@pytest.fixture(scope="session")
def footage(tmp_path_factory):
    """Eight generated videos, and what happens in each: id -> [(label, start, end)]."""
    folder = tmp_path_factory.mktemp("footage")
    collection = Collection(training=COUNT, test=0)
    known = {}
    for number in range(COUNT):
        collection.write_one(folder, "train", number)
        path = video_path(folder, "train", number)
        script = collection.timeline("train", number)
        known[path.stem] = [(each.label, each.start, each.end) for each in script.occurrences]
    return path.parent, known


@pytest.fixture
def videos(footage, tmp_path):
    """A folder of these videos, to add to and to take from."""
    return shutil.copytree(footage[0], tmp_path / "videos")
