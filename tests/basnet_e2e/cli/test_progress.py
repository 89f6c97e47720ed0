"""Lines of progress in a log."""

from basnet_e2e.cli.messages import set_up_messages
from basnet_e2e.cli.terminal import progress
from basnet_e2e.cli.terminal.progress import StepProgress


def test_time_left_is_that_of_the_work_and_not_of_what_came_before(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    set_up_messages(0, quiet=False)
    bar = StepProgress("train")
    now[0] = 100.0  # a network is loaded, 500 steps were done by an earlier run
    bar.update(500, 1500)
    now[0] = 120.0
    bar.update(700, 1500)
    bar.begin("second")
    now[0] = 140.0
    bar.update(1, 3)
    now[0] = 160.0
    bar.update(2, 3, "a note")
    assert capsys.readouterr().err.splitlines() == [
        "train: 500/1500",
        "train: 700/1500, 1:20 left",
        "second: 1/3",
        "second: 2/3, 0:20 left, a note",
    ]
