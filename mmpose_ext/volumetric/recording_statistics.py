"""Figures of a recording that tell whether it can be learnt from.

K keypoints, F labelled time points, V views, E links.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmpose_ext.geometry.voxels import fitting_size
from mmpose_ext.storage.label3d import read_label3d
from mmpose_ext.training import keypoint_names
from mmpose_ext.volumetric.body_centres import centroids, place_of
from mmpose_ext.volumetric.calibration_checks import label_residuals
from mmpose_ext.volumetric.pose_scores import bone_lengths
from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.unlabelled import closest_pair

Array = np.ndarray

ROBUST_SIGMAS = 5.  # a bone further off its median is no noise of labelling
_FEWEST = 16  # lengths of a bone from which its scatter can be told
_SIGMA = 1.4826  # of a normal distribution, in median absolute deviations
_FINEST_SHARE = .02  # of a bone's length; rigid worlds have no scatter


@dataclass(frozen=True)
class OddBone:
    """A bone of an unlikely length.

    Attributes:
        sample_id: The time point.
        individual: Of the animals.
        link: Names of its ends.
        length_mm: Its length there.
        median_mm: Its median length.
        sigmas: How many robust standard deviations it is off.
    """

    sample_id: int
    individual: int
    link: tuple[str, str]
    length_mm: float
    median_mm: float
    sigmas: float


def view_statistics(recording: Recording) -> list[dict[str, Any]]:
    """Each camera's video, and how its 2D labels fit the calibration.

    Of several label files the worst counts.
    """
    cameras = recording.cameras
    residuals = [found for file in recording.label_files
                 if (found := label_residuals(
                     read_label3d(file, cameras.names), cameras,
                     recording.pixel_origin)) is not None]
    points = recording.points[recording.labelled].reshape(-1, 3)
    points = points[np.isfinite(points).all(-1)]
    inside = None
    if cameras.sizes is not None and len(points):
        inside = cameras.inside(cameras.project(points)[0]).mean(1)
    rows = []
    for view, name in enumerate(cameras.names):
        row: dict[str, Any] = dict(
            camera=name, size=None, frames=None, median_px=None,
            largest_px=None, inside=None)
        if cameras.sizes is not None:
            row['size'] = cameras.sizes[view].tolist()
        if inside is not None:
            row['inside'] = float(inside[view])
        if recording.videos:
            video = recording.videos[view]
            row['frames'] = [video.first, video.stop - 1]
        if residuals:
            row['median_px'], row['largest_px'] = (
                float(np.fmax.reduce([item[view] for item in parts]))
                for parts in ([item.median_px for item in residuals],
                              [item.largest_px for item in residuals]))
        rows.append(row)
    return rows


def recording_statistics(recording: Recording,
                         metainfo: dict[str, Any] | None) -> dict[str, Any]:
    """Everything worth knowing of a recording, ready for JSON.

    Args:
        recording (Recording): The recording.
        metainfo (dict, optional): Of its skeleton.
    """
    points = recording.points[recording.labelled]
    there = np.isfinite(points).all(-1)
    com = recording.com[recording.labelled]
    names = keypoint_names(metainfo) or tuple(
        map(str, range(recording.num_keypoints)))
    apart = np.linalg.norm(com - centroids(points), axis=-1)
    steps = np.linalg.norm(np.diff(recording.com, axis=0), axis=-1)
    statistics: dict[str, Any] = dict(
        name=recording.name,
        time_points=len(recording),
        labelled=int(recording.labelled.sum()),
        individuals=recording.num_individuals,
        fps=recording.fps,
        pixel_origin=recording.pixel_origin,
        views=view_statistics(recording),
        missing={name: int(count) for name, count in zip(
            names, (~there).sum((0, 1)), strict=True) if count},
        com_known=int(recording.com_known.sum()),
        unlabelled_usable=_usable(recording),
        com_to_centroid_mm=spread_of(apart),
        com_step_mm=spread_of(steps),
        extent_mm=largest_extent(recording))
    if recording.num_individuals > 1:
        statistics.update(individual_statistics(recording))
    known = np.isfinite(apart)  # a label and a middle
    statistics['suggested_vol_size_mm'] = (
        round(fitting_size(points[known], com[known]), 1)
        if known.any() else None)
    if metainfo:
        links = [(names[a], names[b]) for a, b in metainfo['skeleton_links']]
        lengths = bone_lengths(points, metainfo['skeleton_links'])
        statistics['bones_mm'] = {
            f'{first}-{second}': spread_of(lengths[..., i])
            for i, (first, second) in enumerate(links)
        }
    return statistics


def _usable(recording: Recording) -> int:
    """Unlabelled time points that a training could look at."""
    if not recording.videos:
        return 0
    return int((recording.com_known & ~recording.labelled).sum())


def individual_statistics(recording: Recording) -> dict[str, Any]:
    """What is known of each animal, and how near they come to each other.

    Args:
        recording (Recording): I animals.

    Returns:
        dict: ``animals``, I dicts of ``file``, ``labelled`` and ``com_known``
        time points and ``com_to_centroid_mm``; ``apart_mm``, the ``least``
        and ``median`` distance of the two that are closest, None unknown.
    """
    count = recording.num_individuals
    points, com = recording.points, recording.com
    labelled = recording.labelled_animals
    apart = np.linalg.norm(com - centroids(points), axis=-1)
    animals = [dict(
        file=place_of(recording.label_files, animal, count),
        labelled=int(labelled[:, animal].sum()),
        com_known=int(np.isfinite(com[:, animal]).all(-1).sum()),
        com_to_centroid_mm=spread_of(apart[:, animal]))
        for animal in range(count)]
    closest = closest_pair(com)
    closest = closest[np.isfinite(closest)]
    return dict(animals=animals, apart_mm=dict(
        least=float(closest.min()), median=float(np.median(closest))
    ) if len(closest) else None)


def spread_of(values: Array) -> dict[str, float] | None:
    """Median, 99.9th percentile and maximum of what is known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return dict(median=float(np.median(values)),
                most=float(np.percentile(values, 99.9)),
                largest=float(values.max()))


