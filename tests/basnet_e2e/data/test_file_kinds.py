import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from basnet_e2e.data.files.file_kinds import Kind, kind_of
from weights.manifest import HERE


def tensors(path, **meta):
    save_file({"x": np.zeros(3, np.float32)}, path, {"basnet": json.dumps(meta)} if meta else None)


TEXTS = {
    '{"video": "a", "file": "a.mp4", "duration": 1, "intervals": []}': Kind.RESULT,
    '{"videos": [], "failed": []}': Kind.RESULT,
    '\ufeff {"version": "", "results": {}, "external_data": {}}': Kind.RESULT,
    '{"database": {}}': Kind.ANNOTATIONS,
    '{"failed": []}': Kind.FAILURES,
    '{"benchmark": "thumos14", "recipes": {}}': Kind.REPORT,
    '{"settings": 1}': Kind.OTHER,
    '{"videos": [': Kind.OTHER,
    "[1, 2]": Kind.OTHER,
    "video,labels\na,x\n": Kind.LABELS,
    "\ufeffVideo, Labels\r\na,x\r\n": Kind.LABELS,
    "video,label,start,end,score\n": Kind.TABLE,
    "video,label,start,end\na,x,1,2\n": Kind.ANNOTATIONS,
    "1\n00:00:00,000 --> 00:00:01,000\nrun\n": Kind.SUBTITLES,
    "step,loss,rate\n1,0.5,0.1\n": Kind.TRAINING_LOG,
    '<?xml version="1.0"?>\n<svg width="1">': Kind.PICTURE,
    "%PDF-1.4\n": Kind.PICTURE,
    "a text of <svg > drawings\n": Kind.OTHER,
    "a text\n": Kind.OTHER,
    "": Kind.EMPTY,
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_told_by_their_content(tmp_path, text):
    path = tmp_path / "file.bin"
    path.write_text(text, encoding="utf-8")
    assert kind_of(path) == TEXTS[text]


def test_tensors_and_arrays(tmp_path):
    tensors(tmp_path / "m", kind="head", classes=[])
    tensors(tmp_path / "f", settings={"format": 1}, facts={})
    tensors(tmp_path / "e", kind="evidence", video="v")
    tensors(tmp_path / "other")
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    found = [kind_of(tmp_path / name) for name in ("m", "f", "e", "other", "a.npy", "a.npz")]
    assert found[:4] == [Kind.MODEL, Kind.FEATURES, Kind.EVIDENCE, Kind.TENSORS]
    assert found[4:] == [Kind.ARRAYS, Kind.ARRAYS]
    assert {kind_of(path) for path in HERE.glob("*.safetensors")} == {Kind.WEIGHTS}
    cut = tmp_path / "cut"
    cut.write_bytes((tmp_path / "m").read_bytes()[:20])
    assert kind_of(cut) == Kind.OTHER


def test_videos_are_told_by_their_suffix(tmp_path):
    path = tmp_path / "clip.MP4"
    path.write_bytes(b"\0\0\0\x18ftyp")
    assert kind_of(path) == Kind.VIDEO
