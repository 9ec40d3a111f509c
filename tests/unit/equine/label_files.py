"""The same labelled horses as files of every source that is understood."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.commands import run_convert
from mmpose_ext.equine.horse26 import NAMES

SIZE = (160, 120)
PARTS = ('train', 'val', 'test')


@dataclass
class Truth:
    """N pictures of one horse each: names, (N, 26, 2) and (N, 26)."""

    names: list[str]
    points: np.ndarray
    visibility: np.ndarray


def convert(*words: object) -> int:
    return run_convert('', [str(word) for word in words])


def draw_picture(path: Path, seed: int,
                 size: tuple[int, int] = SIZE) -> None:
    """A picture that looks like no other."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.resize(
        coarse, size, interpolation=cv2.INTER_CUBIC))


def make_truth(folder: Path, count: int = 3, occluded: bool = True) -> Truth:
    """Pictures in a folder and what is labelled on them."""
    rng = np.random.default_rng(count)
    names = [f'horse{i}_{i:03}.png' for i in range(count)]
    for i, name in enumerate(names):
        draw_picture(folder / name, 100 + i)
    # steps of 1/8 px survive any text
    points = rng.integers(80, 8 * (np.array(SIZE) - 10), (count, 26, 2)) / 8
    visibility = rng.choice([0, 1, 2] if occluded else [0, 2], (count, 26))
    visibility[:, :6] = 2
    points[visibility == 0] = 0
    return Truth(names, points, visibility)


def write_coco(path: Path, truth: Truth,
               names: tuple[str, ...] = NAMES) -> Path:
    content = dict(
        images=[dict(id=i, file_name=name, width=SIZE[0], height=SIZE[1])
                for i, name in enumerate(truth.names)],
        annotations=[dict(
            id=10 + i, image_id=i, category_id=7, iscrowd=0,
            keypoints=np.concatenate(
                [truth.points[i], truth.visibility[i, :, None]],
                1).ravel().tolist()) for i in range(len(truth.names))],
        categories=[dict(id=7, name='horse', keypoints=list(names))])
    path.write_text(json.dumps(content))
    return path


def region(name: str, point: np.ndarray, seen: int, number: int) -> dict:
    return {
        'id': f'r{number}', 'type': 'keypointlabels', 'to_name': 'img',
        'original_width': SIZE[0], 'original_height': SIZE[1],
        'image_rotation': 0,
        'meta': {'text': ['occluded']} if seen == 1 else {},
        'value': {'x': (point[0] + .5) / SIZE[0] * 100, 'width': .5,
                  'y': (point[1] + .5) / SIZE[1] * 100,
                  'keypointlabels': [name]}}


def regions(truth: Truth, row: int) -> list[dict]:
    return [region(name, truth.points[row, k], truth.visibility[row, k], k)
            for k, name in enumerate(NAMES) if truth.visibility[row, k]]


def write_label_studio(path: Path, truth: Truth) -> Path:
    path.write_text(json.dumps([
        {'id': i, 'data': {'image': f'/data/local-files/?d=pictures/{name}'},
         'annotations': [{'id': i, 'was_cancelled': False,
                          'updated_at': '2024-01-01T00:00:00Z',
                          'result': regions(truth, i)}]}
        for i, name in enumerate(truth.names)]))
    return path


def write_json_min(path: Path, truth: Truth) -> Path:
    path.write_text(json.dumps([
        {'id': i, 'image': f's3://bucket/pictures/{name}', 'annotator': 1,
         'annotation_id': i, 'updated_at': '2024-01-01T00:00:00Z',
         'kp': [{**each['value'], 'original_width': SIZE[0],
                 'original_height': SIZE[1], 'meta': each['meta']}
                for each in regions(truth, i)]}
        for i, name in enumerate(truth.names)]))
    return path


def write_cvat(path: Path, truth: Truth) -> Path:
    lines = ['<?xml version="1.0"?>', '<annotations><version>1.1</version>']
    for i, name in enumerate(truth.names):
        lines.append(f'<image id="{i}" name="{name}" width="{SIZE[0]}" '
                     f'height="{SIZE[1]}"><skeleton label="horse">')
        for k, label in enumerate(NAMES):
            x, y = truth.points[i, k] + .5
            seen = truth.visibility[i, k]
            lines.append(f'<points label="{label}" outside="{int(seen == 0)}"'
                         f' occluded="{int(seen == 1)}" points="{x},{y}"/>')
        lines.append('</skeleton></image>')
    path.write_text('\n'.join([*lines, '</annotations>']))
    return path


def write_csv(path: Path, truth: Truth) -> Path:
    lines = ['file,name,x,y,v']
    for i, name in enumerate(truth.names):
        lines += [f'{name},{label},{truth.points[i, k, 0]},'
                  f'{truth.points[i, k, 1]},{truth.visibility[i, k]}'
                  for k, label in enumerate(NAMES)]
    path.write_text('\n'.join(lines) + '\n')
    return path


def write_dlc(folder: Path, truth: Truth, pictures: Path) -> Path:
    """A project of one session; DeepLabCut knows no occluded points."""
    session = folder / 'labeled-data' / 'clip'
    session.mkdir(parents=True)
    (folder / 'config.yaml').write_text(
        'scorer: me\nbodyparts:\n' + ''.join(f'- {n}\n' for n in NAMES))
    rows = [['scorer', *['me'] * 52],
            ['bodyparts', *[n for n in NAMES for _ in 'xy']],
            ['coords', *['x', 'y'] * 26]]
    for i, name in enumerate(truth.names):
        (session / name).write_bytes((pictures / name).read_bytes())
        rows.append([f'labeled-data/clip/{name}', *[
            str(value) if truth.visibility[i, k] else ''
            for k in range(26) for value in truth.points[i, k]]])
    (session / 'CollectedData_me.csv').write_text(
        '\n'.join(','.join(row) for row in rows) + '\n')
    return folder


WRITERS: dict[str, tuple[str, str, Callable[[Path, Truth], Path]]] = {
    'coco': ('coco', 'l.json', write_coco),
    'label studio': ('labelstudio', 'l.json', write_label_studio),
    'json-min': ('labelstudio', 'l.json', write_json_min),
    'cvat': ('cvat', 'l.xml', write_cvat),
    'csv': ('csv', 'l.csv', write_csv),
}


def read_parts(out: Path) -> dict[str, dict]:
    return {part: json.loads(
        (out / 'annotations' / f'horse_{part}.json').read_text())
        for part in PARTS}


def read_labels(out: Path) -> dict[str, list[dict]]:
    """Annotations by the name of their picture."""
    found: dict[str, list[dict]] = {}
    for content in read_parts(out).values():
        names = {image['id']: image['file_name']
                 for image in content['images']}
        for annotation in content['annotations']:
            found.setdefault(names[annotation['image_id']], []).append(
                annotation)
    return found


def part_of(out: Path) -> dict[str, str]:
    """Part of each picture."""
    return {image['file_name']: part
            for part, content in read_parts(out).items()
            for image in content['images']}
