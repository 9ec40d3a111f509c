"""Small data sets, configs and projects that tests write."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

Array = np.ndarray

SIZE = 50
LOADERS = dict(train_dataloader='train', val_dataloader='val',
               test_dataloader='test')


def draw_animals(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Dark animals on a bright, uneven floor: images and points (N, 3, 2).

    Each is a thick line from base to neck with a thinner one to the head, in
    a direction and place of its own.
    """
    rng = np.random.default_rng(seed)
    images = np.empty((count, SIZE, SIZE), np.uint8)
    points = np.empty((count, 3, 2))
    for i in range(count):
        angle, turn = rng.uniform(-np.pi, np.pi), rng.uniform(-.6, .6)
        base = rng.uniform(-5, 5, 2) + 24.5 - 8 * np.array(
            [np.cos(angle), np.sin(angle)])
        neck = base + 15 * np.array([np.cos(angle), np.sin(angle)])
        head = neck + 7 * np.array(
            [np.cos(angle + turn), np.sin(angle + turn)])
        points[i] = base, neck, head
        floor = cv2.resize(rng.uniform(150, 220, (4, 4)), (SIZE, SIZE),
                           interpolation=cv2.INTER_CUBIC)
        image = np.clip(floor, 0, 255).astype(np.uint8)
        for start, end, width in ((base, neck, 7), (neck, head, 4)):
            cv2.line(image, *(tuple(int(v) for v in np.rint(p * 16))
                              for p in (start, end)),
                     int(rng.integers(20, 60)), width, cv2.LINE_AA, 4)
        images[i] = image
    return images, points


def arrays_of(count: int = 40, seed: int = 0, **changes: Any) -> dict:
    """Arrays of a sound data set; a change to None leaves one out."""
    images, points = draw_animals(count, seed)
    arrays = dict(
        images=images, locs_base=points[:, 0], locs_neck=points[:, 1],
        locs_head=points[:, 2], source_id=np.arange(count))
    arrays.update(changes)
    return {key: value for key, value in arrays.items() if value is not None}


def write_config(path: Path, ann_file: Path, **split_by: Any) -> Path:
    """A config with the three data loaders and no more."""
    lines = ["default_scope = 'mmpose'",
             "custom_imports = dict(imports=['mmpose_ext.direction'])",
             'randomness = dict(seed=0)']
    for loader, split in LOADERS.items():
        dataset = dict(type='mmpose_ext.DirectionDataset',
                       ann_file=str(ann_file), split=split,
                       split_by=split_by, test_mode=split != 'train')
        lines.append(f'{loader} = ' + repr(
            dict(batch_size=8, num_workers=0,
                 sampler=dict(type='mmpose_ext.DrawSampler',
                              shuffle=split == 'train'),
                 collate_fn=dict(type='mmpose_ext.pass_batch'),
                 dataset=dataset)))
    codec = dict(type='mmpose_ext.CenteredRegressionLabel',
                 input_size=(SIZE, SIZE))
    lines.append('model = ' + repr(
        dict(data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[127.5], std=[255.],
            batch_augments=[
                dict(type='mmpose_ext.BatchDirectionAugment', codec=codec)
            ]))))
    path.write_text('\n'.join(lines) + '\n')
    return path


BODYPARTS = ('nose', 'left_ear', 'right_ear', 'tail_base')


def draw_frame(points: Array, width: int = 200, height: int = 160) -> Array:
    """A frame (H, W, 3) with a bright dot of 5 px about each point."""
    frame = np.full((height, width, 3), 40, np.uint8)
    for point in points:
        center = tuple(int(v) for v in np.rint(np.asarray(point) * 16))
        cv2.circle(frame, center, 3 << 4, (255, 255, 255), cv2.FILLED,
                   cv2.LINE_AA, 4)
    return frame


def animal_points(count: int, seed: int = 0) -> Array:
    """Points (N, 4, 2) of BODYPARTS in 200x160 px frames."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-np.pi, np.pi, count)
    ahead = np.stack([np.cos(angle), np.sin(angle)], -1)
    aside = np.stack([-np.sin(angle), np.cos(angle)], -1)
    base = rng.uniform(60, 100, (count, 2)) - 20 * ahead
    neck = base + 40 * ahead
    return np.stack([neck + 16 * ahead, neck - 8 * aside, neck + 8 * aside,
                     base], 1)


def write_dlc_project(folder: Path, points: Array,
                      session: str = 'rat1',
                      cells: dict[tuple[int, int], str] | None = None,
                      bodyparts: tuple[str, ...] = BODYPARTS) -> Path:
    """A labelled project; `cells` replaces numbers of the table by text."""
    images = folder / 'labeled-data' / session
    images.mkdir(parents=True)
    parts = ''.join(f'- {part}\n' for part in bodyparts)
    (folder / 'config.yaml').write_text(
        f'Task: test\nscorer: me\nmultianimalproject:\nbodyparts:\n{parts}')
    double = [part for part in bodyparts for _ in 'xy']
    rows = [['scorer'] + ['me'] * len(double), ['bodyparts', *double],
            ['coords'] + ['x', 'y'] * len(bodyparts)]
    for i, row in enumerate(points):
        name = f'img{i:03d}.png'
        known = row[np.isfinite(row).all(-1)]
        cv2.imwrite(str(images / name), draw_frame(known))
        numbers = ['' if np.isnan(v) else f'{v:.6f}' for v in row.ravel()]
        for (line, column), text in (cells or {}).items():
            if line == i:
                numbers[column] = text
        rows.append([f'labeled-data/{session}/{name}', *numbers])
    (images / 'CollectedData_me.csv').write_text(
        '\n'.join(','.join(row) for row in rows) + '\n')
    return folder


def write_dlc_tracks(path: Path, points: Array, score: float = .9) -> Path:
    """Predictions (T, 4, 2) of one animal as DeepLabCut's CSV."""
    triple = [part for part in BODYPARTS for _ in range(3)]
    rows = [['scorer'] + ['net'] * len(triple), ['bodyparts', *triple],
            ['coords'] + ['x', 'y', 'likelihood'] * len(BODYPARTS)]
    for i, row in enumerate(points):
        cells = [f'{v:.6f}' for x, y in row for v in (x, y, score)]
        rows.append([str(i), *cells])
    path.write_text('\n'.join(','.join(row) for row in rows) + '\n')
    return path
