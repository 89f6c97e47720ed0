"""Ctrl-C and SIGTERM reach the main thread, and only those children that want them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from extract.machine.stop_signals import Terminated, sigterm_as_ctrl_c, stops_blocked

CALLBACK = ctypes.CFUNCTYPE(None)
MASK = "import signal; print(*sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"


class InDestructor:
    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


def in_callback(number):
    CALLBACK(lambda: os.kill(os.getpid(), number))()


BOTH = pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)


@BOTH
def test_a_stop_waits_while_torch_would_abort(monkeypatch, number, error):
    spec = SimpleNamespace(_initializing=True)
    monkeypatch.setitem(sys.modules, "torch.distributed", SimpleNamespace(__spec__=spec))
    with sigterm_as_ctrl_c():
        os.kill(os.getpid(), number)
        time.sleep(0.2)
        spec._initializing = False
        with pytest.raises(error):
            time.sleep(600)


@BOTH
@pytest.mark.parametrize("swallow", [in_callback, InDestructor])
def test_a_stop_that_python_swallows_comes_again(number, error, swallow, capfd):
    """LLVM calls Python while it compiles, and what is raised there is lost."""
    with sigterm_as_ctrl_c(), pytest.raises(error) as caught:  # noqa: PT012
        swallow(number)
        time.sleep(600)
    assert caught.type is error
    assert capfd.readouterr().err == ""


def test_other_errors_that_python_swallows_are_reported(monkeypatch):
    found = []
    monkeypatch.setattr("sys.unraisablehook", found.append)

    def fail():
        raise RuntimeError("a bug")

    with sigterm_as_ctrl_c():
        CALLBACK(fail)()
    assert found[0].exc_type is RuntimeError


def test_sigterm_counts_once():
    with sigterm_as_ctrl_c(), pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
    with sigterm_as_ctrl_c():
        with pytest.raises(Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal masks there")
def test_children_do_not_see_the_stops_of_their_parent():
    with stops_blocked():
        child = subprocess.run([sys.executable, "-c", MASK], stdout=subprocess.PIPE, check=True)
    assert child.stdout.split() == [b"2", b"15"]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