def largest_extent(recording: Recording) -> float | None:
    """How far a label lies off the middle along an axis, mm."""
    rows = recording.labelled
    apart = abs(recording.points[rows] - recording.com[rows, :, None])
    return float(np.nanmax(apart)) if np.isfinite(apart).any() else None


def odd_bones(recording: Recording,
              metainfo: dict[str, Any]) -> list[OddBone]:
    """Find bones that are much too long or short, worst first.

    Args:
        recording (Recording): The recording.
        metainfo (dict): Of its skeleton.

    Returns:
        list[OddBone]: Of all labelled time points; a bone that was labelled
        in fewer than 16 is not judged.
    """
    names = keypoint_names(metainfo)
    ids = recording.sample_ids[recording.labelled]
    lengths = bone_lengths(recording.points[recording.labelled],
                           metainfo['skeleton_links'])
    if not len(lengths):
        return []
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'All-NaN', RuntimeWarning)
        median = np.nanmedian(lengths, 0)
        sigma = _SIGMA * np.nanmedian(abs(lengths - median), 0)
    off = abs(lengths - median) / np.maximum(sigma, _FINEST_SHARE * median
                                             + 1e-9)
    enough = np.isfinite(lengths).sum(0) >= _FEWEST
    found = []
    for row, animal, bone in np.argwhere((off > ROBUST_SIGMAS) & enough):
        first, second = metainfo['skeleton_links'][bone]
        found.append(OddBone(
            int(ids[row]), int(animal), (names[first], names[second]),
            float(lengths[row, animal, bone]), float(median[animal, bone]),
            float(off[row, animal, bone])))
    return sorted(found, key=lambda item: -item.sigmas)


