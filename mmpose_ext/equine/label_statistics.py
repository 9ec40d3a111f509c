"""Figures that describe a file of labelled horses."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmpose_ext.equine.checked_labels import Labels
from mmpose_ext.equine.findings import printable

Array = np.ndarray


def label_statistics(content: Mapping[str, Any],
                     labels: Labels) -> dict[str, Any]:
    """Counts, sizes and visibility of a COCO file.

    Args:
        content (Mapping): The file.
        labels (Labels): What of it is sound; sizes, points and areas are of
            these.

    Returns:
        dict: JSON-ready, nested; spans are ``[min, mean, max]``.
    """
    visibility = labels.visibility
    used = np.unique(labels.image_rows)
    size = np.array([[labels.images[i]['width'], labels.images[i]['height']]
                     for i in used], float).reshape(-1, 2)
    return dict(
        images=len(content['images']),
        annotations=len(content['annotations']),
        sound_annotations=len(labels.rows),
        categories=[
            dict(name=printable(str(category.get('name'))),
                 keypoints=len(_list(category.get('keypoints'))),
                 first_names=[printable(str(name)) for name in
                              _list(category.get('keypoints'))[:5]],
                 links=len(_list(category.get('skeleton'))))
            for category in content['categories']
            if isinstance(category, Mapping)],
        width=_span(size[:, 0]),
        height=_span(size[:, 1]),
        num_keypoints=_span((visibility > 0).sum(1)),
        area=_span(labels.areas[np.isfinite(labels.areas)]),
        visibility={str(v): int((visibility == v).sum()) for v in range(3)},
        keypoints={
            printable(name): dict(visible=int((visibility[:, k] == 2).sum()),
                       occluded=int((visibility[:, k] == 1).sum()),
                       missing=int((visibility[:, k] == 0).sum()))
            for k, name in enumerate(labels.names)})


def statistics_text(statistics: Mapping[str, Any]) -> list[str]:
    """The same as lines for the screen."""
    lines = [f'{statistics["images"]} images, {statistics["annotations"]} '
             f'annotations, {len(statistics["categories"])} categories']
    for category in statistics['categories']:
        names = ', '.join(category['first_names'])
        lines.append(
            f'category {category["name"]}: {category["keypoints"]} keypoints '
            f'({names}, ...), {category["links"]} links')
    total = sum(statistics['visibility'].values())
    if not total:
        return lines
    for key, unit in (('width', ' px'), ('height', ' px'),
                      ('num_keypoints', ''), ('area', ' px²')):
        if statistics[key]:
            low, mean, high = statistics[key]
            lines.append(f'{key}: {low:g} to {high:g}{unit}, mean {mean:.1f}')
    lines.append('visibility: ' + ', '.join(
        f'{word} {statistics["visibility"][v]} '
        f'({100 * statistics["visibility"][v] / total:.1f} %)'
        for v, word in (('2', 'visible'), ('1', 'occluded'),
                        ('0', 'missing'))))
    lines.append(f'{"keypoint":<12}{"visible":>9}{"occluded":>10}'
                 f'{"missing":>9}{"% visible":>11}')
    for name, row in statistics['keypoints'].items():
        share = 100 * row['visible'] / sum(row.values())
        lines.append(f'{name:<12}{row["visible"]:>9}{row["occluded"]:>10}'
                     f'{row["missing"]:>9}{share:>11.1f}')
    return lines


def _span(values: Array) -> list[float] | None:
    """Least, mean and greatest; None of nothing."""
    if not len(values):
        return None
    return [round(float(value), 3)
            for value in (values.min(), values.mean(), values.max())]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
