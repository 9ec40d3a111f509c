"""Labels that are possible and yet worth a look: warnings all of them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.equine.anatomy import (
    LIKELY_SWAP,
    LONG_BONE,
    bone_z_scores,
    swap_scores,
)
from mmpose_ext.equine.checked_labels import Labels
from mmpose_ext.equine.findings import Finding, Place
from mmpose_ext.equine.horse26 import NAMES, SKELETON

Array = np.ndarray

PADDING = 1.25  # GetBBoxCenterScale enlarges a box by it
LEAST_AREA = 1000  # px²
LEAST_POINTS = 10
SLACK = 1.  # px by which rounding may push a point or a box out


def inspect_labels(labels: Labels) -> list[Finding]:
    """Look at points, boxes and bodies; the names decide about the latter."""
    if not len(labels.rows):
        return []
    findings = [*_odd_points(labels), *_odd_boxes(labels),
                *_unlabelled(labels)]
    if labels.names == NAMES:
        findings += [*_odd_bones(labels), *_odd_sides(labels)]
    return findings


def _odd_points(labels: Labels) -> list[Finding]:
    points, labelled = labels.points, labels.visibility > 0
    origin = labelled & (points == 0).all(-1)
    size = labels.sizes[:, None]
    outside = labelled & ~origin & (
        (points < -SLACK) | (points > size - 1 + SLACK)).any(-1)
    centre = (labels.boxes[:, :2] + labels.boxes[:, 2:] / 2)[:, None]
    reach = labels.boxes[:, None, 2:] / 2 * PADDING
    missed = labelled & ~origin & ~outside & (
        np.abs(points - centre) > reach).any(-1)

    def named(mask: Array, i: int) -> str:
        ids = np.flatnonzero(mask[i])
        k = int(ids[0])
        x, y = points[i, k]
        more = f' and {len(ids) - 1} more' if len(ids) > 1 else ''
        return f'{labels.names[k]} at ({x:g}, {y:g}){more}'

    return [
        *labels.finding(
            origin.any(1), 'keypoints', 'no labelled point at (0, 0)',
            lambda i: named(origin, i),
            'an absent point has visibility 0'),
        *labels.finding(
            outside.any(1), 'keypoints', 'points on the image',
            lambda i: f'{named(outside, i)} on {labels.sizes[i, 0]:g}x'
            f'{labels.sizes[i, 1]:g} px'),
        *labels.finding(
            missed.any(1), 'keypoints',
            'points in the box enlarged by 25 %, which is what is cut out',
            lambda i: named(missed, i)),
    ]


def _odd_boxes(labels: Labels) -> list[Finding]:
    start, extent = labels.boxes[:, :2], labels.boxes[:, 2:]
    leaves = ((start < -SLACK) | (start + extent > labels.sizes + SLACK)
              ).any(1)
    return [
        *labels.finding(
            leaves, 'bbox', 'a box within the image',
            lambda i: f'[{", ".join(f"{v:g}" for v in labels.boxes[i])}] on '
            f'{labels.sizes[i, 0]:g}x{labels.sizes[i, 1]:g} px',
            'the loader cuts it off'),
        *labels.finding(
            labels.areas < LEAST_AREA, 'area', f'at least {LEAST_AREA} px²',
            lambda i: f'{labels.areas[i]:g}'),
    ]


def _unlabelled(labels: Labels) -> list[Finding]:
    counts = (labels.visibility > 0).sum(1)
    findings = labels.finding(
        counts < min(LEAST_POINTS, len(labels.names)), 'num_keypoints',
        f'at least {LEAST_POINTS} points', lambda i: str(counts[i]))
    never = [name for name, visible in zip(
        labels.names, (labels.visibility == 2).any(0), strict=True)
        if not visible]
    if never:
        findings.append(Finding(
            labels.file, 'keypoints', 'every point visible somewhere',
            (Place('', f'{", ".join(never)} never visible'), ),
            'the network cannot learn them', is_warning=True))
    return findings


def _odd_bones(labels: Labels) -> list[Finding]:
    scores = np.nan_to_num(bone_z_scores(labels.points, labels.visibility),
                           nan=-np.inf)
    worst = scores.argmax(1)

    def named(i: int) -> str:
        first, second = SKELETON[worst[i]]
        return (f'{NAMES[first]} to {NAMES[second]} too long by '
                f'{scores[i, worst[i]]:.1f} deviations')

    highest = scores.max(1, initial=-np.inf)
    return labels.finding(
        highest > LONG_BONE, 'bone length',
        f'what is usual for the size of the horse, up to {LONG_BONE:g} '
        'deviations', named, scores=highest)


def _odd_sides(labels: Labels) -> list[Finding]:
    scores, parts = swap_scores(labels.points, labels.visibility)
    return labels.finding(
        scores > LIKELY_SWAP, 'left and right',
        'sides as in the other annotations',
        lambda i: f'{parts[i]} likely exchanged, score {scores[i]:.1f}',
        'a guess from the other annotations; the score is the gain of the '
        'log-likelihood', scores)


def duplicate_images(path: Path, images: Sequence[Any], pairs: Array,
                     other_path: Path,
                     other_images: Sequence[Any]) -> list[Finding]:
    """Name pairs (P, 2) of pictures that show nearly the same thing.

    Args:
        path (Path): The annotation file of the first pictures.
        images (Sequence): Its list of images.
        pairs (ndarray): Positions in `images` and `other_images`.
        other_path (Path): The file of the second; may be the same.
        other_images (Sequence): Its list of images.
    """
    same = path == other_path
    where = '' if same else f' of {other_path.name}'
    places = tuple(
        Place(f'image {images[i].get("id")} ({images[i].get("file_name")})',
              f'nearly that of {other_images[j].get("file_name")}{where}', i)
        for i, j in pairs)
    finding = Finding(
        path, 'image', 'a picture of its own' if same else
        f'no picture of {other_path.name}', places,
        'neighbouring frames teach little new' if same else
        'what was trained on tests nothing: put both in one split',
        is_warning=True)
    return [finding] if places else []


def shared_ids(path: Path, content: Mapping[str, Any], other_path: Path,
               other: Mapping[str, Any]) -> list[Finding]:
    """Annotations of two splits under one id, which merging would mix up."""
    known = {entry.get('id') for entry in other['annotations']
             if isinstance(entry, Mapping)
             and isinstance(entry.get('id'), int)}
    places = tuple(
        Place(f'annotation {entry["id"]}', f'one of {other_path.name} too',
              annotation=i)
        for i, entry in enumerate(content['annotations'])
        if isinstance(entry, Mapping) and isinstance(entry.get('id'), int)
        and entry['id'] in known)
    finding = Finding(path, 'id', 'ids that no other split has', places,
                      'harmless until the splits are merged',
                      is_warning=True)
    return [finding] if places else []
