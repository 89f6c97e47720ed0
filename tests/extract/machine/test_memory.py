"""How much memory there is: of the machine, of a container, of a scheduler's job."""

import pytest

from extract.machine import memory
from extract.machine.memory import free_memory, memory_of_machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A tree of control groups in which this process is in ``/job/step``."""
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/job/step\n")
    monkeypatch.setattr(memory, "GROUPS", str(tmp_path))
    monkeypatch.setattr(memory, "GROUP_LIMITS", (str(tmp_path / "memory.max"),))
    monkeypatch.setattr(memory, "OWN_GROUP", str(tmp_path / "cgroup"))
    return tmp_path


@pytest.mark.parametrize("group", ["", "job", "job/step"])
def test_the_lowest_limit_of_the_groups_counts(groups, group):
    whole = memory_of_machine()
    assert whole > 1 << 28
    for each in ("job", "job/step"):
        (groups / each / "memory.max").write_text("max\n")
    assert memory_of_machine() == whole
    (groups / group / "memory.max").write_text("1000\n")
    assert memory_of_machine() == 1000
    assert free_memory() in (1000, 500)


def test_a_system_that_does_not_tell_has_an_unknown_size(groups, monkeypatch):
    monkeypatch.delattr("os.sysconf")
    assert memory_of_machine() is None
    assert free_memory() is None
