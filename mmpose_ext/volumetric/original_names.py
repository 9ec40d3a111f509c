"""What the original DANNCE and s-DANNCE networks call their weights."""
from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_LAYERS = {'0': 'conv1', '1': 'norm1', '3': 'conv2', '4': 'norm2'}
_UP_LAYERS = {'0': 'conv', '1': 'norm'}
_VALUES = dict(gamma='weight', beta='bias')
_LEVEL = re.compile(
    r'(?:.*\.)?encoder_decoder\.(encoder_res|decoder_res|decoder_upsample)'
    r'(\d)\.block\.(\d)\.(\w+)')
_REFINED = 'pose_generator.'  # before the names of what DANNCE has, too
_OUTPUT = re.compile(r'(?:.*\.)?output_layer\.(weight|bias)')


def is_original(state: Mapping[str, Tensor]) -> bool:
    """Whether tensors have the names of the original networks."""
    return any(_LEVEL.fullmatch(name) for name in state)


def is_refined(state: Mapping[str, Tensor]) -> bool:
    """Whether an original network is s-DANNCE, and has a graph refiner."""
    return any(_REFINED in name for name in state)


def rename_original(
        state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Give the tensors of an original network our names.

    Args:
        state (Mapping[str, Tensor]): By original name, below any prefix:
            s-DANNCE has ``pose_generator.`` in front.

    Returns:
        tuple[dict[str, Tensor], list[str]]: Tensors of a
        :class:`DannceEstimator` by name, and the names that have no
        counterpart. All of a graph refiner are among these: it reads its
        features up to a voxel elsewhere, so it has to be trained anew.
    """
    renamed, left = {}, []
    for name, value in state.items():
        ours = _our_name(name)
        if ours is None:
            left.append(name)
        else:
            # scale and shift of a sample may be stored as (1, 1, 1, 1, 1)
            is_flat = '.norm' not in ours or value.dim() < 2
            renamed[ours] = value if is_flat else value.reshape(-1)
    return renamed, left


def _our_name(name: str) -> str | None:
    found = _OUTPUT.fullmatch(name)
    if found:
        return f'head.final_layer.{found[1]}'
    found = _LEVEL.fullmatch(name)
    if not found:
        return None
    part, level, place, value = found.groups()
    layers = _UP_LAYERS if part == 'decoder_upsample' else _LAYERS
    if place not in layers:
        return None
    block = dict(encoder_res='enc', decoder_res='dec',
                 decoder_upsample='up')[part]
    value = _VALUES.get(value, value)
    return f'backbone.{block}{level}.{layers[place]}.{value}'
