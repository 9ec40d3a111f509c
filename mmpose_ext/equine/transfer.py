"""Starting a horse model from one that knows other animals."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.equine.checkpoints import CHECKPOINTS
from mmpose_ext.equine.horse26 import NAMES, SKELETON
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage import DataError
from mmpose_ext.training import (
    bare_model,
    keypoint_names,
    naming_hint,
    origin_table,
    require_loaded,
    state_of,
)

AP10K_NAMES = ('L_Eye', 'R_Eye', 'Nose', 'Neck', 'Root of tail', 'L_Shoulder',
               'L_Elbow', 'L_F_Paw', 'R_Shoulder', 'R_Elbow', 'R_F_Paw',
               'L_Hip', 'L_Knee', 'L_B_Paw', 'R_Hip', 'R_Knee', 'R_B_Paw')
ANIMALPOSE_NAMES = ('L_Eye', 'R_Eye', 'L_EarBase', 'R_EarBase', 'Nose',
                    'Throat', 'TailBase', 'Withers', 'L_F_Elbow', 'R_F_Elbow',
                    'L_B_Elbow', 'R_B_Elbow', 'L_F_Knee', 'R_F_Knee',
                    'L_B_Knee', 'R_B_Knee', 'L_F_Paw', 'R_F_Paw', 'L_B_Paw',
                    'R_B_Paw')
# points of checkpoints that do not name theirs, by how many there are
_NAMES_BY_COUNT = {len(names): names
                   for names in (AP10K_NAMES, ANIMALPOSE_NAMES, NAMES)}

# What the same point is called in AP-10K and in AnimalPose. A quadruped's
# "knee" of the hind limb is the horse's hock, its "elbow" there the hip.
SOURCE_POINTS: dict[str, tuple[str, ...]] = dict(
    nose=('Nose', ),
    l_eye=('L_Eye', ),
    r_eye=('R_Eye', ),
    l_ear=('L_EarBase', ),
    r_ear=('R_EarBase', ),
    neck=('Neck', 'Throat'),
    withers=('Withers', ),
    tail_base=('Root of tail', 'TailBase'),
    l_elbow=('L_Elbow', 'L_F_Elbow'),
    r_elbow=('R_Elbow', 'R_F_Elbow'),
    l_knee=('L_F_Knee', ),
    r_knee=('R_F_Knee', ),
    lf_hoof=('L_F_Paw', ),
    rf_hoof=('R_F_Paw', ),
    l_hip=('L_Hip', 'L_B_Elbow'),
    r_hip=('R_Hip', 'R_B_Elbow'),
    l_hock=('L_Knee', 'L_B_Knee'),
    r_hock=('R_Knee', 'R_B_Knee'),
    lh_hoof=('L_B_Paw', ),
    rh_hoof=('R_B_Paw', ))

_PARTS = ('backbone', 'head')
_POINT_LAYER = 'head.final_layer.'
_NOISE = 1e-3


@HOOKS.register_module()
class HorseTransferHook(Hook):
    """Starts the training from the checkpoint that ``pretrained`` names.

    ``pretrained`` is a key of the config: the path of a checkpoint of a whole
    pose model, or None to train from scratch. A resumed run, and one with
    ``load_from``, keeps the weights it has. All tensors of equal name and
    shape are copied, and the rows of the layer that has one per point by the
    points' names, see :func:`transfer_weights`.

    Args:
        parts (Sequence[str]): What is copied: 'backbone', 'head' or both.
            Defaults to both.
    """

    # what --cfg-options may set at the top of a config
    config_keys = ('pretrained', )
    # before hooks that freeze or tell of the model
    priority = 'HIGH'

    def __init__(self, parts: Sequence[str] = _PARTS) -> None:
        unknown = set(parts) - set(_PARTS)
        if unknown or not parts:
            raise DataError('config', 'HorseTransferHook.parts',
                            f'of {", ".join(_PARTS)}',
                            ', '.join(sorted(unknown)) or 'none')
        self.parts = tuple(parts)

    def before_train(self, runner: Runner) -> None:
        """Copy the weights; the average of weights begins after it.

        Raises:
            DataError: If the config does not say, the file is missing, or
                less than 90 % of the backbone is in it.
        """
        if 'pretrained' not in runner.cfg:
            raise DataError(
                runner.cfg.filename or 'config', 'pretrained',
                'the path of a checkpoint, or None to train from scratch',
                'no such key')
        file = runner.cfg.pretrained
        if runner._has_loaded:
            if not runner._resume:
                runner.logger.info(
                    f'load_from={runner._load_from} takes the place of '
                    f'pretrained={file}')
            return
        if file is None:
            runner.logger.info('pretrained=None: training from scratch')
            _warn_of_random_frozen(runner)
            return
        if not Path(file).is_file():
            raise DataError(file, 'pretrained', 'a checkpoint', 'nothing',
                            _download_hint(file))
        checkpoint = load_checkpoint(file, map_location='cpu')
        report = transfer_weights(runner.model, checkpoint, file, self.parts)
        runner.logger.info(f'Weights from {file}:\n{report}')


def _warn_of_random_frozen(runner: Runner) -> None:
    """Say how to thaw what would be frozen as it was drawn."""
    for number, hook in enumerate(runner.cfg.get('custom_hooks', [])):
        for key in ('always_frozen', 'patterns'):
            freezes = str(hook['type']).lower().endswith('freezehook')
            if freezes and hook.get(key):
                runner.logger.warning(
                    f'{", ".join(hook[key])} stay frozen with random '
                    'weights; to train them: --cfg-options '
                    f'custom_hooks.{number}.{key}=[]')


@dataclass
class _Transfer:
    """What became of the tensors, by full name."""

    copied: set[str] = field(default_factory=set)
    expanded: set[str] = field(default_factory=set)
    misfitting: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def transfer_weights(model: nn.Module,
                     checkpoint: Mapping[str, Any],
                     file: str,
                     parts: Sequence[str] = _PARTS) -> str:
    """Copy the weights of another animal's model.

    The points of the checkpoint are those its ``dataset_meta`` names, else
    the ones of AP-10K, AnimalPose or the horse, by their number. A row of the
    last layer without a counterpart is the mean of its neighbours' on the
    skeleton, plus normal noise of standard deviation 1e-3 that is the same in
    all processes and runs.

    Args:
        model (nn.Module): Changed in place; wrapped for several processes or
            not.
        checkpoint (Mapping): As loaded, of MMPose 0.x or 1.x.
        file (str): Its name, for errors.
        parts (Sequence[str]): Of 'backbone' and 'head'. Defaults to both.

    Returns:
        str: A table of the copied, and what was not copied.

    Raises:
        DataError: If less than 90 % of the backbone is in the checkpoint; the
            model is unchanged then.
    """
    source = {_new_name(name): value
              for name, value in state_of(checkpoint).items()}
    bare = bare_model(model)
    target = {name: value for name, value in bare.state_dict().items()
              if name.partition('.')[0] in parts}
    parameters = [name for name, _ in bare.named_parameters()
                  if name in target]
    if 'backbone' in parts:
        fitting = {name for name in parameters
                   if name in source
                   and source[name].shape == target[name].shape}
        backbone = [name for name in parameters if name.startswith('backbone')]
        require_loaded(bare, fitting, backbone, file,
                       naming_hint(backbone, source))
    given = source.get(f'{_POINT_LAYER}weight')
    names = point_names(checkpoint, 0 if given is None else len(given))
    rows = match_points(names)
    done = _copy(target, source, rows, len(names))
    return _describe(bare, done, parameters, rows)


def point_names(checkpoint: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Names of a checkpoint's points, in the order of its channels.

    Args:
        checkpoint (Mapping): As loaded.
        count (int): Number of channels.

    Returns:
        tuple[str]: `count` names, or () if they are unknown.
    """
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    names = keypoint_names(meta)
    return names if len(names) == count else _NAMES_BY_COUNT.get(count, ())


