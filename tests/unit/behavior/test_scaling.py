"""Coordinates from 0 to 1, and back."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.scaling import (
    Extent,
    parse_size,
    scaling_of_extent,
    scaling_of_size,
)
from mmpose_ext.storage import DataError

FILE = Path('tracking.nc')
EXTENT = Extent((100., 50.), (500., 150.))


def applied(scaling, points):
    position = np.array(points, np.float32).reshape(-1, 1, 1, 2)
    scaling.apply(position)
    return position[:, 0, 0]


def test_extent_leaves_missing_points_out():
    position = np.array([[3, 4], [np.nan, np.nan], [1, 9]],
                        np.float32).reshape(3, 1, 1, 2)
    assert Extent.of_position(position) == Extent((1., 4.), (3., 9.))


def test_isotropic_keeps_the_ratio_and_centres():
    scaling = scaling_of_extent(EXTENT, 'isotropic', FILE, 'xy')
    np.testing.assert_allclose(
        applied(scaling, [[100, 50], [500, 150], [300, 100]]),
        [[0, .375], [1, .625], [.5, .5]])


def test_per_axis_fills_every_axis():
    scaling = scaling_of_extent(EXTENT, 'per_axis', FILE, 'xy')
    np.testing.assert_allclose(
        applied(scaling, [[100, 50], [500, 150], [200, 75]]),
        [[0, 0], [1, 1], [.25, .25]])


def test_a_size_divides_each_axis_or_the_longest():
    per_axis = scaling_of_size((1000., 500.), 'per_axis', EXTENT, FILE, 'xy',
                               'scale_size')
    np.testing.assert_allclose(applied(per_axis, [[100, 50]]), [[.1, .1]])
    isotropic = scaling_of_size((1000., 500.), 'isotropic', EXTENT, FILE,
                                'xy', 'scale_size')
    np.testing.assert_allclose(
        applied(isotropic, [[100, 50], [0, 250]]), [[.1, .3], [0, .5]])


@pytest.mark.parametrize('mode', ['isotropic', 'per_axis'])
def test_scaling_can_be_undone(mode):
    scaling = scaling_of_extent(EXTENT, mode, FILE, 'xy')
    points = np.random.default_rng(0).uniform(50, 500, (70_000, 2))
    back = applied(scaling, points) * scaling.scales + scaling.offsets
    np.testing.assert_allclose(back, points, atol=1e-3)


@pytest.mark.parametrize(('size', 'parsed'), [
    ('1024x570', (1024., 570.)), (' 10 X 20 x 30.5 ', (10., 20., 30.5)),
    ([640, 480], (640., 480.)), (None, None), ('extent', 'extent')])
def test_sizes_can_be_written_in_several_ways(size, parsed):
    assert parse_size(size) == parsed


@pytest.mark.parametrize('size', [
    '640', '640x', '640,480', 'axb', 640, [640], [640, 480, 1, 1], [0, 480],
    [640, -1], [640, None], '640x0', 'auto'])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match='scale_size'):
        parse_size(size)


@pytest.mark.parametrize(('size', 'found'), [
    ((400., 500.), '100 to 500'), ((600., 100.), '50 to 150'),
    ((600., ), '1: 600'), ((600., 500., 400.), '600x500x400')])
def test_a_size_that_does_not_fit_is_refused(size, found):
    with pytest.raises(DataError, match=found):
        scaling_of_size(size, 'per_axis', EXTENT, FILE, 'xy', 'scale_size')


def test_a_negative_coordinate_is_outside():
    with pytest.raises(DataError, match='-1 to 5'):
        scaling_of_size((10., 10.), 'isotropic', Extent((-1., 0.), (5., 5.)),
                        FILE, 'xy', 'scale_size')


def test_a_constant_axis_is_refused_where_it_would_be_divided_by():
    flat = Extent((100., 50.), (500., 50.))
    with pytest.raises(DataError, match="axis 'y'") as caught:
        scaling_of_extent(flat, 'per_axis', FILE, 'xy')
    assert caught.value.found == '50 everywhere'
    scaling = scaling_of_extent(flat, 'isotropic', FILE, 'xy')
    np.testing.assert_allclose(applied(scaling, [[100, 50]]), [[0, .5]])
    with pytest.raises(DataError, match="axis 'x'"):
        scaling_of_extent(Extent((1., 2.), (1., 2.)), 'isotropic', FILE, 'xy')
