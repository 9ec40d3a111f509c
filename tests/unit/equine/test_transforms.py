"""Changes to pixels beside colorsys, closed forms and MMPose's codecs."""
import colorsys

import cv2
import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap, SimCCLabel
from mmpose.datasets.transforms import RandomFlip

from mmpose_ext.equine.transforms import (
    HorseBlur,
    HorseCoarseDropout,
    HorseGaussNoise,
    HorseOcclusion,
    HorsePhotometricDistortion,
    HorseRandomFlip,
    turn_colors,
)
from mmpose_ext.registry import TRANSFORMS


def draw(transform, image, seed=0, **keys):
    np.random.seed(seed)
    return transform(dict(img=image, **keys))


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 48, 3), np.uint8)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_flips_are_those_of_mmpose_in_whole_memory(image, direction):
    flipped = 0
    for seed in range(20):
        found, expected = (
            draw(kind(.5, direction), image, seed, img_shape=(64, 48),
                 flip_indices=[1, 0, 2], bbox_center=np.array([[9., 8.]]),
                 keypoints=np.arange(6.).reshape(1, 3, 2),
                 keypoints_visible=np.array([[1., 0, 1]]))
            for kind in (HorseRandomFlip, RandomFlip))
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key])
        assert found['img'].flags.c_contiguous
        flipped += found['flip']
    assert 4 <= flipped <= 16


def turn_by_colorsys(image, saturation, hue_deg):
    result = np.empty(image.shape)
    for place in np.ndindex(image.shape[:2]):
        hue, colour, value = colorsys.rgb_to_hsv(*image[place][::-1] / 255)
        result[place] = colorsys.hsv_to_rgb(
            (hue + hue_deg / 360) % 1, min(colour * saturation, 1),
            value)[::-1]
    return 255 * result


@pytest.mark.parametrize('saturation, hue_deg', [
    (1, 18), (1, -18), (.5, 0), (1.5, 0), (1.4, -12), (.7, 170)])
def test_colours_turn_as_colorsys_turns_them(image, saturation, hue_deg):
    error = turn_colors(image, saturation, hue_deg) - turn_by_colorsys(
        image, saturation, hue_deg)
    assert np.abs(error).mean() < 1
    assert np.abs(error).max() < 10


def test_reddish_brown_turned_below_zero_stays_reddish():
    brown = np.array([[[40, 60, 200]]], np.uint8)
    turned = turn_colors(brown, 1, -10)
    np.testing.assert_allclose(turned[0, 0], [45, 40, 200], atol=3)


def test_contrast_is_applied_once_whatever_the_order(image):
    contrast = HorsePhotometricDistortion(
        0, (1.5, 1.5), (1, 1), 0, prob=1)
    expected = np.rint(np.minimum(image * 1.5, 255)).astype(np.uint8)
    for seed in range(20):
        np.testing.assert_array_equal(
            draw(contrast, image, seed)['img'], expected)


def test_brightness_shifts_all_levels_alike_and_clips():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    shift = HorsePhotometricDistortion(32, (1, 1), (1, 1), 0, prob=1)
    shifts = []
    for seed in range(200):
        bright = draw(shift, levels, seed)['img'].astype(int)
        shifts.append(bright[8, 0, 0] - 128)
        np.testing.assert_array_equal(
            bright, np.clip(levels.astype(int) + shifts[-1], 0, 255))
    assert -32 <= min(shifts) < -24 and 24 < max(shifts) <= 32


def test_each_step_happens_in_half_of_the_cases(image):
    contrast = HorsePhotometricDistortion(0, (1.5, 1.5), (1, 1), 0)
    changed = sum(
        not np.array_equal(draw(contrast, image, seed)['img'], image)
        for seed in range(400))
    assert 160 < changed < 240  # four standard deviations


def test_grey_stays_grey_and_channels_stay_unless_asked():
    grey = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    red = np.zeros((4, 4, 3), np.uint8) + np.uint8([0, 0, 250])
    strongest = HorsePhotometricDistortion(prob=1)
    swapping = HorsePhotometricDistortion(prob=1, swap_channels=True)
    for seed in range(50):
        assert np.ptp(draw(strongest, grey, seed)['img'], axis=-1).max() == 0
        assert draw(strongest, red, seed)['img'][0, 0].argmax() == 2
    brightest = {int(draw(swapping, red, seed)['img'][0, 0].argmax())
                 for seed in range(50)}
    assert brightest == {0, 1, 2}


@pytest.mark.parametrize('kind', [
    HorsePhotometricDistortion, HorseBlur, HorseGaussNoise,
    HorseCoarseDropout, HorseOcclusion])
