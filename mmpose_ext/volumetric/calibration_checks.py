"""Whether calibration, labels and pictures of a recording fit together.

Labels are projected and compared with the 2D labels that a file has beside
them. A systematic shift of one pixel, a wrong convention and noisy labels
leave different residuals; other readings of the calibration are tried, so
that the error can name the right one. V views, F labelled time points.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import DataError
from mmpose_ext.storage.label3d import Label3D

Array = np.ndarray

EXACT_PX = 1.  # labels that Label3D stored agree far better
_SHIFT_PX = (.7, 1.4)  # of a median residual that says: another first pixel
_NOISE_OF_ANIMAL = .3  # of its radius in the image; more is no noise
_NOISE_OF_IMAGE = .03  # of its diagonal
_NEAREST_MM, _FARTHEST_MM = 15., 5e4  # cameras to animals
_SMALLEST_MM = 1.  # of an animal
_MUST_SEE = .5  # share of the labels inside the images, in the mean view
_OFF_MIDDLE = .3  # of the image's side, a principal point can be that far


@dataclass(frozen=True)
class Residuals:
    """2D labels against projected 3D labels.

    Attributes:
        median_px: (V,) lengths of the residuals; NaN without labels,
            infinite where most points project to behind the camera.
        largest_px: (V,).
        shift_px: (V, 2) medians along x and y.
        spread_px: (V,) median length about the shift.
    """

    median_px: Array
    largest_px: Array
    shift_px: Array
    spread_px: Array


def label_residuals(record: Label3D, cameras: Cameras,
                    pixel_origin: int) -> Residuals | None:
    """Compare the 2D labels of a file with its 3D labels.

    Args:
        record (Label3D): The file.
        cameras (Cameras): V cameras, pixels from 0.
        pixel_origin (int): Where the 2D labels count from.

    Returns:
        Residuals: None if the file has no 2D label of a 3D label.
    """
    if record.pixels is None:
        return None
    pixels = np.asarray(record.pixels, np.float64) - pixel_origin
    projected, _ = cameras.project(record.points)
    # a 2D label that was never made is NaN, or (0, 0) in the file
    made = (np.isfinite(pixels) & (record.pixels != 0)).all(-1)
    made &= np.isfinite(record.points).all(-1)
    if not made.any():
        return None
    values = []
    for residual, there in zip(pixels - projected, made, strict=True):
        residual = residual[there]
        ahead = np.isfinite(residual).all(-1)
        if not len(residual) or ahead.mean() < .5:
            behind = np.inf if len(residual) else np.nan
            values.append([behind, behind, np.nan, np.nan, behind])
            continue
        residual = residual[ahead]
        length = np.linalg.norm(residual, axis=-1)
        shift = np.median(residual, 0)
        values.append([np.median(length), length.max(), *shift, np.median(
            np.linalg.norm(residual - shift, axis=-1))])
    table = np.array(values)
    return Residuals(table[:, 0], table[:, 1], table[:, 2:4], table[:, 4])


def check_image_sizes(path: Path, cameras: Cameras) -> None:
    """Check that the videos are as large as the calibrated images.

    Args:
        path (Path): The file of the calibration.
        cameras (Cameras): V cameras, pixels from 0, with sizes.

    Raises:
        DataError: If they are turned or resized.
    """
    if cameras.sizes is None:
        return
    for name, matrix, size in zip(cameras.names, cameras.intrinsics,
                                  cameras.sizes, strict=True):
        _check_principal_point(path, f'params of camera {name}', matrix, size)


def _check_principal_point(path: Path, where: str, matrix: Array,
                           size: Array) -> None:
    """Tell turned and resized videos by where the optical axis meets them."""
    point = matrix[:2, 2]
    share = point / size
    width, height = (int(side) for side in size)
    found = f'videos of {width} x {height} px'
    axis = f'the optical axis at ({point[0]:.0f}, {point[1]:.0f}) px'
    off = abs(share - .5).max()
    turned = abs(point / size[::-1] - .5).max()
    if turned < .05 < .1 < off:
        raise DataError(
            path, where, f'images {height} px wide and {width} px high, as '
            f'{axis} tells', found, 'the videos are turned by a quarter')
    factor = share.mean() * 2
    same = abs(share / share.mean() - 1).max() < .1
    if off > _OFF_MIDDLE and same and not .4 < factor < 1.6:
        raise DataError(
            path, where, f'images about {2 * point[0]:.0f} x '
            f'{2 * point[1]:.0f} px, as {axis} tells', found,
            f'the videos look {factor:.2g} times as small as what was '
            'calibrated' if factor > 1 else '')
    if off > _OFF_MIDDLE:
        print_log(f'{path}: {where}: {axis}, {found}: cropped?', 'current')


def check_units(path: Path, cameras: Cameras, labels: Array) -> None:
    """Refuse metres and micrometres for millimetres.

    Centimetres are not told from a smaller rig.

    Args:
        path (Path): The label file.
        cameras (Cameras): V cameras.
        labels (ndarray): (F, I, K, 3).

    Raises:
        DataError: If cameras or animals have no possible size.
    """
    places = labels[np.isfinite(labels).all(-1)]
    positions = cameras.positions
    middle = np.median(places, 0) if len(places) else positions.mean(0)
    if len(places) or len(cameras) > 1:
        distance = float(np.median(
            np.linalg.norm(positions - middle, axis=-1)))
        if not _NEAREST_MM <= distance <= _FARTHEST_MM:
            raise DataError(
                path, 'params, t', 'mm', f'cameras {distance:.3g} from the '
                'animals', 'they look like metres; multiply t and data_3d '
                'by 1000' if distance < _NEAREST_MM else
                'they look like micrometres')
    known = np.isfinite(labels).all(-1, keepdims=True)
    poses = known.sum((-2, -1)) > 1
    if not poses.any():
        return
    spans = (np.where(known, labels, -np.inf)[poses].max(-2)
             - np.where(known, labels, np.inf)[poses].min(-2)).max(-1)
    if np.median(spans) < _SMALLEST_MM:
        raise DataError(
            path, 'labelData.data_3d', 'mm',
            f'animals {np.median(spans):.3g} long',
            'they look like metres; multiply by 1000')


def compare_labels(path: Path, record: Label3D, cameras: Cameras,
                   pixel_origin: int) -> None:
    """Refuse a calibration by which the labels cannot have been made.

    Args:
        path (Path): The label file.
        record (Label3D): The same, read.
        cameras (Cameras): V cameras, pixels from 0.
        pixel_origin (int): Where the file counts pixels from.

    Raises:
        DataError: For a shift by a pixel and for another convention. Labels
            that are only noisy are logged.
    """
    residuals = label_residuals(record, cameras, pixel_origin)
    if residuals is None or not (residuals.median_px > EXACT_PX / 2).any():
        return
    view = int(np.nanargmax(residuals.median_px))
    where = f'labelData of {cameras.names[view]}, data_2d'
    shift, median = residuals.shift_px[view], residuals.median_px[view]
    low, high = _SHIFT_PX
    if (residuals.spread_px[view] < .25
            and ((abs(shift) > low) & (abs(shift) < high)).all()
            and shift[0] * shift[1] > 0):
        raise DataError(
            path, where, 'the pixels of the calibration: data_3d projected',
            f'points shifted by ({shift[0]:+.2f}, {shift[1]:+.2f}) px, '
            f'scattered by {residuals.spread_px[view]:.2f} px alone',
            'one of them counts pixels from 0 and the other from 1: wrong '
            'pixel_origin')
    if not median > _largest_noise(record, cameras, view):
        if median > EXACT_PX:
            print_log(
                f'{path}: {where}: {median:.1f} px from data_3d projected, in '
                'the median; the 2D labels are noisy, or the calibration is',
                'current')
        return
    cure = ''
    for text, other in _other_readings(cameras):
        tried = label_residuals(record, other, pixel_origin)
        if tried is not None and tried.median_px[view] < max(
                EXACT_PX, median / 20):
            cure = f'it fits with {text}'
            break
    raise DataError(
        path, where, 'data_3d projected, within a pixel',
        f'{median:.0f} px from it in the median' if np.isfinite(median) else
        'points behind the camera', cure or _find_swap(
            record, cameras, pixel_origin, view)
        or 'the labels were made with another calibration')


def _largest_noise(record: Label3D, cameras: Cameras, view: int) -> float:
    """Residual of a view, px, beyond which no noise of labels explains it.

    A share of the animal's radius in the image; of a single point, of the
    image, whose half is about the principal point.
    """
    assert record.pixels is not None
    pixels = record.pixels[view]
    if pixels.shape[1] > 1:
        radius = np.linalg.norm(
            pixels - np.nanmean(pixels, 1, keepdims=True), axis=-1)
        return max(3 * EXACT_PX, _NOISE_OF_ANIMAL * float(
            np.nanmedian(radius)))
    return _NOISE_OF_IMAGE * 2 * float(
        np.linalg.norm(cameras.intrinsics[view, :2, 2]))


def check_labels_in_images(path: Path, cameras: Cameras,
                           labels: Array) -> None:
    """Refuse a calibration by which most labels lie in no picture.

    Args:
        path (Path): The label file.
        cameras (Cameras): V cameras with sizes.
        labels (ndarray): (F, I, K, 3) mm.

    Raises:
        DataError: If fewer than half of them do, in the mean view.
    """
    places = labels[np.isfinite(labels).all(-1)]
    if not len(places) or cameras.sizes is None:
        return
    seen = _inside(cameras, places)
    if seen.mean() >= _MUST_SEE:
        for view in np.flatnonzero(seen < .05).tolist():
            name = cameras.names[view]
            for text, other in _other_readings(cameras.select([view])):
                if _inside(other, places)[0] > .9:
                    raise DataError(
                        path, f'params of camera {name}',
                        'labels ahead of it and inside its images',
                        f'{seen[view]:.0%} of them',
                        f'all are with {text}')
            print_log(f'{path}: camera {name} sees {seen[view]:.0%} of the '
                      'labels', 'current')
        return
    cure = next((f'they do with {text}'
                 for text, other in _other_readings(cameras)
                 if _inside(other, places).mean() > .9), '')
    views = ', '.join(f'{name} {share:.0%}'
                      for name, share in zip(cameras.names, seen, strict=True))
    raise DataError(path, 'params and data_3d',
                    'labels ahead of the cameras and inside the images',
                    f'inside: {views}', cure or
                    'the calibration is of other cameras or other videos')


def _inside(cameras: Cameras, points: Array) -> Array:
    """Share (V,) of points (N, 3) in each image."""
    return cameras.inside(cameras.project(points)[0]).mean(1)


def _other_readings(cameras: Cameras) -> Iterator[tuple[str, Cameras]]:
    """What a calibration might mean in other hands."""
    turned = cameras.rotations.transpose(0, 2, 1)
    yield 'r transposed', replace(cameras, rotations=turned)
    yield 'r and t of the inverse, world to camera', replace(
        cameras, rotations=turned,
        translations=-np.einsum('vij,vj->vi', turned, cameras.translations))
    yield 't as the position of the camera', replace(
        cameras, translations=-np.einsum(
            'vij,vj->vi', cameras.rotations, cameras.translations))
    for factor in (1000., .001):
        yield f't times {factor:g}', replace(
            cameras, translations=cameras.translations * factor)


def _find_swap(record: Label3D, cameras: Cameras, pixel_origin: int,
               view: int) -> str:
    """Whether the labels of a view are those of another camera."""
    for other, name in enumerate(cameras.names):
        order = [other] * len(cameras)
        tried = label_residuals(record, cameras.select(order), pixel_origin)
        if (other != view and tried is not None
                and tried.median_px[view] < EXACT_PX):
            return (f'it fits camera {name}: cameras or labels are in '
                    'another order')
    return ''
