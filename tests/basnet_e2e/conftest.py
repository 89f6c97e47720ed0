"""Fixtures for the tests of this package."""

import pytest

from basnet_e2e.cli import main


@pytest.fixture
def run(capfd):
    """Run a command; gives exit code, stdout and the lines of stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return ended.value.code, out, err.splitlines()

    return run


@pytest.fixture
def one_thread():
    """Networks as small as tests need lose more by waking a second thread than they gain."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
