"""The stages of a network: the units that freeze and learn together.

A backbone may say itself what its stages are, in one of two ways:

* ``get_stage_map() -> dict[str, Sequence[str]]``: the names of the stages,
  earliest first, and the children (dotted, relative to the backbone) that
  make up each. An estimator may have the method too; its children are then
  relative to the estimator, and what it leaves out is the head.
* ``get_layer_depth(param_name, prefix) -> (layer_id, num_layers)``, the
  protocol of mmpretrain: stages ``layer0``, ``layer1``, ...

Others are read from their children, see :func:`find_stages`.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from mmengine.model import is_model_wrapper
from torch import nn

from mmpose_ext.storage.errors import DataError, close_matches

HEAD = 'head'
BACKBONE = 'backbone.'
_STEM = 'stem'
_NUMBERED = re.compile(r'(layer|stage|block)\d+')
_NUMBERED_LIST = re.compile(r'(layer|stage|block)s')


@dataclass(frozen=True)
class Stage:
    """One stage of a model.

    Attributes:
        name: What configs and logs call it: 'stem', 'stage1', 'head'.
        parameters: Full dotted names in the bare model, in its order.
    """

    name: str
    parameters: tuple[str, ...]


def bare_model(model: nn.Module) -> nn.Module:
    """The model without its wrappers for several processes."""
    while is_model_wrapper(model):
        model = cast(nn.Module, model.module)
    return model


def find_stages(model: nn.Module) -> tuple[Stage, ...]:
    """Divide a model into stages, earliest first, the head last.

    A backbone that declares nothing is divided along its children in their
    order. Those named ``layer3``, ``stage3`` or ``block3``, or the members of
    a list ``layers``, ``stages`` or ``blocks``, are a stage each; what comes
    before the first is the stem, what comes between two belongs to the later
    one (the transitions of HRNet), and what follows the last belongs to it.
    If there are none, every child is a stage. Whatever is outside the
    backbone is the head.

    Args:
        model (nn.Module): An estimator, wrapped for several processes or not.

    Returns:
        tuple[Stage]: Every parameter is in exactly one of them; none is
        empty. A shared parameter counts where it occurs first.

    Raises:
        DataError: If a declared map leaves out a parameter of the backbone.
    """
    estimator: Any = bare_model(model)
    names = [name for name, _ in estimator.named_parameters()]
    inside = [name for name in names if name.startswith(BACKBONE)]
    if hasattr(estimator, 'get_stage_map'):
        stage_of = _from_map(estimator.get_stage_map(), '', names)
    elif inside:
        stage_of = _stages_of_backbone(estimator.backbone, inside)
    else:
        stage_of = {}
    members: dict[str, list[str]] = {}
    for name in sorted(stage_of, key=names.index):
        members.setdefault(stage_of[name], []).append(name)
    order = [stage for stage in dict.fromkeys(stage_of.values())
             if stage != HEAD]
    head = [name for name in names if stage_of.get(name, HEAD) == HEAD]
    stages = [Stage(stage, tuple(members[stage])) for stage in order]
    return (*stages, Stage(HEAD, tuple(head))) if head else tuple(stages)


def select_parameters(model: nn.Module, patterns: Sequence[str],
                      where: str) -> dict[str, nn.Parameter]:
    """Find the parameters that patterns name.

    A pattern is the name of a stage, or the dotted name of a module or
    parameter, of which ``*``, ``?`` and ``[...]`` stand for parts of one
    component. Components match whole: 'backbone.stage1' is not
    'backbone.stage10'.

    Args:
        model (nn.Module): An estimator, wrapped for several processes or not.
        patterns (Sequence[str]): The patterns.
        where (str): The setting they come from, for the error.

    Returns:
        dict[str, nn.Parameter]: By full dotted name in the bare model, in its
        order.

    Raises:
        DataError: If a pattern matches nothing.
    """
    model = bare_model(model)
    parameters = dict(model.named_parameters())
    stages = {stage.name: stage.parameters for stage in find_stages(model)}
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in parameters if _matches(name, pattern)}
        found.update(stages.get(pattern, ()))
        if not found:
            known = [*stages, *parameters, *dict(model.named_modules())]
            raise DataError('model', where, 'a stage, module or parameter',
                            repr(pattern), close_matches(pattern, known))
        chosen |= found
    return {name: parameter for name, parameter in parameters.items()
            if name in chosen}


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split('.'), pattern.split('.')
    return len(wanted) <= len(parts) and all(
        fnmatchcase(part, want)
        for part, want in zip(parts, wanted, strict=False))


def _stages_of_backbone(backbone: Any, names: list[str]) -> dict[str, str]:
    """Stage of every parameter of the backbone, by full name."""
    if hasattr(backbone, 'get_stage_map'):
        stage_of = _from_map(backbone.get_stage_map(), BACKBONE, names)
        missing = [name for name in names if name not in stage_of]
        if missing:
            raise DataError(
                type(backbone).__name__, 'get_stage_map',
                'every parameter in a stage', f'{missing[0]} in none')
        return stage_of
    if hasattr(backbone, 'get_layer_depth'):
        depths = [backbone.get_layer_depth(name, BACKBONE) for name in names]
        # The last depth is the head's; what the backbone has there, a final
        # norm, belongs to its last layer.
        return {name: f'layer{min(depth, count - 2)}' for name, (depth, count)
                in sorted(zip(names, depths, strict=True),
                          key=lambda pair: pair[1][0])}
    prefix = BACKBONE
    pieces = _children(backbone)
    while len(pieces) == 1:  # a wrapper about the network proper
        name, child = pieces[0]
        if (not isinstance(child, nn.Module) or not any(child.children())
                or _NUMBERED.fullmatch(name)
                or _NUMBERED_LIST.fullmatch(name)):
            break
        prefix += f'{name}.'
        pieces = _children(child)
    return _from_map(dict(_divide(pieces)), prefix, names)


def _children(module: nn.Module) -> list[tuple[str, object]]:
    """Own parameters, then the children that have any, in their order."""
    return [
        *module.named_parameters(recurse=False),
        *((name, child) for name, child in module.named_children()
          if any(True for _ in child.parameters()))
    ]


def _divide(
        pieces: list[tuple[str, object]]) -> Iterator[tuple[str, list[str]]]:
    """Stages of a sequence of children, by the numbers in their names."""
    stages: list[tuple[str, list[str]]] = []
    waiting: list[str] = []
    for name, piece in pieces:
        if _NUMBERED.fullmatch(name):
            found = [(name, [name])]
        elif _NUMBERED_LIST.fullmatch(name) and isinstance(piece, nn.Module):
            found = [(f'{name[:-1]}{number}', [f'{name}.{number}'])
                     for number, _ in piece.named_children()]
        else:
            waiting.append(name)
            continue
        if waiting:
            if stages:
                found[0][1].extend(waiting)
            else:
                found.insert(0, (_STEM, waiting))
            waiting = []
        stages.extend(found)
    if not stages:
        yield from ((name, [name]) for name in waiting)
        return
    stages[-1][1].extend(waiting)
    yield from stages


def _from_map(stage_map: Mapping[str, Sequence[str]], prefix: str,
              names: Iterable[str]) -> dict[str, str]:
    """Stage of every parameter below the children of a map, by full name."""
    names = list(names)
    return {
        name: stage
        for stage, children in stage_map.items() for child in children
        for name in names if f'{name}.'.startswith(f'{prefix}{child}.')
    }
