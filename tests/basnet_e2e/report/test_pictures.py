"""Pictures for papers: what stands in them, and that every one is written as asked."""

import json

import av
import click
import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.cli.commands.report import draw_picture
from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from basnet_e2e.report.evidence import Evidence, evidence_path
from basnet_e2e.report.figures.canvas import save_picture
from basnet_e2e.report.figures.heatmap import MOST_ROWS, draw_heat_map
from basnet_e2e.report.figures.model_view import ModelView, recorded_view
from basnet_e2e.report.figures.registry import PICTURES, Request, find_picture
from basnet_e2e.report.figures.snippet import draw_snippet, take_snippet
from basnet_e2e.report.figures.training_curves import draw_training_curves, running_mean

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, HEIGHT = 64, 48


def make_view(classes=("run", "jump"), intervals=()):
    cas = np.tile(np.linspace(-0.5, 1, 10)[:, None], len(classes))
    cas *= np.arange(1, len(classes) + 1) / len(classes)
    scores = {name: index / 100 for index, name in enumerate(classes)}
    result = Localization("game", "game.mp4", 10.0, "m", scores, list(intervals))
    return ModelView(result, classes, np.arange(11.0), np.arange(10) + 0.5, cas, np.full(10, 0.5))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """50 frames in 2 seconds; a bright block goes 2 pixels right a frame."""
    path = tmp_path_factory.mktemp("video") / "block.mp4"
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 90, (HEIGHT, 200, 3)).astype(np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 4_000_000
        for index in range(50):
            picture = ground[:, 2 * (50 - index) : 2 * (50 - index) + WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture
def sources(tmp_path, video):
    """Inputs and options of every picture."""
    chosen = preset("small", hidden=8, filter_hidden=4, segments=16, theta_class=0.0)
    torch.manual_seed(0)
    net = build(Shape(5, 2), chosen).eval()
    save_model(HeadModel(net, ("run", "jump"), chosen, Shape(5, 2)), tmp_path / "m.safetensors")
    features = tmp_path / "features"
    features.mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        np.save(features / f"{name}.npy", rng.normal(size=(9, 5)).astype(np.float32))
    (tmp_path / "gt.csv").write_text("video,label,start,end\none,run,1,3\n")
    rows = [f"{step},{1 / step},{2 / step},0.001," for step in range(1, 30)]
    rows.append("30,0.01,0.02,0.001,0.5")
    heads = "step,loss,loss video,rate,validation_map"
    (tmp_path / "m.safetensors.log.csv").write_text("\n".join([heads, *rows]) + "\n")
    scores = {"tiou": [0.3, 0.5], "map": [0.4, 0.2]}
    (tmp_path / "ours.json").write_text(
        json.dumps(scores | {"confidence": {"low": [0.3, 0.1], "high": [0.5, 0.3]}})
    )
    (tmp_path / "theirs.json").write_text(json.dumps(scores | {"confidence": None}))
    view = {"model": tmp_path / "m.safetensors", "video": "one",
             "ground_truth": tmp_path / "gt.csv"}  # fmt: skip
    return {
        "video": ([features], view),
        "cas": ([features], view),
        "snippet": ([video], {"at": 1.0, "device": "cpu", "flow": "tvl1-fast"}),
        "training": ([tmp_path / "m.safetensors.log.csv"], {}),
        "ethogram": ([tmp_path / "gt.csv"], {}),
        "map": ([tmp_path / "ours.json", tmp_path / "theirs.json"], {}),
    }


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(name, sources, tmp_path):
    inputs, options = sources[name]
    figure = find_picture(name).draw(Request(inputs, **options))
    assert figure.axes
    output = tmp_path / "picture.svg"
    save_picture(figure, output)
    assert kind_of(output) is Kind.PICTURE


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_equal_pictures_are_equal_bytes(suffix, sources, tmp_path):
    inputs, options = sources["map"]
    output = tmp_path / f"picture{suffix}"
    draw_picture("map", inputs, output, **options)
    assert kind_of(output) is Kind.PICTURE
    before = output.read_bytes()
    draw_picture("map", inputs, output, **options)  # a picture may replace a picture
    assert output.read_bytes() == before


def test_what_is_missing_is_said(sources, tmp_path):
    features, options = sources["video"]
    out = tmp_path / "x.png"
    with pytest.raises(BasnetError, match="no picture 'flow'; pictures are video, cas, snippet"):
        draw_picture("flow", features, out)
    with pytest.raises(BasnetError, match="give it with --model"):
        draw_picture("cas", features, out)
    with pytest.raises(BasnetError, match="features of 2 videos; name the one to draw"):
        draw_picture("cas", features, out, model=options["model"])
    with pytest.raises(BasnetError, match="says nothing of 'two'"):
        draw_picture("video", features, out, **options | {"video": "two"})
    with pytest.raises(BasnetError, match="drawn from one input"):
        draw_picture("training", [out, out], out)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BasnetError, match="not what 'basnet evaluate --json' prints"):
        draw_picture("map", [tmp_path / "x.json"], out)
    with pytest.raises(click.BadParameter, match=r"name a \.png, \.svg or \.pdf file"):
        draw_picture("map", features, tmp_path / "x.jpg")
    assert not out.exists()


def test_no_other_file_is_replaced(sources, tmp_path):
    inputs, options = sources["map"]
    other = tmp_path / "diary.png"
    other.write_text("dear diary")
    with pytest.raises(BasnetError, match="holds a file of another kind, not a picture"):
        draw_picture("map", inputs, other, **options)
    draw_picture("map", inputs, other, force=True, **options)
    assert kind_of(other) is Kind.PICTURE


def test_the_command_draws_instead_of_making_pages(run, sources, tmp_path):
    output = tmp_path / "x.svg"
    code, _, err = run("report", *sources["map"][0], "--picture", "map", "-o", output)
    assert (code, err) == (0, [f"{output} written"])
    assert "ours" in output.read_text()
    code, _, err = run("report", output, "--picture", "none", "-o", output)
    assert code == 2
    assert "'none' is not one of 'video', 'cas', 'snippet', 'training'" in err[0]
    code, _, err = run("report", output, "--at", 3, "-o", output)
    assert code == 2
    assert err == [
        "error: --at is for pictures; name one with --picture (see 'basnet report --help')"
    ]


def test_a_result_is_drawn_from_the_evidence_beside_it(tmp_path):
    found = Localization("game", "game.mp4", 4.0, "m", {"run": 0.9}, [Interval("run", 1, 3, 0.5)])
    path = tmp_path / "game.json"
    path.write_text(json.dumps(found.to_json()))
    output = tmp_path / "x.svg"
    with pytest.raises(BasnetError, match="no activations are kept beside it; localize the video"):
        draw_picture("cas", [path], output)
    curves = {"run": [0.0, 0.2, 1.0, 0.4], "jump": [0.2, 0.0, 0.0, 0.0]}
    evidence = Evidence.of("game", 4.0, [0.5, 1.5, 2.5, 3.5], curves, [0.0, 1.0, 1.0, 0.0])
    evidence.save(evidence_path(path, "game", many=False))
    for name in ("cas", "video"):
        draw_picture(name, [path], output)
        assert ">run<" in output.read_text()
    view = recorded_view(found, evidence)
    assert view.edges.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(view.curve("run"), curves["run"], atol=1 / 255)
    np.testing.assert_allclose(view.foreground, [0, 1, 1, 0])
    with pytest.raises(BasnetError, match="omit --model"):
        draw_picture("cas", [path], output, model=path)
    with pytest.raises(BasnetError, match="results of 0 such videos"):
        draw_picture("cas", [path], output, video="other")


def test_curves_of_what_is_annotated_or_found():
    found, truth = [Interval("jump", 2, 4, 0.7)], [Interval("run", 1, 3), Interval("other", 5, 6)]
    curves = make_view(intervals=found).curves(truth)
    assert list(curves) == ["run", "jump"]
    assert min(curves["jump"]) == 0  # below 0 nothing is active
    assert max(curves["run"]) == 0.5
    # With nothing to show, what the model holds likeliest.
    assert list(make_view().curves()) == ["jump"]


def test_a_heat_map_holds_the_activation_at_its_time():
    found, truth = [Interval("jump", 2, 4, 0.7)], [Interval("run", 1, 3)]
    view = make_view(intervals=found)
    axes = draw_heat_map(view, truth).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["run", "jump"]
    mesh = axes.collections[0]
    np.testing.assert_allclose(mesh.get_array(), np.clip(view.cas, 0, 1).T)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], view.edges)
    frame, line = axes.patches
    assert (frame.get_x(), frame.get_width()) == (1, 2)
    assert 0 < frame.get_y() < frame.get_y() + frame.get_height() < 1
    assert (line.get_x(), line.get_width()) == (2, 2)
    assert 1 < line.get_y() < line.get_y() + line.get_height() < 2


