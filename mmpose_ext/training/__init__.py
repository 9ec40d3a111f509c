"""What every family adds to MMEngine's Runner.

Exact resume, whole checkpoints, draws that no worker count changes, refusal
of ignored settings, and monitors that may be absent. Importing the room
registers its classes.
"""
from __future__ import annotations

from mmpose_ext.training.batching import pass_batch
from mmpose_ext.training.checkpoint import (
    AtomicLocalBackend,
    ResumableCheckpointHook,
)
from mmpose_ext.training.config_check import ConfigCheckHook, check_config
from mmpose_ext.training.determinism import (
    DeterminismHook,
    SeededDataset,
    seed_generators,
    seeded_generators,
)
from mmpose_ext.training.draws import (
    Draw,
    DrawSampler,
    draw_seeds,
    hash_words,
    hashed_normal,
    hashed_uniform,
)
from mmpose_ext.training.early_stopping import ResumableEarlyStoppingHook
from mmpose_ext.training.monitoring import OptionalVisBackend
from mmpose_ext.training.optimizers import GroupedOptimWrapperConstructor
from mmpose_ext.training.recovery import find_whole_checkpoint

__all__ = [
    'AtomicLocalBackend', 'ConfigCheckHook', 'DeterminismHook', 'Draw',
    'DrawSampler', 'GroupedOptimWrapperConstructor', 'OptionalVisBackend',
    'ResumableCheckpointHook',
    'ResumableEarlyStoppingHook', 'SeededDataset', 'check_config',
    'draw_seeds', 'find_whole_checkpoint', 'hash_words', 'hashed_normal',
    'hashed_uniform', 'pass_batch', 'seed_generators', 'seeded_generators'
]
