"""What is handed out: pins that install where promised, one version, files that are there."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import basnet_e2e

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11.0", "3.12.0", "3.13.0")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    """Name and version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines)
    return found


def refused(requires: str | None) -> list[str]:
    """Pythons that a package's Requires-Python excludes."""
    return [python for python in PYTHONS if not SpecifierSet(requires or "").contains(python)]


def test_the_oldest_python_promised_is_the_one_looked_at() -> None:
    promised = SpecifierSet(PROJECT["project"]["requires-python"])
    assert promised.contains(PYTHONS[0])
    assert not promised.contains("3.10.99")


def test_what_a_package_refuses_is_seen() -> None:
    assert refused(">=3.11.5") == ["3.11.0"]
    assert refused(">=3.9,<3.13") == ["3.13.0"]
    assert refused(None) == []


def test_no_pin_refuses_a_python_that_is_promised() -> None:
    seen, bad = set(), {}
    for name, version in pins().items():
        try:
            package = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        if package["Version"].split("+")[0] != version:
            continue  # installed without the constraints
        seen.add(name)
        if wrong := refused(package["Requires-Python"]):
            bad[f"{name}=={version} ({package['Requires-Python']})"] = wrong
    if not seen:
        pytest.skip("nothing here is installed by constraints.txt")
    assert bad == {}


def test_every_direct_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {canonicalize_name(re.split(r"[\s\[<>=!~;]", line)[0]) for line in wanted}
    assert names <= {canonicalize_name(name) for name in pins()}


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert "version" in PROJECT["project"]["dynamic"]
    attribute = PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "basnet_e2e.version.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", basnet_e2e.__version__)


def test_every_entry_of_package_data_matches_a_file() -> None:
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        assert "py.typed" in patterns
        for pattern in patterns:
            assert list((ROOT / package).glob(pattern)), f"{package}: {pattern}"
