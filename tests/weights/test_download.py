import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests

from weights import WeightsError
from weights.sources import download
from weights.sources.download import Content, fetch

DATA = bytes(range(256)) * 20_000
SHA = hashlib.sha256(DATA).hexdigest()
BLOB = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest()
CONTENT = Content(len(DATA), SHA, BLOB)


def get(server: Any, folder: Path, content: Content = CONTENT) -> Path:
    return fetch(requests.Session(), f"{server.address}/net.pt", content, folder, "net.pt")


@pytest.mark.parametrize(
    "content",
    [CONTENT, Content(sha256=SHA), Content(git_blob=BLOB), Content(sha256=SHA[:8])],
    ids=["all", "sha256", "git blob", "beginning of sha256"],
)
def test_a_file_is_fetched_and_checked(server: Any, tmp_path: Path, content: Content) -> None:
    server.files["/net.pt"] = DATA
    assert get(server, tmp_path, content).read_bytes() == DATA
    assert server.requests == [("/net.pt", None)]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (Content(len(DATA) + 1, SHA), f"has {len(DATA)} bytes, expected {len(DATA) + 1}"),
        (Content(sha256="0" * 64), f"sha256 is {SHA}, expected {'0' * 64}"),
        (Content(git_blob="0" * 40), f"git blob id is {BLOB}, expected {'0' * 40}"),
    ],
)
def test_a_wrong_file_is_refused_with_both_values(
    server: Any, tmp_path: Path, content: Content, value: str
) -> None:
    server.files["/net.pt"] = DATA
    with pytest.raises(WeightsError, match=value):
        get(server, tmp_path, content)
    assert not list(tmp_path.iterdir())


def test_a_cut_transfer_goes_on_where_it_was_cut(server: Any, tmp_path: Path) -> None:
    server.files["/net.pt"] = DATA
    server.cuts = [1_000_000, 2_000_000]
    assert get(server, tmp_path).read_bytes() == DATA
    offsets = [int(asked.split("=")[1][:-1]) for _, asked in server.requests if asked]
    assert len(offsets) == 2
    assert 0 < offsets[0] <= 1_000_000
    assert offsets[0] < offsets[1] <= 3_000_000


def test_a_later_run_goes_on_from_what_is_there(server: Any, tmp_path: Path) -> None:
    server.files["/net.pt"] = DATA
    server.cuts = [700_000, 0, 0, 0]
    with pytest.raises(WeightsError, match="could not be downloaded: "):
        get(server, tmp_path)
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".part")
    server.cuts, server.requests = [], []
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.requests[0][1] is not None


def test_a_server_without_ranges_starts_again(server: Any, tmp_path: Path) -> None:
    server.files["/net.pt"] = DATA
    server.ranges, server.cuts = False, [500_000]
    assert get(server, tmp_path).read_bytes() == DATA
    assert len(server.requests) == 2  # what came whole is not put behind the part


def test_a_stale_part_is_thrown_away(server: Any, tmp_path: Path) -> None:
    server.files["/net.pt"] = DATA
    for stale in (b"something else" * 100, b"x" * len(DATA), b"x" * (len(DATA) + 5)):
        (tmp_path / f"{CONTENT.key}.part").write_bytes(stale)
        assert get(server, tmp_path).read_bytes() == DATA


def test_a_part_longer_than_the_file_of_unknown_size(server: Any, tmp_path: Path) -> None:
    server.files["/net.pt"] = DATA
    content = Content(git_blob=BLOB)
    (tmp_path / f"{content.key}.part").write_bytes(b"x" * (len(DATA) + 5))
    assert get(server, tmp_path, content).read_bytes() == DATA


def test_a_missing_file_says_so(server: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="404"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_an_address_that_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        fetch(requests.Session(), "http://127.0.0.1:9/x", CONTENT, tmp_path, "net.pt")
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_what_came(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/net.pt"] = DATA
    real = open

    def cramped(path: Path, mode: str) -> Any:
        file = real(path, mode)

        class Cramped:
            def __enter__(self) -> "Cramped":
                return self

            def __exit__(self, *args: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: bytes) -> int:
                if file.tell() + len(data) > 3_000_000:
                    file.write(data[: 3_000_000 - file.tell()])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(data)

        return Cramped()

    monkeypatch.setattr(download, "open", cramped, raising=False)
    with pytest.raises(OSError, match="the disk is full") as caught:
        get(server, tmp_path)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    server.requests.clear()
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.requests == [("/net.pt", "bytes=3000000-")]


def test_a_proxy_of_the_environment_is_used(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.address)
    server.files["/net.pt"] = DATA
    url = "http://weights.invalid/net.pt"
    assert fetch(requests.Session(), url, CONTENT, tmp_path, "net.pt").read_bytes() == DATA
    assert server.count("/net.pt") == 1
