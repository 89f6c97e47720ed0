import os
from pathlib import Path

import pytest

from basnet_e2e.localization.video_failures import failure_message
from extract.errors import VideoError
from extract.sources.urls import Url


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (VideoError("https://***@host/a.mp4?***: damaged"), "https://***@host/a.mp4?***: damaged"),
        (
            ValueError("404 at https://me:secret@host/a.mp4?token=T"),
            "ValueError: 404 at https://***@host/a.mp4?***",
        ),
        (OSError(5, "no part of it"), "https://***@host/a.mp4?***: no part of it"),
    ],
)
def test_a_failure_shows_no_credentials(error, expected):
    url = Url("https://me:secret@host/a.mp4?token=T")
    assert failure_message(error, url) == expected


def test_a_failure_of_a_name_that_is_not_utf8_can_be_written():
    path = Path(os.fsdecode(b"caf\xe9.mp4"))
    assert failure_message(VideoError(f"{path}: damaged"), path) == "caf%E9.mp4: damaged"
    assert failure_message(ValueError("damaged"), path) == "caf%E9.mp4: ValueError: damaged"