def match_points(names: Sequence[str]) -> tuple[int | None, ...]:
    """Channel of a source for each of the 26 points; None if it has none.

    Args:
        names (Sequence[str]): The points of the source.

    Returns:
        tuple[int | None]: 26 indices into `names`.
    """
    # With case: the horse's l_knee is not L_Knee, which AP-10K has behind.
    known = {name: number for number, name in enumerate(names)}
    rows = []
    for point in NAMES:
        aliases = (point, *SOURCE_POINTS.get(point, ()))
        rows.append(next((known[alias] for alias in aliases
                          if alias in known), None))
    return tuple(rows)


def expand_rows(given: Tensor, rows: Sequence[int | None]) -> Tensor:
    """Arrange the rows of a point layer for the 26 points.

    Args:
        given (Tensor): Float (K, ...), weight or bias of the source.
        rows (Sequence[int | None]): See :func:`match_points`; at least one is
            no None.

    Returns:
        Tensor: (26, ...). A row without a counterpart is the mean of its
        neighbours on the skeleton, plus noise; where these have none either,
        they are filled first.
    """
    filled = {point: given[row].clone() for point, row in enumerate(rows)
              if row is not None}
    neighbours: list[list[int]] = [[] for _ in rows]
    for first, second in SKELETON:
        neighbours[first].append(second)
        neighbours[second].append(first)
    noise = torch.randn((len(rows), *given.shape[1:]), dtype=torch.float32,
                        generator=torch.Generator().manual_seed(0)) * _NOISE
    while len(filled) < len(rows):
        ring = {}
        for point in set(range(len(rows))) - set(filled):
            around = [filled[other] for other in neighbours[point]
                      if other in filled]
            if around:
                mean = torch.stack(around).mean(dim=0)
                ring[point] = mean + noise[point].to(mean.dtype)
        filled.update(ring)
    return torch.stack([filled[point] for point in range(len(rows))])


