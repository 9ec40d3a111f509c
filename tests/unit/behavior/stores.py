"""Small stores of tracks, made in memory."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from mmpose_ext.behavior.track_store import TrackStore

KEYPOINTS = ('nose', 'left_ear', 'right_ear', 'neck', 'left_hip',
             'right_hip', 'tail')


def make_store(lengths=(300, 200, 400), individuals=2, keypoints=3, axes=2,
               seed=0, fps=30., classes=('run', 'other')):
    """Smooth random tracks in [0, 1]; every frame is unlike any other."""
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    shape = (individuals, keypoints, axes)
    phase = rng.uniform(0, 2 * np.pi, shape)
    speed = rng.uniform(.01, .05, shape)
    time = np.arange(total)[:, None, None, None]
    tracks = .5 + .4 * np.sin(phase + speed * time)
    tracks = np.concatenate([tracks, np.full((1, *shape), np.nan)])
    labels = np.zeros((total, len(classes)), np.uint8)
    labels[np.arange(total), rng.integers(0, len(classes), total)] = 1
    count = len(lengths)
    return TrackStore(
        source=Path('toy'), tracks=tracks.astype(np.float32),
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(
            np.int64),
        lengths=np.array(lengths, np.int64), labels=labels,
        ids=tuple(f'r{i}' for i in range(count)),
        individuals=tuple(f'mouse{i}' for i in range(individuals)),
        keypoints=KEYPOINTS[:keypoints], axes=('x', 'y', 'z')[:axes],
        classes=classes, fps=np.full(count, fps),
        scales=np.ones((count, axes)), offsets=np.zeros((count, axes)),
        first_frames=np.zeros(count, np.int64))