def outside_cube(recording: Recording, lowest_mm: float,
                 highest_mm: float) -> Array:
    """SampleIDs of labelled poses that leave the volume about the middle.

    Args:
        recording (Recording): The recording.
        lowest_mm (float): Lower border of the volume along each axis.
        highest_mm (float): Upper border.
    """
    rows = recording.labelled
    apart = recording.points[rows] - recording.com[rows, :, None]
    with np.errstate(invalid='ignore'):
        outside = ((apart < lowest_mm) | (apart > highest_mm)).any((1, 2, 3))
    return recording.sample_ids[rows][outside]


def statistics_text(statistics: dict[str, Any]) -> list[str]:
    """The statistics as lines of a report."""
    lines = [
        f'{statistics["time_points"]} time points, {statistics["labelled"]} '
        f'labelled, {statistics["individuals"]} animal'
        f'{"s" if statistics["individuals"] > 1 else ""}, pixels from '
        f'{statistics["pixel_origin"]}'
        + (f', {statistics["fps"]:g} fps' if statistics['fps'] else '')
    ]
    header = ('camera', 'size', 'frames', 'residual px', 'largest', 'inside')
    rows = [header, *(_view_text(view) for view in statistics['views'])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += ['  '.join(text.ljust(width) for text, width in zip(
        row, widths, strict=True)).rstrip() for row in rows]
    lines += _individuals_text(statistics)
    if statistics['unlabelled_usable']:
        lines.append(
            f'{statistics["unlabelled_usable"]} time points without a label '
            'have pictures and a middle'
            + (' of every animal' if statistics['individuals'] > 1 else ''))
    if statistics['missing']:
        lines.append('not labelled: ' + ', '.join(
            f'{name} {count}'
            for name, count in statistics['missing'].items()))
    for name, text in (('com_to_centroid_mm', 'middle to centroid of labels'),
                       ('com_step_mm', 'step of the middle')):
        spread = statistics[name]
        if spread:
            lines.append(f'{text}: median {spread["median"]:.1f}, 99.9 % '
                         f'{spread["most"]:.1f}, largest '
                         f'{spread["largest"]:.1f} mm')
    if any(statistics.get('bones_mm', {}).values()):
        lines.append('bones, median mm: ' + ', '.join(
            f'{name} {spread["median"]:.1f}'
            for name, spread in statistics['bones_mm'].items() if spread))
    if statistics['suggested_vol_size_mm']:
        lines.append(
            f'labels lie up to {statistics["extent_mm"]:.1f} mm off the '
            'middle along an axis: vol_size of '
            f'{statistics["suggested_vol_size_mm"]:g} mm or more, turns '
            'included')
    return lines


def _individuals_text(statistics: dict[str, Any]) -> list[str]:
    """A line for each of several animals, and how far they are apart."""
    lines = []
    for number, animal in enumerate(statistics.get('animals', ()), 1):
        spread = animal['com_to_centroid_mm']
        lines.append(
            f'animal {number}: {animal["labelled"]} labelled, middle known '
            f'at {animal["com_known"]}'
            + (f', {spread["median"]:.1f} mm off the labels in the median'
               if spread else ''))
    apart = statistics.get('apart_mm')
    if apart:
        lines.append(f'nearest animals: {apart["least"]:.1f} mm apart or '
                     f'more, median {apart["median"]:.1f}')
    return lines


def _view_text(view: dict[str, Any]) -> tuple[str, ...]:
    size, frames, inside = view['size'], view['frames'], view['inside']
    return (view['camera'],
            f'{size[0]} x {size[1]}' if size else '-',
            f'{frames[0]} to {frames[1]}' if frames else '-',
            *('-' if view[key] is None else f'{view[key]:.3f}'
              for key in ('median_px', 'largest_px')),
            '-' if inside is None else f'{inside:.0%}')