def _new_name(name: str) -> str:
    """MMPose 0.x called the head ``keypoint_head``."""
    old = 'keypoint_head.'
    return f'head.{name.removeprefix(old)}' if name.startswith(old) else name


def _copy(target: Mapping[str, Tensor], source: Mapping[str, Tensor],
          rows: Sequence[int | None], count: int) -> _Transfer:
    """Fill the tensors of a model in place; `count` points in the source."""
    done = _Transfer()
    has_points = any(row is not None for row in rows)
    for name, value in target.items():
        given = source.get(name)
        if given is None:
            done.missing.append(name)
            continue
        is_point_layer = (
            name.startswith(_POINT_LAYER) and has_points
            and value.shape == (len(rows), *given.shape[1:])
            and len(given) == count)
        if is_point_layer:
            value.copy_(expand_rows(given, rows))
            done.expanded.add(name)
        elif given.shape == value.shape:
            value.copy_(given)
            done.copied.add(name)
        else:
            done.misfitting.append(
                f'{name} {tuple(given.shape)} for {tuple(value.shape)}')
    return done


def _describe(model: nn.Module, done: _Transfer, parameters: Sequence[str],
              rows: Sequence[int | None]) -> str:
    """The table, then a line for each kind of exception."""
    lines = [origin_table(model, done.copied | done.expanded, parameters)]
    if done.expanded:
        new = [name for name, row in zip(NAMES, rows, strict=True)
               if row is None]
        lines.append(f'{_POINT_LAYER[:-1]}: {len(NAMES) - len(new)} points '
                     'by name' + (f', from their neighbours: {", ".join(new)}'
                                  if new else ''))
    if done.misfitting:
        lines.append('skipped, of another shape: '
                     f'{"; ".join(done.misfitting)}')
    if done.missing:
        lines.append(f'not in the file: {", ".join(done.missing)}')
    return '\n'.join(lines)


def _download_hint(file: str) -> str:
    key = next((f' --only {key}' for key, known in CHECKPOINTS.items()
                if known.file == Path(file).name), '')
    return (f'fetch it with `python tools/download_checkpoints.py{key}`, or '
            'train from scratch with --cfg-options pretrained=None')
