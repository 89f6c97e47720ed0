"""Documents: their size, and that what they point to exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT, capture_output=True, text=True, check=False,
).stdout.split()  # fmt: skip
DOCUMENTS = [ROOT / name for name in LISTED if (ROOT / name).is_file()]
# Older entries of the change log name files that have moved since.
TOLD_OF_NOW = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]

pytestmark = pytest.mark.skipif(not DOCUMENTS, reason="not in a checkout")


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 200
    assert len(text.encode()) <= 10_000


@pytest.mark.parametrize("path", TOLD_OF_NOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_files_exist(path):
    text = path.read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    named = re.findall(r"`((?:basnet_e2e|extract|weights|tests)/[\w./]+)`", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_every_readme_can_be_found_from_the_first():
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        found.add(path)
        for link in re.findall(r"\]\(([^)#\s]+\.md)", path.read_text("utf-8")):
            target = (path.parent / link).resolve()
            if "://" not in link and target not in found:
                waiting.append(target)
    assert [path for path in TOLD_OF_NOW if path.name == "README.md" and path not in found] == []