def test_draws_depend_on_the_seed_alone_and_zero_prob_does_nothing(
        kind, image):
    before = image.copy()
    transform = kind(prob=1)
    first, again, other = (
        draw(transform, image, seed)['img'] for seed in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == image.shape
    np.testing.assert_array_equal(first, again)
    assert kind is HorseBlur or not np.array_equal(first, other)
    assert not np.array_equal(first, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(draw(kind(prob=0), image)['img'], image)
    assert TRANSFORMS.get(kind.__name__) is kind


def test_blur_draws_its_window_up_to_the_limit(image):
    for kind, blurs in (
            ('box', [cv2.blur(image, (n, n)) for n in (3, 5)]),
            ('median', [cv2.medianBlur(image, n) for n in (3, 5)])):
        transform = HorseBlur(limit=5, prob=1, kind=kind)
        seen = {
            next(i for i, blurred in enumerate(blurs)
                 if np.array_equal(blurred, draw(transform, image, s)['img']))
            for s in range(20)
        }
        assert seen == {0, 1}


@pytest.mark.parametrize('arguments', [
    dict(limit=4), dict(limit=1), dict(kind='gauss')])
def test_impossible_blurs_are_refused(arguments):
    with pytest.raises(ValueError, match='expected'):
        HorseBlur(**arguments)


def test_noise_is_independent_normal_and_of_the_asked_variance():
    grey = np.full((256, 256, 3), 128, np.uint8)
    for var in (10, 50):
        noisy = draw(HorseGaussNoise((var, var), prob=1), grey)['img']
        noise = noisy - 128.
        assert abs(noise.mean()) < .1
        # rounding to levels adds a twelfth
        assert noise.var() == pytest.approx(var + 1 / 12, rel=.02)
        assert (noise**4).mean() / noise.var()**2 == pytest.approx(3, abs=.1)
        assert abs(np.corrcoef(noise[..., 0].ravel(),
                               noise[..., 1].ravel())[0, 1]) < .02
    dark = np.zeros((8, 8, 3), np.uint8)
    assert draw(HorseGaussNoise(prob=1), dark)['img'].max() < 60


def test_noise_beyond_its_range_is_refused():
    for var in ((50, 10), (-1, 10), (0, 1000)):
        with pytest.raises(ValueError, match='var'):
            HorseGaussNoise(var)


def test_holes_are_black_few_and_small():
    white = np.full((256, 256, 3), 255, np.uint8)
    counts = []
    for seed in range(50):
        holes = (draw(HorseCoarseDropout(1, 32, prob=1), white,
                      seed)['img'] == 0).all(-1)
        rows, columns = np.nonzero(holes)
        assert 16 <= np.ptp(rows) + 1 <= 32 and np.ptp(rows) == np.ptp(
            columns)
        assert holes.sum() == (np.ptp(rows) + 1)**2
        many = (draw(HorseCoarseDropout(prob=1), white, seed)['img'] == 0)
        counts.append(many.all(-1).sum())
    assert min(counts) >= 16**2 and 4 * 32**2 < max(counts) <= 8 * 32**2


def test_occluders_have_one_colour_and_the_asked_sides():
    white = np.full((100, 200, 3), 255, np.uint8)
    grey = 0
    for seed in range(50):
        covered = draw(HorseOcclusion(1, prob=1), white, seed)['img']
        rows, columns = np.nonzero((covered != 255).any(-1))
        patch = covered[rows.min():rows.max() + 1,
                        columns.min():columns.max() + 1]
        assert 5 <= len(patch) <= 15 and 10 <= patch.shape[1] <= 30
        assert (patch == patch[0, 0]).all()
        grey += (patch[0, 0] == 127).all()
    assert 15 <= grey <= 35


def cover_all(image, weight):
    """A dropout whose one hole is the whole left part of the crop."""
    class Left(HorseCoarseDropout):
        def _draw_patches(self, height, width):
            return np.array([[0, 0, width // 2, height]])
    keypoints = np.array([[[10, 10], [127.4, 200], [127.6, 200], [250, 250],
                           [20, 20]]], np.float32)
    results = draw(
        Left(prob=1, mark_occluded=weight is not None,
             **({} if weight is None else dict(occluded_weight=weight))),
        image,
        transformed_keypoints=keypoints,
        keypoints_visible=np.array([[1, 1, 1, 1, 0]], np.float32))
    return keypoints, results['keypoints_visible']


@pytest.mark.parametrize('weight, expected', [
    (None, [1, 1, 1, 1, 0]), (.5, [.5, .5, 1, 1, 0]), (0, [0, 0, 1, 1, 0])])
def test_covered_points_weigh_what_is_asked_and_keep_their_target(
        weight, expected):
    image = np.zeros((256, 256, 3), np.uint8)
    keypoints, visible = cover_all(image, weight)
    simcc = SimCCLabel((256, 256), sigma=5.66)
    maps = MSRAHeatmap((256, 256), (64, 64), sigma=2)
    encoded = simcc.encode(keypoints, visible)
    np.testing.assert_allclose(encoded['keypoint_weights'], [expected])
    drawn = encoded['keypoint_x_labels'].max(-1)[0] > 0
    np.testing.assert_array_equal(drawn, np.array(expected) > 0)
    encoded = maps.encode(keypoints, visible)
    np.testing.assert_allclose(encoded['keypoint_weights'], [expected])
    np.testing.assert_array_equal(
        encoded['heatmaps'].max((1, 2)) > 0, np.array(expected) > 0)


def test_a_point_covered_twice_weighs_no_less(image):
    dropout = HorseCoarseDropout(
        8, 300, prob=1, mark_occluded=True, occluded_weight=.6)
    results = draw(
        dropout, image,
        transformed_keypoints=np.full((1, 3, 2), 24.),
        keypoints_visible=np.ones((1, 3, 2), np.float32))
    visible = results['keypoints_visible']
    np.testing.assert_allclose(visible[..., 0], .6)
    np.testing.assert_allclose(visible[..., 1], 1)  # the data set's weights


def test_weights_that_codecs_take_for_absence_are_refused():
    with pytest.raises(ValueError, match='occluded_weight'):
        HorseOcclusion(occluded_weight=.3)
