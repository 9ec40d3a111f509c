"""What every family adds to MMEngine's Runner.

Exact resume, whole checkpoints, draws that no worker count changes, refusal
of ignored settings, and monitors that may be absent. Importing the room
registers its classes.
"""
from __future__ import annotations

from mmpose_ext.training.activation_checkpointing import (
    ActivationCheckpointHook,
)
from mmpose_ext.training.averaging import AutoEMAHook
from mmpose_ext.training.batching import in_batches, pass_batch
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
from mmpose_ext.training.freezing import FreezeHook
from mmpose_ext.training.loading import (
    build_serial_loader,
    choose_device,
    keypoint_names,
    load_whole,
    telling_of_picture,
)
from mmpose_ext.training.loss_weights import LossWeightHook
from mmpose_ext.training.memory_format import ChannelsLastHook
from mmpose_ext.training.monitoring import (
    OptionalVisBackend,
    ShortLogProcessor,
)
from mmpose_ext.training.optimizers import GroupedOptimWrapperConstructor
from mmpose_ext.training.parameter_table import (
    log_parameter_table,
    parameter_table,
    text_table,
)
from mmpose_ext.training.phased_pipeline import PhasedPipelineHook
from mmpose_ext.training.recovery import find_whole_checkpoint
from mmpose_ext.training.stages import (
    BACKBONE,
    HEAD,
    Stage,
    bare_model,
    find_stages,
    select_parameters,
)
from mmpose_ext.training.stagewise import (
    StageLRHook,
    StageWiseOptimWrapperConstructor,
)
from mmpose_ext.training.unfreezing import GradualUnfreezeHook
from mmpose_ext.training.warmup import WarmupLR
from mmpose_ext.training.weight_origin import (
    CheckpointSanityHook,
    naming_hint,
    origin_table,
    require_loaded,
    state_of,
)

__all__ = [
    'ActivationCheckpointHook', 'AtomicLocalBackend', 'AutoEMAHook',
    'BACKBONE', 'ChannelsLastHook', 'CheckpointSanityHook', 'ConfigCheckHook',
    'DeterminismHook', 'Draw', 'DrawSampler', 'FreezeHook',
    'GradualUnfreezeHook', 'GroupedOptimWrapperConstructor', 'HEAD',
    'LossWeightHook', 'OptionalVisBackend', 'PhasedPipelineHook',
    'ResumableCheckpointHook', 'ResumableEarlyStoppingHook', 'SeededDataset',
    'ShortLogProcessor', 'Stage', 'StageLRHook',
    'StageWiseOptimWrapperConstructor', 'WarmupLR', 'bare_model',
    'build_serial_loader', 'check_config', 'choose_device', 'draw_seeds',
    'find_stages', 'find_whole_checkpoint', 'hash_words', 'hashed_normal',
    'hashed_uniform', 'in_batches', 'keypoint_names', 'load_whole',
    'log_parameter_table', 'naming_hint', 'origin_table', 'parameter_table',
    'pass_batch', 'require_loaded', 'seed_generators', 'seeded_generators',
    'select_parameters', 'state_of', 'telling_of_picture', 'text_table'
]
