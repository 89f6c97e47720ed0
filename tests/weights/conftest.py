"""A made-up network in every key format, and a web server that can misbehave."""

import contextlib
import hashlib
import http.server
import pickle
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weights import crc32c as fast
from weights import manifest
from weights.architectures import shapes
from weights.manifest import networks

sys.path.insert(0, str(Path(__file__).parent))  # tests are not a package
from checksums import crc32c_by_definition
from made_up_manifest import ENTRY, lines

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
def no_pip_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
                self.send_error(404)
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


def crc32c(data: bytes) -> int:
    """CRC-32C by its definition, bit by bit; the reader's for what would take minutes."""
    if len(data) > 100_000:
        return fast.crc32c(data)
    return crc32c_by_definition(data)


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    out, restarts, before = b"", [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % 16 == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        out += _varint(shared) + _varint(len(key) - shared) + _varint(len(value))
        out += key[shared:] + value
        before = key
    return out + b"".join(struct.pack("<I", n) for n in [*restarts, len(restarts)])


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write_bundle(
    prefix: Path,
    tensors: Tensors,
    per_block: int = 50,
    compress: Callable[[bytes], bytes] | None = None,
) -> Path:
    """Write a TensorFlow checkpoint as tensorflow/core/util/tensor_bundle does."""
    entries, data = [(b"", b"\x08\x01\x1a\x02\x08\x01")], b""
    parts, offset = [], 0
    for name in sorted(tensors):
        raw = tensors[name].tobytes()
        dimensions = b"".join(
            b"\x12" + _varint(len(size)) + size
            for size in (b"\x08" + _varint(n) for n in tensors[name].shape)
        )
        entry = b"\x08\x01\x12" + _varint(len(dimensions)) + dimensions
        entry += (b"\x20" + _varint(offset) if offset else b"") + b"\x28" + _varint(len(raw))
        entries.append((name.encode(), entry + b"\x35" + _masked(raw)))
        parts.append(raw)
        offset += len(raw)
    table, handles = b"", []

    def put(block: bytes) -> bytes:
        nonlocal table
        block = compress(block) + b"\1" if compress else block + b"\0"
        handle = _varint(len(table)) + _varint(len(block) - 1)
        table += block + _masked(block)
        return handle

    for first in range(0, len(entries), per_block):
        rows = entries[first : first + per_block]
        handles.append((rows[-1][0] + b"\0", put(_block(rows))))
    meta = put(struct.pack("<II", 0, 1))
    index = put(_block(handles))
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    prefix.with_name(prefix.name + ".index").write_bytes(table + footer)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(b"".join([data, *parts]))
    return prefix.with_name(prefix.name + ".index")


@pytest.fixture(scope="session")
def bundle_writer() -> Callable[..., Path]:
    return write_bundle


@pytest.fixture(scope="session")
def in_format(
    published: Tensors, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The made-up network as a file in a key format."""
    folder = tmp_path_factory.mktemp("formats")

    def make(name: str) -> Path:
        if name == "tensorflow":
            return write_bundle(folder / "model.ckpt", _to_tensorflow(published))
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
