"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real videos, features and detections; the test is skipped where it is absent."""
    folder = Path(os.environ.get("BASNET_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real test data not found in {folder} (set BASNET_TEST_DATA)")
    return folder
