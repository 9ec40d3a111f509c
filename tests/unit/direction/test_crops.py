"""Crops of full frames, and where their pixels lie in the frame."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.direction.crops import (
    BlobFinder,
    crop_to_frame,
    cut_crop,
    frame_to_crop,
    read_centres,
)
from mmpose_ext.direction.frames import open_source
from mmpose_ext.storage import DataError, read_dlc_project


def texture(height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width),
                                             np.uint8)


def blob(shape: tuple[int, int], centre: np.ndarray,
         sigma: float) -> np.ndarray:
    """A smooth spot, drawn by its formula."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    square = (x - centre[0])**2 + (y - centre[1])**2
    return (220 * np.exp(-square / (2 * sigma**2))).astype(np.uint8)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:image.shape[0], :image.shape[1]]
    mass = image.astype(float)
    return np.array([(x * mass).sum(), (y * mass).sum()]) / mass.sum()


def test_crop_of_equal_scale_is_the_frames_pixels() -> None:
    frame = texture()
    crop, origin = cut_crop(frame, np.array([70.5, 60.5]), 50, 50)
    np.testing.assert_array_equal(crop, frame[36:86, 46:96])
    np.testing.assert_array_equal(origin, [46, 36])
    np.testing.assert_array_equal(
        crop_to_frame(np.array([3., 4.]), origin, 50, 50), [49., 40.])


@pytest.mark.parametrize('centre', [(0., 0.), (159., 119.), (-30., 60.)])
def test_crop_beyond_the_rim_repeats_the_edge(
        centre: tuple[float, float]) -> None:
    frame = texture()
    padded = cv2.copyMakeBorder(frame, 80, 80, 80, 80,
                                cv2.BORDER_REPLICATE)
    crop, origin = cut_crop(frame, np.array(centre), 50, 50)
    x, y = origin + 80
    np.testing.assert_array_equal(crop, padded[y:y + 50, x:x + 50])


@pytest.mark.parametrize('side', [30, 50, 75, 100])
def test_a_spot_is_found_again_through_the_crop(side: int) -> None:
    place = np.array([71.3, 55.8])
    frame = blob((120, 160), place, 4.)
    crop, origin = cut_crop(frame, place + [2.4, -3.1], side, 50)
    assert crop.shape == (50, 50)
    found = crop_to_frame(centre_of_mass(crop), origin, side, 50)
    np.testing.assert_allclose(found, place, atol=.15)
    np.testing.assert_allclose(
        frame_to_crop(found, origin, side, 50), centre_of_mass(crop))


def test_points_and_their_place_are_inverse() -> None:
    rng = np.random.default_rng(0)
    points, origin = rng.uniform(0, 600, (7, 2)), np.array([-3, 40])
    crop = frame_to_crop(points, origin, 188, 50)
    np.testing.assert_allclose(crop_to_frame(crop, origin, 188, 50), points)
    # the border of the frame's pixels is the border of the crop's
    np.testing.assert_allclose(frame_to_crop(origin - .5, origin, 188, 50),
                               [-.5, -.5])


def test_angles_survive_the_way_back() -> None:
    vector = np.array([[10., 10.], [17., 31.]])
    moved = crop_to_frame(vector, np.array([5, 9]), 130, 50)
    np.testing.assert_allclose(np.arctan2(*(vector[1] - vector[0])),
                               np.arctan2(*(moved[1] - moved[0])))


def test_colour_becomes_grey() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    crop, _ = cut_crop(frame, np.array([30., 30.]), 50, 50)
    np.testing.assert_array_equal(
        crop, cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)[6:56, 6:56])


@pytest.mark.parametrize('contrast', [-1, 1])
def test_blob_finder_follows_an_animal(contrast: int) -> None:
    generator = np.random.default_rng(0)
    floor = np.clip(generator.normal(128, 20, (90, 120)), 60, 190)
    places = np.stack([np.linspace(20, 100, 40),
                       45 + 20 * np.sin(np.linspace(0, 6, 40))], -1)

    def frame(place: np.ndarray | None) -> np.ndarray:
        image = floor + generator.normal(0, 2, floor.shape)
        if place is not None:
            image += contrast * .3 * blob(floor.shape, place, 5.)
        return np.clip(image, 0, 255).astype(np.uint8)

    frames = [frame(place) for place in places]
    finder = BlobFinder(frames)
    found = np.array([finder.find(i, image)
                      for i, image in enumerate(frames)])
    assert np.linalg.norm(found - places, axis=-1).max() < 1.
    assert np.isnan(finder.find(0, frame(None))).all()


def test_blob_finder_follows_a_real_mouse(real_data: Path) -> None:
    project = real_data / 'openfield_mouse'
    source = open_source(project / 'labeled-data' / 'm4s1', 50, 'bg',
                         side=150)
    centres = np.full((source.count, 2), np.nan)
    for batch in source.batches(32):
        centres[batch.frames] = batch.origins + 74.5
    # of 640x480 px; the labels are three of the head and the tail's base
    labels = np.nanmean(read_dlc_project(project).points[:, 0], 1)
    assert np.linalg.norm(centres - labels, axis=-1).max() < 65


def test_table_of_centres(tmp_path: Path) -> None:
    path = tmp_path / 'centres.csv'
    path.write_text('x,frame,y,area\n1.5,0,2.5,9\n3,2,4,9\n,3,,0\n')
    finder = read_centres(path)
    frame = texture()
    np.testing.assert_array_equal(finder.find(0, frame), [1.5, 2.5])
    np.testing.assert_array_equal(finder.find(2, frame), [3., 4.])
    for missing in (1, 3, 9):
        assert np.isnan(finder.find(missing, frame)).all()


def test_deeplabcut_tracks_give_the_mean_of_known_points(
        tmp_path: Path) -> None:
    path = tmp_path / 'videoDLC_x.csv'
    path.write_text('scorer,a,a,a,a,a,a\n'
                    'bodyparts,nose,nose,nose,tail,tail,tail\n'
                    'coords,x,y,likelihood,x,y,likelihood\n'
                    '0,10,20,1,30,40,1\n'
                    '1,,,,30,40,1\n')
    finder = read_centres(path)
    np.testing.assert_array_equal(finder.find(0, texture()), [20., 30.])
    np.testing.assert_array_equal(finder.find(1, texture()), [30., 40.])


@pytest.mark.parametrize(('text', 'where'), [
    ('frame,x\n0,1\n', "key 'y'"),
    ('frame,x,y\n', 'rows'),
    ('frame,x,y\n0,1,a\n', "line 2, column 'y'"),
    ('frame,x,y\n0,1,2\n0,1,2\n', "column 'frame'"),
    ('frame,x,y\n-1,1,2\n', "column 'frame'"),
    ('frame,x,y\n.5,1,2\n', "column 'frame'"),
    ('frame,x,y\nnan,1,2\n', "column 'frame'"),
])
def test_damaged_table_is_refused(tmp_path: Path, text: str,
                                  where: str) -> None:
    path = tmp_path / 'centres.csv'
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_centres(path)
    assert caught.value.where == where
