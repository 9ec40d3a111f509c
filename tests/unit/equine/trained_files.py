"""A model nobody trained, and pictures to show it."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, SKELETON

ROOT = Path(__file__).resolve().parents[3]
META = dict(
    dataset_name='horse26',
    keypoint_id2name=dict(enumerate(NAMES)),
    flip_indices=list(FLIP_INDICES))


def load_config() -> Config:
    init_default_scope('mmpose')
    return Config.fromfile(ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py')


def save_checkpoint(path: Path, meta: Any = META) -> Path:
    """Weights whose batch normalisation and last layer do something."""
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(load_config(), None, 'cpu')
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, .1)
            module.running_var.uniform_(.5, 2)
    torch.save(dict(state_dict=model.state_dict(),
                    meta={} if meta is None else dict(dataset_meta=meta)),
               path)
    return path


def picture(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(small, (width, height))


def write_folder(folder: Path, count: int = 3) -> Path:
    """Pictures of several sizes, suffixes and depths."""
    (folder / 'deep').mkdir(parents=True)
    for i in range(count):
        name = ('a{}.png', 'B{}.PNG', 'deep/c{}.jpg')[i % 3].format(i)
        cv2.imwrite(str(folder / name), picture(i, 90 + 10 * i))
    return folder


def write_coco(folder: Path, count: int = 3) -> Path:
    """A COCO file; its last picture shows two horses.

    The points stand on a grid in the box; the last of them is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 5)),
                    -1).reshape(-1, 2)[:26]
    for i in range(count):
        name = f'{i}.png'
        cv2.imwrite(str(folder / name), picture(i))
        images.append(dict(id=10 + i, file_name=name, width=120, height=90))
        boxes = [(10 + i, 12, 80, 60)] + [(30, 5, 50, 40)] * (i == count - 1)
        for x, y, w, h in boxes:
            points = grid * (w, h) + (x, y)
            rows = np.column_stack([points, np.full(26, 2.)])
            rows[25] = 0
            annotations.append(dict(
                id=100 + len(annotations), image_id=10 + i, category_id=1,
                keypoints=rows.ravel().tolist(), num_keypoints=25,
                bbox=[x, y, w, h], area=.53 * w * h, iscrowd=0))
    path = folder / 'horses.json'
    path.write_text(json.dumps(dict(
        images=images, annotations=annotations,
        categories=[dict(id=1, name='horse', keypoints=list(NAMES),
                         skeleton=[[a + 1, b + 1] for a, b in SKELETON])])))
    return path
