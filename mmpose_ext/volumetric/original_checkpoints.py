"""Checkpoints of the original DANNCE and s-DANNCE, made into ours.

``python -m mmpose_ext.volumetric.original_checkpoints IN OUT --skeleton
rat23`` writes a file that ``tools/predict.py``, ``tools/test.py`` and
``load_from`` take like one of our own. Voxels, views and colours have the
same order in both, so that weights change their names alone. Of s-DANNCE the
network and the last layer are converted; the graph that refines its poses
begins anew.

Beside the weights the originals store the objects of their training. None of
these is made: whatever is no tensor and no plain value becomes an empty
stand-in.
"""
from __future__ import annotations

import argparse
import contextlib
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.storage import (
    DataError,
    atomic_file,
    check_file,
    refuse_to_replace,
)
from mmpose_ext.training import state_of
from mmpose_ext.volumetric.original_names import (
    is_original,
    is_refined,
    rename_original,
)
from mmpose_ext.volumetric.skeletons import load_skeleton

_SIZES = {32: 'compressed', 64: 'full'}


def read_original(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint, making nothing but tensors and plain values.

    Args:
        path (str | Path): Written by ``torch.save``.

    Raises:
        DataError: If the file is missing, damaged, or cannot be read so.
    """
    check_file(path)
    reason = damage(Path(path))
    if reason:
        raise DataError(path, 'file', 'a whole checkpoint', reason)
    try:
        with _stand_ins(path):
            checkpoint = torch.load(
                path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            path, 'objects', 'tensors and plain values',
            _first_cause(str(error)), 'where it was trained, store '
            'dict(state_dict=...) alone') from error
    if not isinstance(checkpoint, dict):
        raise DataError(path, 'content', 'a dict with state_dict',
                        type(checkpoint).__name__)
    return checkpoint


@contextlib.contextmanager
def _stand_ins(path: str | Path) -> Iterator[None]:
    """Let an empty class stand for whatever the file names beside torch."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(
            str(path))
    except ValueError:  # of before torch 1.6
        names = []
    with torch.serialization.safe_globals(
            [(_stand_in(name), name) for name in names]):
        yield


def _stand_in(name: str) -> type:
    def take_anything(cls: type, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def ignore(*_: Any, **__: Any) -> None:
        return None

    return type(f'StandInFor_{name}', (), dict(
        __new__=take_anything, __init__=ignore, __setstate__=ignore))


def _first_cause(text: str) -> str:
    """The line of torch's advice that names what it refused."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines
                 if 'GLOBAL' in line or 'nsupported' in line), lines[0])


def convert_original(path: str | Path, skeleton: str) -> dict[str, Any]:
    """Make an original checkpoint one of ours.

    Args:
        path (str | Path): Of the original.
        skeleton (str): Its keypoints: a built-in skeleton or a file, see
            :func:`mmpose_ext.volumetric.skeletons.load_skeleton`.

    Returns:
        dict: ``state_dict`` and ``meta``, in which ``left_out`` names what
        has no counterpart and ``algorithm`` the network.

    Raises:
        DataError: If the file is damaged or no such checkpoint, or has
            another number of keypoints.
    """
    state = state_of(read_original(path))
    renamed, left = rename_original(state)
    rows = renamed.get('head.final_layer.weight')
    if not is_original(state) or rows is None:
        near = ', '.join(list(state)[:3]) or 'none'
        raise DataError(
            path, 'state_dict', 'tensors named encoder_decoder.* and '
            'output_layer.*', near)
    meta = load_skeleton(skeleton)
    count = len(meta['keypoint_id2name'])
    if len(rows) != count:
        raise DataError(path, 'output_layer', f'the {count} keypoints of '
                        f'{skeleton}', str(len(rows)),
                        'name its own skeleton by --skeleton')
    return dict(
        state_dict=renamed,
        meta=dict(dataset_meta=meta, converted_from=Path(path).name,
                  left_out=left,
                  algorithm='sdannce' if is_refined(state) else 'dannce'))


def describe_network(state: Mapping[str, Tensor],
                     view_channels: int = 3) -> str:
    """Settings of ``model.backbone`` that weights were trained with.

    Args:
        state (Mapping[str, Tensor]): With our names.
        view_channels (int): Channels of a view. Defaults to 3.
    """
    width, channels = state['backbone.enc1.conv1.weight'].shape[:2]
    if 'backbone.enc1.norm1.running_mean' in state:
        norm = 'batch'
    else:
        norm = ('layer' if 'backbone.enc1.norm1.weight' in state
                else 'instance')
    upsampling = 'backbone.up1.norm.weight' in state
    return (f'num_views={channels // view_channels}, '
            f'view_channels={view_channels}, '
            f'size={_SIZES.get(width, width)!r}, norm={norm!r}'
            + (', norm_upsampling=True' if upsampling else ''))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog='python -m mmpose_ext.volumetric.original_checkpoints',
        description='Make a checkpoint of the original DANNCE or s-DANNCE '
        'one of ours.')
    parser.add_argument('input', type=Path, help='.pth of the original')
    parser.add_argument('out', type=Path, help='.pth to write')
    parser.add_argument(
        '--skeleton', required=True,
        help='its keypoints: rat23, mouse22, ... or a skeleton file')
    parser.add_argument(
        '--view-channels', type=int, default=3,
        help='channels of a view, 1 for grey (default: 3)')
    arguments = parser.parse_args(argv)
    try:
        refuse_to_replace(arguments.out, [arguments.input])
        checkpoint = convert_original(arguments.input, arguments.skeleton)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except ValueError as error:
        parser.error(str(error))
    with atomic_file(arguments.out) as temporary:
        torch.save(checkpoint, temporary)
    left = checkpoint['meta']['left_out']
    if left:
        print(f'left out, without a counterpart: {", ".join(left)}')
    if checkpoint['meta']['algorithm'] == 'sdannce':
        print('s-DANNCE: network and last layer are converted, its graph '
              'refiner is not; by load_from a training of s-DANNCE takes '
              'these and begins the graph anew')
    settings = describe_network(
        checkpoint['state_dict'], arguments.view_channels)
    print(f'model.backbone: {settings}\nwritten: {arguments.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
