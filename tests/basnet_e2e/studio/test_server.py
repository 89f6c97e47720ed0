"""The server without a browser: who may ask, what is answered, what a stale change is told."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from studio_server import ROOT, Studio

from basnet_e2e.studio.project.annotation import Annotation

OTHER = "http://evil.example"


@pytest.fixture(scope="module")
def folder(footage, tmp_path_factory):
    """Two videos, one with a name that is no harm as text, and one that is broken."""
    folder = tmp_path_factory.mktemp("videos")
    names = sorted(footage[0].iterdir())
    shutil.copy(names[0], folder / "a.mp4")
    shutil.copy(names[1], folder / "<img src=x onerror=alert(1)> & 'b'.mp4")
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


@pytest.fixture(scope="module")
def studio(folder, tmp_path_factory):
    with Studio(folder, tmp_path_factory.mktemp("project"), cache=folder / ".cache") as studio:
        for name in ("jump", "run"):
            studio.json("POST", "/api/classes", {"do": "add", "name": name})
        yield studio


def key(studio, video="a"):
    return studio.rows()[video]["key"]


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"[" * 100_000, b'{"do": NaN}', b'{"do": 1, "do": 2}', b"\xff", b"5"]
)
def test_a_request_that_is_not_an_object_is_answered_with_a_line(studio, body):
    status, _, data = studio.ask("POST", "/api/classes", body)
    assert status == 422
    assert "\n" not in json.loads(data)["error"]


# Who may ask --------------------------------------------------------------------------------------


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(studio):
    status, headers, body = studio.ask("GET", studio.address.split(studio.host)[1], Cookie=None)
    cookie = headers["set-cookie"].lower()
    assert status == 200
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert studio.cookie.split("=")[1].encode() not in body


@pytest.mark.parametrize("path", ["/", "/api/changes", "/assets/list.js", "/media/x", "/?token=no"])
def test_without_the_cookie_nothing_is_told(studio, path):
    assert studio.ask("GET", path, Cookie=None)[0] == 403
    assert studio.ask("GET", path, Cookie=studio.cookie[:-4] + "aaaa")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "[::1]:1"])
def test_another_name_for_this_server_is_refused(studio, host):
    assert studio.ask("GET", "/", Host=host)[0] in (400, 421)
    assert studio.ask("GET", "/", Host=f"localhost:{studio.host.split(':')[1]}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OTHER},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_other_sites_change_nothing(studio, headers):
    body = {"do": "add", "name": "evil"}
    assert studio.ask("POST", "/api/classes", body, **headers)[0] == 403
    assert "evil" not in [each["name"] for each in studio.changes()["status"]["classes"]]


def test_a_form_changes_nothing(studio):
    kind = "application/x-www-form-urlencoded"
    assert studio.ask("POST", "/api/classes", {"do": "add"}, Content_Type=kind)[0] == 422


def test_pages_let_nothing_in_from_elsewhere(studio):
    for path in ("/", f"/videos/{key(studio)}", "/api/changes", "/nothing"):
        headers = studio.ask("GET", path)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/media/..%2f..%2fetc%2fpasswd",
        "/media/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2fserver.py",
        "/assets/server.py",
        "/videos/..%2fa",
        "/exports/..%2f..%2flabels.csv",
        "/strips/x/..%2f..%2fy.jpg",
        "/media/a",
    ],
)
def test_addresses_are_no_paths(studio, path):
    status, _, body = studio.ask("GET", path)
    assert status == 404
    assert b"root:" not in body


def test_a_link_out_of_the_folder_is_not_followed(studio, folder, tmp_path):
    outside = tmp_path / "secret.mp4"
    shutil.copy(folder / "a.mp4", outside)
    (folder / "linked.mp4").symlink_to(outside)
    try:
        studio.wait(lambda found: any(row["name"] == "linked" for row in found["rows"]), "linked")
        row = studio.rows()["linked"]
        assert "leads out" in row["error"]
        assert studio.ask("GET", f"/media/{row['key']}")[0] == 404
        assert studio.ask("GET", f"/videos/{row['key']}")[0] == 404
    finally:
        (folder / "linked.mp4").unlink()


# What is answered ---------------------------------------------------------------------------------


def test_names_are_text_everywhere(studio):
    name = "<img src=x onerror=alert(1)> & 'b'"
    page = studio.ask("GET", f"/videos/{key(studio, name)}")[2].decode()
    assert "<img src=x" not in page
    assert studio.rows()[name]["name"] == name


def test_a_video_is_given_in_ranges(studio, folder):
    data = (folder / "a.mp4").read_bytes()
    status, headers, body = studio.ask("GET", f"/media/{key(studio)}", Range="bytes=10-19")
    assert (status, body) == (206, data[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert headers["content-type"] == "video/mp4"


def test_a_broken_video_is_told_with_its_reason(studio):
    found = studio.wait(
        lambda found: any(row["name"] == "broken" and row["error"] for row in found["rows"]),
        "failure",
    )
    (row,) = (row for row in found["rows"] if row["name"] == "broken")
    assert "broken.mp4" in row["error"]
    assert str(studio.videos) not in row["error"]


def test_a_stale_change_is_answered_with_what_there_is(studio):
    video = key(studio)
    first = studio.json("GET", f"/api/videos/{video}")
    answer = studio.annotate("a", ["jump"], [["jump", 1, 2]], first["version"])[1]
    status, stale = studio.annotate("a", ["run"], None, first["version"])
    assert status == 409
    assert stale["annotation"]["labels"] == ["jump"]
    assert stale["version"] == answer["version"]
    # The same change twice, as when an answer was lost, is none.
    assert studio.annotate("a", ["jump"], [["jump", 1, 2]], first["version"])[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/classes", {"do": "explode"}),
        ("POST", "/api/classes", {"do": "add", "name": "a;b"}),
        ("POST", "/api/training", {"do": "explode"}),
        ("POST", "/api/training", {"do": "restore"}),
        ("POST", "/api/training", {"do": "continue"}),
        ("POST", "/api/exports", {"format": "../../x"}),
        ("GET", "/api/changes?since=x", None),
    ],
)
def test_nonsense_is_answered_in_one_line(studio, method, path, body):
    status, _, data = studio.ask(method, path, body)
    assert status == 422
    assert "Traceback" not in json.loads(data)["error"]


def test_added_and_removed_videos_are_noticed(studio, folder):
    shutil.copy(folder / "a.mp4", folder / "new.mp4")
    studio.wait(lambda found: any(row["name"] == "new" for row in found["rows"]), "new")
    (folder / "new.mp4").unlink()
    studio.wait(lambda found: all(row["name"] != "new" for row in found["rows"]), "gone")


def test_what_people_edit_by_hand_is_picked_up(studio):
    path = studio.project / "labels.csv"
    before = path.read_text("utf-8")
    lines = [line for line in before.splitlines() if not line.startswith("a,")]
    path.write_text("\n".join([*lines, "a.mp4,jump;run", ""]), "utf-8")
    found = studio.wait(
        lambda found: any(row["labels"] == ["jump", "run"] for row in found["rows"]), "edit"
    )
    assert found["status"]["problem"] is None
    assert studio.json("GET", f"/api/videos/{key(studio)}")["version"] != Annotation().version


def test_two_studios_do_not_share_a_project(studio):
    command = [sys.executable, "-m", "basnet_e2e", "studio", str(studio.videos), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "-o", str(studio.project)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert "another studio" in done.stderr


def test_another_machine_is_let_in_by_address_but_by_no_foreign_name(folder, tmp_path):
    options = ("--host", "0.0.0.0", "--i-know")
    with Studio(folder, tmp_path / "project", *options, cache=tmp_path / "cache") as studio:
        port = studio.host.split(":")[1]
        assert studio.ask("GET", "/", Host=f"127.0.0.1:{port}")[0] == 200
        assert studio.ask("GET", "/", Host=f"evil.example:{port}")[0] == 421
        assert studio.ask("GET", "/", Host=f"127.0.0.1:{port}", Cookie=None)[0] == 403


# The command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "--i-know"),
        (("--backbone", "i4d"), "i4d"),
        (("--streams", "smell"), "smell"),
        (("-o", "VIDEOS/inside"), "name another folder"),
    ],
)
def test_mistakes_are_told_before_anything_starts(run, footage, options, words):
    given = [each.replace("VIDEOS", str(footage[0])) for each in options]
    code, out, lines = run("studio", footage[0], "--no-browser", *given)
    assert (code, out) == (2, "")
    assert words in lines[-1]
