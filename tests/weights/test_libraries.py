import sys
from pathlib import Path

import pytest

from weights import WeightsError
from weights.formats.libraries import import_torchvision, torchvision_network


@pytest.fixture
def other_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torchvision that fails as one of CUDA does beside a torch of the CPU."""
    package = tmp_path / "torchvision"
    package.mkdir()
    text = "raise RuntimeError('operator torchvision::nms does not exist\\nmore')\n"
    (package / "__init__.py").write_text(text, encoding="utf-8")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("other_build")
def test_a_torchvision_of_another_build_is_told_in_a_line() -> None:
    with pytest.raises(WeightsError) as caught:
        torchvision_network("mvit_v2_s", 400)
    text = str(caught.value)
    assert "(operator torchvision::nms does not exist): it was built for another torch" in text
    assert "pip install --force-reinstall torch torchvision" in text
    assert "\n" not in text
    assert caught.value.exit_code == 2


def test_the_one_installed_is_given_back() -> None:
    assert hasattr(import_torchvision().models.video, "mvit_v2_s")
