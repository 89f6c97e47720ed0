"""A made-up network in every key format, and a web server that can misbehave."""

import contextlib
import hashlib
import http.server
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_manifest import ENTRY, lines
from safetensors.numpy import save_file

from weights import manifest
from weights.formats.architectures import shapes
from weights.manifest import networks

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def published() -> Tensors:
    """A full-size rgb network of made-up numbers under piergiaj's names."""
    rng = np.random.default_rng(3)
    tensors = {}
    for name, shape in shapes(3, 400).items():
        if name.endswith("bn.weight"):
            tensors[name] = np.ones(shape, np.float32)
        elif name.endswith("running_var"):
            tensors[name] = rng.uniform(0.5, 2, shape).astype(np.float32)
        else:
            fan = np.prod(shape[1:]) if len(shape) == 5 else 10
            tensors[name] = rng.normal(0, np.sqrt(2 / fan), shape).astype(np.float32)
    return tensors


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, used by everything in the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BASNET_CACHE", str(folder))
    monkeypatch.delenv("BASNET_OFFLINE", raising=False)
    return folder


@pytest.fixture
def no_pip_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's pip is set up with plays no part."""
    import os

    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@dataclass
class Server:
    """Files by path, and how to misbehave."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # send so many bytes, then hang up
    ranges: bool = True
    missing: int = 404  # what is answered where there is no file
    pause: threading.Event | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def count(self, path: str) -> int:
        return sum(1 for asked, _ in self.requests if asked == path)


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path
            if path.startswith("http://"):  # as a proxy is asked
                path = "/" + path.split("/", 3)[3]
            wanted = self.headers.get("Range")
            server.requests.append((path, wanted))
            data = server.files.get(path)
            if data is None:
                self.send_error(server.missing)
                return
            first = 0
            if wanted and server.ranges:
                first = int(wanted.removeprefix("bytes=").split("-")[0])
                if first >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            body = data[first:]
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", server.types.get(path, "application/octet-stream"))
            self.end_headers()
            if server.pause is not None:
                server.pause.wait(20)
            if server.cuts:
                body = body[: server.cuts.pop(0)]
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    web.daemon_threads = True
    state.address = f"http://127.0.0.1:{web.server_address[1]}"
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield state
    web.shutdown()
    web.server_close()


UNITS = {
    "b0": ("Branch_0/Conv3d_0a_1x1", "branch_0"),
    "b1a": ("Branch_1/Conv3d_0a_1x1", "branch_1.0"),
    "b1b": ("Branch_1/Conv3d_0b_3x3", "branch_1.1"),
    "b2a": ("Branch_2/Conv3d_0a_1x1", "branch_2.0"),
    "b2b": ("Branch_2/Conv3d_0b_3x3", "branch_2.1"),
    "b3b": ("Branch_3/Conv3d_0b_1x1", "branch_3.1"),
}


def _deepmind_scope(unit: str) -> str:
    if unit == "logits":
        return "Logits/Conv3d_0c_1x1"
    block, _, branch = unit.partition(".")
    return f"{block}/{UNITS[branch][0]}" if branch else block


def _to_tensorflow(tensors: Tensors) -> Tensors:
    found = {}
    for name, value in tensors.items():
        unit, kind, part = name.rsplit(".", 2)
        scope = f"RGB/inception_i3d/{_deepmind_scope(unit)}"
        scope = scope.replace("Mixed_5b/Branch_2/Conv3d_0b_3x3", "Mixed_5b/Branch_2/Conv3d_0a_3x3")
        if kind == "conv3d" and part == "weight":
            found[f"{scope}/conv_3d/w"] = np.ascontiguousarray(value.transpose(2, 3, 4, 1, 0))
        elif kind == "conv3d":
            found[f"{scope}/conv_3d/b"] = value
        elif part != "weight":
            names = {"bias": "beta", "running_mean": "moving_mean"}
            leaf = names.get(part, "moving_variance")
            found[f"{scope}/batch_norm/{leaf}"] = value.reshape(1, 1, 1, 1, -1)
    return found


def _to_flax(tensors: Tensors) -> dict[str, dict]:
    tree: dict[str, dict] = {"params": {}, "batch_stats": {}}
    for name, value in tensors.items():
        unit, kind, part = name.rsplit(".", 2)
        block, _, rest = _deepmind_scope(unit).partition("/")
        path = [block, rest] if rest and unit != "logits" else [_deepmind_scope(unit)]
        if kind == "conv3d":
            value = value.transpose(2, 3, 4, 1, 0).copy() if part == "weight" else value
            leaf = ["params", *path, "Conv_0", "kernel" if part == "weight" else "bias"]
        elif part == "weight":
            continue
        elif part == "bias":
            leaf = ["params", *path, "BatchNorm_0", "bias"]
        else:
            value = value.reshape(1, 1, 1, 1, -1)
            leaf = ["batch_stats", *path, "BatchNorm_0", part.removeprefix("running_")]
        node = tree
        for step in leaf[:-1]:
            node = node.setdefault(step, {})
        node[leaf[-1]] = value
    return tree


def _to_hassony2(tensors: Tensors) -> Tensors:
    found = {}
    for name, value in tensors.items():
        unit, kind, part = name.rsplit(".", 2)
        block, _, branch = unit.partition(".")
        theirs = f"{block.lower()}.{UNITS[branch][1]}" if branch else block.lower()
        theirs = "conv3d_0c_1x1" if unit == "logits" else theirs
        found[f"{theirs}.{'batch3d' if kind == 'bn' else kind}.{part}"] = value
    return found


def _save_torch(path: Path, tensors: Tensors) -> Path:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, path)
    return path


@pytest.fixture(scope="session")
def in_format(
    published: Tensors, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The made-up network as a file in a key format."""
    folder = tmp_path_factory.mktemp("formats")

    def make(name: str) -> Path:
        if name == "tensorflow":
            path = folder / "deepmind.safetensors"
            save_file(_to_tensorflow(published), path)
            return path
        path = folder / f"{name}.pt"
        if path.exists():
            return path
        if name == "flax":
            path.write_bytes(pickle.dumps(_to_flax(published)))
            return path
        return _save_torch(path, _to_hassony2(published) if name == "hassony2" else published)

    return make


@pytest.fixture(scope="session")
def sha256() -> Callable[[bytes], str]:
    return lambda data: hashlib.sha256(data).hexdigest()


@pytest.fixture
def use_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Put a manifest of two streams in place, with the given sources of the rgb stream."""

    def use(*sources: dict[str, Any], flow: dict[str, Any] | None = None) -> Path:
        text = ENTRY.format(stream="rgb", channels=3)
        for source in sources:
            text += "\n[[network.source]]\n" + lines(source)
        text += ENTRY.format(stream="flow", channels=2)
        text += "\n[[network.source]]\n" + lines(
            flow or {"origin": "o", "kind": "import", "url": "http://x/flow.pt", "file": "flow.pt"}
        )
        path = tmp_path / "manifest.toml"
        path.write_text(text)
        monkeypatch.setattr(manifest, "MANIFEST", path)
        networks.cache_clear()
        return path

    yield use
    networks.cache_clear()