def test_a_heat_map_of_many_classes_keeps_those_that_matter():
    names = tuple(f"class {index:03}" for index in range(60))
    figure = draw_heat_map(make_view(names), [Interval("class 000", 1, 2)])
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert rows == ["class 000", *(f"class {index:03}" for index in range(59, 59 - 24, -1))]
    assert len(rows) == MOST_ROWS
    assert "35 classes of lower score not shown" in figure.axes[0].texts[0].get_text()


class Differences:
    """A flow method that gives the mean change of a pair as u."""

    name, engine = "differences", "test"

    def settings(self):
        return {}

    def compute(self, grey, rgb):
        change = (rgb[1:].astype(np.float32) - rgb[:-1]).mean(axis=(1, 2, 3))
        return np.ones((1, 2, *grey.shape[1:]), np.float32) * change[:, None, None, None]


def test_a_snippet_is_the_one_that_holds_the_time(video):
    snippet = take_snippet(video, 0.7, Differences(), side=48)
    assert (snippet.start, snippet.end) == (0.64, 1.28)
    assert snippet.times == pytest.approx([0.64, 0.8, 0.96, 1.08])
    with av.open(str(video)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    rows = [round(time * 25) for time in snippet.times]
    for row, frame, field in zip(rows, snippet.frames, snippet.flow, strict=True):
        assert np.abs(frame.astype(int) - frames[row]).mean() < 2
        change = frames[row + 1].mean() - frames[row].mean()
        assert field[0].mean() == pytest.approx(change, abs=0.3)


def test_the_last_snippet_and_beyond(video):
    snippet = take_snippet(video, 1.99, Differences(), side=48)
    assert snippet.end == pytest.approx(2.0)
    assert snippet.times[-1] == pytest.approx(1.96)  # the last frame, repeated, stands once
    assert len(draw_snippet(snippet).axes) == 2 * len(snippet.times)
    with pytest.raises(BasnetError, match=r"lasts 2\.00 s, there is nothing at 2 s"):
        take_snippet(video, 2.0, Differences())
    middle = take_snippet(video, None, Differences(), side=48)
    assert middle.start <= 1 < middle.end


def test_flow_of_what_moves_right_is_red(video):
    from extract.flow.registry import flow_method

    snippet = take_snippet(video, 0.7, flow_method("tvl1-fast", device="cpu"), side=48)
    assert np.median(snippet.flow[:, 0]) == pytest.approx(2, abs=0.5)
    picture = draw_snippet(snippet).axes[4].images[0].get_array()
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)
    assert red > green + 50
    assert red > blue + 50


