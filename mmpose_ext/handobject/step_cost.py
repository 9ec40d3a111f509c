"""What a training step of a network costs, at its real size, without data.

A step is forward pass with all losses, and backward pass, of a batch that is
made up. Each measurement has a process of its own, whose peak of memory is
its alone::

    python -m mmpose_ext.handobject.step_cost CONFIG BATCH REPETITIONS RATIO
"""
from __future__ import annotations

import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.handobject.hand import WRIST
from mmpose_ext.handobject.missing_files import drop_losses_without_files
from mmpose_ext.handobject.model_report import without_weights
from mmpose_ext.handobject.objects import NUM_CLASSES
from mmpose_ext.registry import KEYPOINT_CODECS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training.activation_checkpointing import (
    run_twice,
    select_blocks,
)
from mmpose_ext.training.loading import without_log
from mmpose_ext.training.stopwatch import peak_memory

_PROCESS_SECONDS = 1800
_HOOK = 'ActivationCheckpointHook'


def compare_steps(config: Config, batch: int = 1,
                  repetitions: int = 3) -> dict[str, Any]:
    """Cost of a step with all activations kept, and with blocks run twice.

    Args:
        config (Config): Of a training; its weights are drawn, its data is
            not needed.
        batch (int): Samples a step. Defaults to 1.
        repetitions (int): Steps that count, after one that does not.
            Defaults to 3.

    Returns:
        dict: ``batch_size``; ``kept`` and ``checkpointed``, each with
        ``forward_cpu_s`` and ``step_cpu_s`` (medians of a sample),
        ``peak_mib`` and ``built_mib``, the memory before the first step;
        ``time_ratio`` and ``memory_ratio``, the second over the first;
        ``checkpointed_share`` of the blocks; ``losses_left_out``, which need
        files that are not there.
    """
    config = without_weights(config)
    left_out = drop_losses_without_files(config)
    ratio = _ratio_of(config)
    found: dict[str, Any] = dict(
        batch_size=batch, checkpointed_share=ratio, losses_left_out=left_out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'config.py'
        path.write_text(_text_of(config))
        for name, share in (('kept', 0.), ('checkpointed', ratio)):
            found[name] = _measure_apart(path, batch, repetitions, share)
    for name, key in (('time_ratio', 'step_cpu_s'),
                      ('memory_ratio', 'peak_mib')):
        found[name] = found['checkpointed'][key] / found['kept'][key]
    return found


def make_batch(config: Config, count: int, seed: int = 0) -> dict[str, Any]:
    """A batch of noise with labels that fit together.

    Args:
        config (Config): With a ``model``, whose head has the codec.
        count (int): B.
        seed (int): Defaults to 0.

    Returns:
        dict: ``inputs``, a list of (3, S, S) uint8, and ``data_samples``.
    """
    head = config.model.head
    size = int(head.input_size[0])
    codec: Any = KEYPOINT_CODECS.build(head.decoder)
    rng = np.random.default_rng(seed)
    samples = []
    for row in range(count):
        labels = codec.encode(**_make_view(rng, size))
        sample = PoseDataSample(metainfo=dict(
            id=row, view_rotation=np.eye(3), pixel_map=np.eye(3),
            mirrored=False, view_camera=_camera(size)))
        sample.gt_instance_labels = InstanceData(**{
            name: torch.from_numpy(labels[key])
            for key, name in codec.label_mapping_table.items()})
        samples.append(sample)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, size, size), generator=generator,
                           dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def measure_step(config: Config, batch: int, repetitions: int,
                 ratio: float) -> dict[str, float]:
    """Measure in this process.

    Args:
        config (Config): Of a training.
        batch (int): Samples.
        repetitions (int): Steps that count.
        ratio (float): Share of the blocks that run twice.
    """
    init_default_scope(config.get('default_scope', 'mmpose'))
    torch.manual_seed(0)
    with without_log():
        model: Any = MODELS.build(copy.deepcopy(config.model)).train()
    if ratio:
        for block in select_blocks(model, ratio, ()).values():
            run_twice(block)
    data = make_batch(config, batch)
    built = peak_memory()['process']
    forward, step = [], []
    for _ in range(repetitions + 1):
        ready = model.data_preprocessor(copy.deepcopy(data), True)
        began = time.process_time()
        losses = model(**ready, mode='loss')
        forward.append(time.process_time() - began)
        model.parse_losses(losses)[0].backward()
        step.append(time.process_time() - began)
        model.zero_grad(set_to_none=True)
        del losses
    return dict(
        forward_cpu_s=statistics.median(forward[1:]) / batch,
        step_cpu_s=statistics.median(step[1:]) / batch,
        peak_mib=peak_memory()['process'], built_mib=built)


def _make_view(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """A hand and objects half a metre before a camera."""
    joints = (rng.normal(0, .05, (21, 3)) + [0, 0, .5]).astype(np.float32)
    camera = _camera(size)
    pixels = joints @ camera.T
    valid = np.zeros((1, NUM_CLASSES), bool)
    valid[0, rng.permutation(NUM_CLASSES)[:3]] = True
    turns = np.linalg.qr(rng.normal(size=(NUM_CLASSES, 3, 3)))[0]
    turns *= np.linalg.det(turns)[:, None, None]
    places = joints[WRIST] + rng.normal(0, .05, (NUM_CLASSES, 3))
    return dict(
        keypoints=(pixels[:, :2] / pixels[:, 2:])[None],
        view_joints=joints[None], view_camera=camera, hand_valid=[True],
        view_object_rotations=turns.astype(np.float32)[None],
        view_object_translations=places.astype(np.float32)[None],
        object_valid=valid, grasped_class=int(valid[0].argmax()),
        mirrored=False, side=0, contact=rng.integers(0, 2, (1, 21)),
        contact_valid=[1.])


def _camera(size: int) -> np.ndarray:
    return np.array([[2.3 * size, 0, size / 2], [0, 2.3 * size, size / 2],
                     [0, 0, 1]], np.float32)


def _ratio_of(config: Config) -> float:
    """Share of blocks that the config runs twice; all if it says nothing."""
    for hook in config.get('custom_hooks') or []:
        if str(hook.get('type')).rpartition('.')[2] == _HOOK:
            return float(hook.get('ratio') or 1.)
    return 1.


def _text_of(config: Config) -> str:
    """What the other process needs of a config."""
    kept = dict(model=config.model.to_dict(),
                default_scope=config.get('default_scope', 'mmpose'),
                custom_imports=dict(imports=['mmpose_ext.handobject']))
    return '\n'.join(f'{name} = {value!r}' for name, value in kept.items())


def _measure_apart(path: Path, batch: int, repetitions: int,
                   ratio: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, '-m', __name__, str(path), str(batch),
         str(repetitions), str(ratio)],
        capture_output=True, text=True, timeout=_PROCESS_SECONDS)
    if done.returncode:
        raise DataError(path, 'step', 'a step of training',
                        done.stderr.strip().splitlines()[-1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _main(path: str, batch: str, repetitions: str, ratio: str) -> None:
    torch.set_num_threads(1)
    print(json.dumps(measure_step(
        Config.fromfile(path), int(batch), int(repetitions), float(ratio))))


if __name__ == '__main__':
    _main(*sys.argv[1:])
