"""Colours change as closed forms say."""
from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from mmpose_ext.volumetric.photometric import change_colors, to_grey


def noise(channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (channels, 20, 30), generator=generator,
                         dtype=torch.uint8)


@pytest.mark.parametrize('channels', [1, 3])
def test_no_change_is_exact(channels):
    image = noise(channels)
    np.testing.assert_array_equal(change_colors(image, 1., 1., 0.), image)


@pytest.mark.parametrize('channels', [1, 3])
def test_brightness_then_contrast_about_mid_grey(channels):
    image = noise(channels)
    expected = np.clip(
        np.rint((image.double().numpy() * .9 - 127.5) * 1.3 + 127.5), 0, 255)
    found = change_colors(image, .9, 1.3, 0.)
    assert found.dtype == torch.uint8
    np.testing.assert_allclose(found, expected, atol=1)
    assert (found.numpy() == expected).mean() > .99


def test_a_third_of_the_circle_exchanges_the_channels():
    image = noise()
    np.testing.assert_array_equal(change_colors(image, 1., 1., 1 / 3),
                                  image[[2, 0, 1]])


def test_hue_turns_as_far_as_asked_and_greys_stay():
    pale = torch.tensor([140, 120, 110], dtype=torch.uint8)[:, None, None]
    before, after = (
        colorsys.rgb_to_hsv(*(image.flatten().numpy() / 255.))[0]
        for image in (pale, change_colors(pale, 1., 1., .05)))
    assert after - before == pytest.approx(.05, abs=.02)
    grey = noise(1).expand(3, -1, -1)
    np.testing.assert_array_equal(change_colors(grey, 1., 1., .05), grey)


def test_grey_is_luma():
    image = noise()
    found = to_grey(image)
    np.testing.assert_allclose(
        found[0], np.tensordot([.2125, .7154, .0721], image, 1), atol=1e-3)
    np.testing.assert_array_equal(to_grey(found), found)
