import json
from types import SimpleNamespace

import pytest

from basnet_e2e import BasnetError
from basnet_e2e.heads.basnet.settings import FIXES, PRESETS, RECIPES, recipe
from basnet_e2e.heads.presets import preset, preset_from_flat, preset_from_json


def test_official_is_the_released_code():
    official = SimpleNamespace(**preset("official").flat())
    assert (official.segments, official.hidden, official.filter_hidden) == (750, 2048, 512)
    assert (official.steps, official.batch, official.rate) == (1500, 16, 1e-4)
    assert (official.dropout, official.weight_decay, official.alpha) == (0.7, 5e-4, 1e-4)
    assert (official.theta_class, official.nms_iou) == (0.25, 0.7)
    assert (official.outer, official.gamma, official.upsample) == (0.25, 0.2, 24)
    assert official.theta_act == pytest.approx([0.025 * i for i in range(10)])
    # The first word of each choice is what the released code does.
    chosen = preset("official")
    assert all(
        getattr(official, name) == words[0]
        for part in (chosen.own, chosen.training, chosen.decoding)
        for name, words in part.CHOICES.items()
    )


def test_default_is_official_with_every_fix_but_a_forced_class():
    fixed = preset("official", fix=[name for name in FIXES if name != "fallback"], name="default")
    assert fixed == preset("default")
    assert preset("default").decoding.fallback == "none"


def test_small_is_default_with_less():
    assert preset("default", name="small", hidden=512, steps=300) == preset("small")


def test_each_fix_changes_its_own_settings():
    seen = set()
    for name, settings in FIXES.items():
        assert not seen & settings.keys()
        seen |= settings.keys()
        changed = preset("official", fix=[name])
        assert changed == preset("official", **settings) != preset("official")


@pytest.mark.parametrize("name", list(PRESETS))
def test_settings_survive_json(name):
    settings = json.loads(json.dumps(PRESETS[name].to_json()))
    assert preset_from_json(settings) == PRESETS[name]
    assert preset_from_flat(PRESETS[name].flat(), "basnet") == PRESETS[name]


def test_recipes_of_the_ablation():
    rows = {name: (r.background, r.base, r.suppression, r.reads) for name, r in RECIPES.items()}
    assert rows == {
        "baseline": (False, True, False, "base"),
        "base": (True, True, False, "base"),
        "suppression": (True, False, True, "suppression"),
        "full": (True, True, True, "suppression"),
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: preset("defalt"), "no preset 'defalt'; did you mean default"),
        (lambda: preset("default", stepz=3), "no setting 'stepz'; did you mean steps"),
        (lambda: preset("official", fix=["rankin"]), "no fix 'rankin'; did you mean ranking"),
        (lambda: preset("default", ranking="soft"), "ranking is one of binary, softmax"),
        (lambda: preset("default", steps=0), "steps is at least 1"),
        (lambda: preset("default", dropout=1.0), "dropout"),
        (lambda: preset("official", segments=None), "needs a number of segments"),
        (lambda: recipe("ful"), "no recipe 'ful'; did you mean full"),
        (lambda: preset_from_flat({"name": "x"}, "basnet"), "without the settings"),
        (lambda: preset("default", head="basent"), "no head 'basent'; did you mean basnet"),
        (lambda: preset(PRESETS["small"], head="other"), "settings of the head basnet, not"),
    ],
)
def test_mistakes_name_what_is_known(call, message):
    with pytest.raises(BasnetError, match=message):
        call()
