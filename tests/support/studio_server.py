"""A studio as a process of its own, and what a test asks it without a browser."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0


class Studio:
    """``basnet studio`` on a folder; a context manager that ends it."""

    def __init__(self, videos, project, *options, cache=None):
        self.videos, self.project = videos, project
        path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        if cache is not None:
            environment["BASNET_CACHE"] = str(cache)
        command = [sys.executable, "-m", "basnet_e2e", "studio", str(videos), "-o", str(project)]
        command += ["--no-browser", "--backbone", "i3d-mini", "--streams", "rgb", *options]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("studio: "), line
        self.address = line.split()[1]
        self.host = urlsplit(self.address).netloc
        self.cookie = self.ask("GET", self.address.split(self.host)[1])[1]["set-cookie"]
        self.cookie = self.cookie.split(";")[0]

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body of an answer; headers of None are left out, bytes sent as is."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        given = {"Cookie": getattr(self, "cookie", None), "Origin": f"http://{self.host}"}
        if method == "GET":
            del given["Origin"]
        if body is not None:
            given["Content-Type"] = "application/json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in given.items() if value is not None}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data, kept)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def json(self, method, path, body=None, **headers):
        """The answer as JSON; anything but success fails the test."""
        status, _, data = self.ask(method, path, body, **headers)
        assert status == 200, (status, data)
        return json.loads(data)

    def changes(self):
        return self.json("GET", "/api/changes?since=0.0")

    def rows(self):
        return {row["name"]: row for row in self.changes()["rows"]}

    def annotate(self, video, labels, spans=None, version=None):
        """Save an annotation; gives status and answer."""
        key = self.rows()[video]["key"]
        if version is None:
            version = self.json("GET", f"/api/videos/{key}")["version"]
        body = {"labels": labels, "spans": spans}
        status, _, data = self.ask("PUT", f"/api/videos/{key}", body, If_Match=f'"{version}"')
        return status, json.loads(data)

    def wait(self, condition, what):
        """Until a function of the changes is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.changes()
            if condition(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what}: {found['status']}")

    def kill(self):
        """End it as a power cut does."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(600)
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.close()
