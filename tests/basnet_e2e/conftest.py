"""Fixtures for the tests of this package."""

import pytest
from browsers import Browser, start_browser
from published_tree import write_tree

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


@pytest.fixture
def tree(tmp_path):
    """Published features of 6 training and 4 test videos."""
    return write_tree(tmp_path / "data")


@pytest.fixture
def no_training(monkeypatch):
    """Call it, and a reproduction that trains from then on fails."""
    from basnet_e2e.reproduction import runs

    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    return lambda: monkeypatch.setattr(runs, "fit", refuse)


@pytest.fixture(scope="session")
def started_browser(tmp_path_factory):
    downloads = tmp_path_factory.mktemp("downloads")
    driver, reason = start_browser(downloads)
    if driver is None:
        pytest.skip(reason)
    yield Browser(driver, downloads)
    driver.quit()


@pytest.fixture
def browser(started_browser):
    """A browser in which nothing was chosen or downloaded before."""
    for path in started_browser.downloads.iterdir():
        path.unlink()
    return started_browser