def test_training_curves_stand_at_their_steps():
    columns = {"step": [3.0, 4.0], "loss": [2.0, 1.0], "loss a": [None, 0.5], "rate": [0.1, 0.1],
               "validation_map": [None, 0.25]}  # fmt: skip
    loss, validation, rate = draw_training_curves(columns, "run").axes
    assert [line.get_xydata().tolist() for line in loss.lines[::2]] == [
        [[3, 2], [4, 1]],
        [[4, 0.5]],
    ]
    assert validation.lines[0].get_xydata().tolist() == [[4, 25]]
    assert rate.lines[0].get_xydata().tolist() == [[3, 0.1], [4, 0.1]]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["total", "a"]


def test_running_mean():
    assert running_mean(np.array([1.0, 3, 5, 7]), 2).tolist() == [1, 2, 4, 6]
    assert running_mean(np.array([1.0, 3]), 1).tolist() == [1, 3]


@pytest.mark.parametrize(("norm", "scale"), [(300.0, "log"), (3.0, "linear")])
def test_small_terms_are_seen_beside_large_ones(norm, scale):
    columns = {"step": [1.0, 2.0], "loss": [0.6, 0.5], "loss norm": [norm, norm], "rate": [1, 1]}
    assert draw_training_curves(columns, "run").axes[0].get_yscale() == scale
