"""Precisions: what each switches, and where none but float32 is to be had."""

import pytest
import torch

from extract import ExtractError
from extract.inference.precision import PRECISIONS, check_precision, rounding


@pytest.fixture
def card(monkeypatch):
    """A GPU of some compute capability."""

    def pretend(*capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    return pretend


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_a_processor_has_float32_alone(precision):
    check_precision("float32", "cpu")
    with pytest.raises(ExtractError, match=f"{precision} needs a GPU.*--precision float32"):
        check_precision(precision, "cpu")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_old_card_does_not_pretend(card, precision):
    card(9, 0)
    check_precision(precision, "cuda:1")
    card(7, 5)
    if precision in ("float32", "float16"):
        check_precision(precision, "cuda:1")
    else:
        with pytest.raises(ExtractError, match=r"capability 8.0, cuda:1 has 7.5"):
            check_precision(precision, "cuda:1")


def test_an_unknown_name_is_answered_with_those_that_there_are():
    with pytest.raises(ExtractError, match="float32, tf32, bfloat16, float16"):
        check_precision("half", "cuda")


@pytest.mark.parametrize(
    ("precision", "product", "tf32"),
    [
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
        ("float16", torch.float16, False),
    ],
)
def test_products_inside_the_block(precision, product, tf32):
    a = torch.eye(4)
    with rounding(precision, "cpu"):
        assert (a @ a).dtype == product
        assert torch.backends.cudnn.allow_tf32 == tf32
        assert torch.backends.cuda.matmul.allow_tf32 == tf32
    assert (a @ a).dtype == torch.float32
