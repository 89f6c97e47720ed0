"""`basnet try`: a first look at a video, told while it is computed."""

import json
import subprocess
import sys

import av
import numpy as np
import pytest

from basnet_e2e.cli.commands.try_ import SnippetMessages
from basnet_e2e.localization import pretrained
from basnet_e2e.localization.pretrained import SnippetPrediction

SNIPPET = 16


@pytest.fixture
def video(tmp_path):
    """Three snippets of noise that moves."""
    path = tmp_path / "my video.mp4"
    picture = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for n in range(3 * SNIPPET):
            moved = np.roll(picture, n, axis=1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        out.mux(stream.encode())
    return path


@pytest.fixture
def bundled_network(monkeypatch):
    """The built-in model with the small network that is part of the package."""
    monkeypatch.setattr(pretrained, "BUILT_IN_BACKBONE", "i3d-mini")


def test_it_says_what_it_does_then_what_it_sees_then_how_to_go_on(
    run, video, tmp_path, bundled_network
):
    code, out, err = run("try", video, "-o", tmp_path / "look", "--offline")
    assert code == 0
    said = "\n".join(err)
    assert said.index("looking for 400") < said.index("from 0:00  ") < said.index("written")
    assert "no model given" not in said
    assert max(map(len, out.splitlines())) <= 80 or str(video) in out
    assert "basnet train features --labels labels.csv" in out
    assert f"basnet localize '{video}' -m model.safetensors" in out
    result = json.loads((tmp_path / "look" / "my video.json").read_text())
    assert (result["video"], result["model"]) == ("my video", "kinetics400")
    assert str(tmp_path / "look" / "my video.html") in out
    assert "my video" in (tmp_path / "look" / "my video.html").read_text()
    for interval in result["intervals"]:
        assert interval["label"] in out


def test_where_nothing_stands_out_it_says_how_to_see_what_is_nearest(
    run, video, tmp_path, bundled_network, monkeypatch
):
    monkeypatch.setattr("basnet_e2e.intervals.MIN_SCORE", 2.0)
    code, out, err = run("try", video, "-o", tmp_path / "look", "--offline")
    assert code == 0
    assert "  from 0:00  nothing that stands out" in err
    assert out.startswith("None of the 400 actions stands out")
    assert f"basnet localize '{video}' --min-score" in out


def test_what_a_video_looks_like_is_said_when_it_changes(caplog):
    tell = SnippetMessages()
    with caplog.at_level("INFO", "basnet_e2e"):
        for start, label, probability in (
            (0, "run", 0.8),
            (1, "run", 0.5),
            (2, "jump", 0.1),
            (3, "swim", 0.1),
            (64, "run", 0.8),
        ):
            tell(SnippetPrediction(start, start + 1, label, probability))
    assert [record.getMessage().strip() for record in caplog.records] == [
        "from 0:00  run (0.80)",
        "from 0:02  nothing that stands out",
        "from 1:04  run (0.80)",
    ]


def test_other_inputs_are_sent_to_localize(run, tmp_path):
    (tmp_path / "some").mkdir()
    code, _, (error,) = run("try", tmp_path / "some")
    assert (code, "takes one video" in error) == (2, True)
    code, _, (error,) = run("try", tmp_path / "none.mp4")
    assert (code, "no such file" in error) == (2, True)


def test_it_speaks_before_torch_is_imported(video):
    program = (
        "import sys, logging\n"
        "from basnet_e2e.cli import main\n"
        "class Watch(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        print('looking' in record.getMessage(), 'torch' in sys.modules)\n"
        "        raise SystemExit\n"
        "import basnet_e2e.cli.command as command\n"
        "command.set_up_messages = lambda *_: logging.basicConfig(level='INFO', "
        "handlers=[Watch()])\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "try", str(video)], capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "False"], done.stderr
