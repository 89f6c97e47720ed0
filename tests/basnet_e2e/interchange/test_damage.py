"""Damaged documents of every tool: one line and exit code 2, or a file that is written; no more."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOCUMENTS = {
    "boris": {
        "behaviors_conf": {"0": {"type": "State event", "code": "x", "key": "x"}},
        "observations": {
            "o": {
                "file": {"1": ["v.mp4"], "2": []},
                "type": "MEDIA",
                "time offset": 0.0,
                "events": [[1.0, "", "x", "", "", 25], [2.0, "", "x", "", "", 50]],
                "media_info": {"length": {"v.mp4": 9.0}, "fps": {}, "offset": {"1": 0.0}},
                "observation time interval": [0, 0],
            }
        },
    },
    "via": {
        "attribute": {"1": {"aname": "a", "options": {"0": "x"}}},
        "file": {"1": {"fname": "v.mp4", "type": 4}},
        "metadata": {"a": {"vid": "1", "z": [1.0, 2.0], "xy": [], "av": {"1": "0"}}},
        "view": {"1": {"fid_list": ["1"]}},
    },
    "fiftyone": {
        "classes": ["x"],
        "labels": {"v": [{"label": 0, "timestamps": [1.0, 2.0]}], "w": 0, "u": "x"},
    },
    "labelstudio": [
        {
            "id": 1,
            "data": {"video": "v.mp4", "fps": 25},
            "annotations": [
                {
                    "was_cancelled": False,
                    "updated_at": "2024",
                    "result": [
                        {
                            "id": "r",
                            "type": "timelinelabels",
                            "value": {
                                "ranges": [{"start": 1, "end": 9}],
                                "timelinelabels": ["x"],
                            },
                        },
                        {
                            "type": "labels",
                            "value": {"start": 1.0, "end": 2.0, "labels": ["y"]},
                            "original_length": 9.0,
                        },
                        {"type": "taxonomy", "value": {"taxonomy": [["a", "b"]]}},
                    ],
                }
            ],
        }
    ],
    "known": {"database": {"v": {"duration": 9.0, "annotations": [{"segment": [1.0, 2.0]}]}}},
}
STRANGE = st.sampled_from(
    [
        *(
            None,
            True,
            -1,
            0,
            1e300,
            2**63,
            -0.5,
            "",
            "x",
            "1e999999999",
            "9" * 400,
            "\ud800",
            "a\0",
        ),
        *([], {}, [[]], [None], {"": None}, ["x"] * 3, {"x": {"x": []}}),
    ]
)


def places(node, path=()):
    """Paths of everything in a document."""
    yield path
    items = node.items() if isinstance(node, dict) else ()
    for key, child in enumerate(node) if isinstance(node, list) else items:
        yield from places(child, (*path, key))


@st.composite
def damaged(draw):
    document = copy.deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(document))))
        if not path:
            return copy.deepcopy(draw(STRANGE))
        node = document
        for key in path[:-1]:
            node = node[key]
        if isinstance(node, dict) and draw(st.booleans()):
            node.pop(path[-1])
        else:
            node[path[-1]] = copy.deepcopy(draw(STRANGE))
    return document


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=damaged())
def test_damaged_documents(document, tmp_path, run):
    path, out = tmp_path / "file", tmp_path / "labels.csv"
    out.unlink(missing_ok=True)
    path.write_text(json.dumps(document))
    code, _, err = run("import", "labels", path, "-o", out, "-q", "--intervals", tmp_path / "k.csv")
    assert code in (0, 2), err
    if code == 2:
        assert not out.exists()
        assert [line for line in err if not line.startswith("warning")] == err[-1:]


TABLES = {
    "boris": "Observation id,Media file,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
    "o,v.mp4,,x,STATE,1.0,2.0\n",
    "deepethogram": ",background,x\n0,1,0\n1,0,1\n",
    "known": "video,label,start,end\nv,x,1,2\n",
    "elan": '<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIME_ORDER>'
    '<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="1"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="9"/>'
    '</TIME_ORDER><TIER TIER_ID="t"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" '
    'TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>x</ANNOTATION_VALUE>'
    "</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>",
}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_texts(data, tmp_path, run):
    text = TABLES[data.draw(st.sampled_from(sorted(TABLES)))]
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, min(first + 12, len(text))))
    new = data.draw(st.sampled_from(["", '"', ",", "\n", "-9", "9" * 400, "nan", "inf", "x", "\0"]))
    path, out = tmp_path / "file", tmp_path / "labels.csv"
    path.write_text(text[:first] + new + text[last:])
    code, _, err = run("import", "labels", path, "-o", out, "-q", "--fps", "25")
    assert code in (0, 2), err


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8b\x08\x00rubbish", b"\xff\xfe{"])
def test_damaged_bytes(content, tmp_path, run):
    path = tmp_path / "p.boris.gz"
    path.write_bytes(content)
    code, _, err = run("import", "labels", path, "-o", tmp_path / "labels.csv")
    assert (code, len(err)) == (2, 1)
