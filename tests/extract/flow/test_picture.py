import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import ExtractError
from extract.flow.picture import BEYOND, colour_wheel, flow_picture


def picture_of(u, v, limit=None):
    return flow_picture(np.array([u, v], np.float32).reshape(2, 1, 1), limit)[0, 0].tolist()


def test_wheel_has_the_colours_of_the_published_one():
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    # Red, yellow, green, cyan, blue, magenta at the published positions.
    corners = np.cumsum([0, 15, 6, 4, 11, 13])
    expected = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    np.testing.assert_allclose(wheel[corners], expected, atol=1e-12)


def test_no_motion_is_white_and_motion_to_the_right_is_red():
    assert picture_of(0, 0) == [255, 255, 255]
    assert picture_of(3, 0) == [255, 0, 0]
    assert picture_of(1.5, 0, limit=3) == [255, 128, 128]


def test_motion_above_the_limit_is_darkened():
    assert picture_of(9, 0, limit=3) == [round(255 * BEYOND), 0, 0]


@given(st.floats(0, 2 * np.pi), st.floats(0.1, 50))
def test_colour_depends_on_direction_alone_at_full_speed(angle, speed):
    colour = np.array(picture_of(np.cos(angle) * speed, np.sin(angle) * speed), int)
    unit = np.array(picture_of(np.cos(angle), np.sin(angle)), int)
    assert np.abs(colour - unit).max() <= 1
    assert colour.max() == 255 or colour.max() >= 254


def test_wrong_input_is_an_error():
    with pytest.raises(ExtractError, match="shape"):
        flow_picture(np.zeros((3, 4, 4)))
    with pytest.raises(ExtractError, match="finite"):
        flow_picture(np.full((2, 2, 2), np.nan))
    with pytest.raises(ExtractError, match="above 0"):
        flow_picture(np.zeros((2, 2, 2)), limit=0)
