"""An S3 server on the loopback, reached through a wire that can be cut."""

import select
import socket
import threading

import pytest

REPLY_BYTES = 300  # of a reply that a cut lets through
BUCKET = "bucket"


class Wire:
    """Forwards connections to a port; cuts replies to requests that name a certain word.

    Attributes:
        cuts: how many replies are still to be cut.
        word: bytes that a request line holds whose reply is cut.
    """

    def __init__(self, port):
        self.cuts, self.word = 0, b""
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                ours, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(ours,), daemon=True).start()

    def _forward(self, ours):
        theirs = socket.create_connection(("127.0.0.1", self._target))
        cut = False
        with ours, theirs:
            while True:
                for side in select.select([ours, theirs], [], [])[0]:
                    try:
                        data = side.recv(1 << 16)
                    except OSError:
                        return
                    if not data:
                        return
                    if side is ours:
                        line = data.partition(b"\r\n")[0]
                        cut = self.cuts > 0 and line.startswith(b"GET") and self.word in line
                        theirs.sendall(data)
                    elif cut:
                        self.cuts -= 1
                        ours.sendall(data[:REPLY_BYTES])
                        return
                    else:
                        ours.sendall(data)

    def close(self):
        self._server.close()


@pytest.fixture(scope="session")
def s3_port():
    server_of = pytest.importorskip("moto.server", reason="needs moto's S3 server")
    pytest.importorskip("s3fs", reason="needs s3fs")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def wire(s3_port, monkeypatch):
    """The way to an S3 server with an empty bucket; s3:// leads there."""
    import s3fs

    wire = Wire(s3_port)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{wire.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("extract.sources.urls.PAUSE", 0.01)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # each of ours is one of theirs
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir(BUCKET)
    yield wire
    wire.cuts = 0
    files.rm(BUCKET, recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    wire.close()
