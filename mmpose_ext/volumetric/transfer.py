"""Starting from a network of another skeleton or number of cameras."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn

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
from mmpose_ext.volumetric.graph_convolutions import edges_of
from mmpose_ext.volumetric.original_names import (
    is_original,
    rename_original,
)
from mmpose_ext.volumetric.skeletons import load_skeleton

_BACKBONE = 'backbone.'
_POINT_LAYER = 'head.final_layer.'
_FIRST_LEVEL = 'backbone.enc1.'
_GRAPH = 'head.refiner.'


@HOOKS.register_module()
class DannceTransferHook(Hook):
    """Fits the checkpoint of ``load_from`` to the run's cameras and skeleton.

    * Tensors of the originals get our names (see
      :mod:`mmpose_ext.volumetric.original_names`), those of a backbone
      alone its prefix.
    * The first convolution has one block of weights a camera. For another
      number of cameras these are dealt out anew.
    * The last layer has one row a keypoint. Rows are matched by the
      keypoints' names; see :func:`rows_by_name`.
    * A pose graph has numbers for links and keypoints, which are matched by
      name, too; those without a counterpart begin anew. So does the whole
      graph where the checkpoint has none, as that of DANNCE for s-DANNCE.

    The log tells of every tensor that is missing, is left over or does not
    fit. A run that is resumed keeps what it has, and in a test nothing but
    names changes: there the weights have to fit.

    Args:
        views (str): ``tile``: camera v of more begins with the weights of
            camera v modulo their number, divided by how many share them, and
            of fewer with the sum of those that share it; a rig whose cameras
            repeat the old ones' pictures then sees what the old one saw.
            ``average``: all begin alike, for rigs whose cameras have nothing
            in common. Defaults to ``tile``.
        view_channels (int): Channels of a view in the checkpoint. Defaults
            to 3.
        skeleton (str, optional): Skeleton of a checkpoint that does not tell
            its own: built-in or a file. Defaults to None.
    """

    # before CheckpointSanityHook (10) judges what fits
    priority = 5

    def __init__(self,
                 views: str = 'tile',
                 view_channels: int = 3,
                 skeleton: str | None = None) -> None:
        if views not in ('tile', 'average'):
            raise DataError('config', 'DannceTransferHook.views',
                            'tile or average', repr(views))
        self.views = views
        self.view_channels = view_channels
        self.skeleton = (None if skeleton is None
                         else load_skeleton(skeleton))

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Change the checkpoint before MMEngine copies it.

        Raises:
            DataError: If less than 90 % of the backbone fits.
        """
        if runner._resume:
            return
        state, left = _with_our_names(state_of(checkpoint))
        if isinstance(runner._train_loop, BaseLoop):
            meta = getattr(runner.train_dataloader.dataset, 'metainfo', {})
            fit = fit_weights(
                bare_model(runner.model), state, meta,
                self.skeleton or _meta_of(checkpoint), self.views,
                self.view_channels)
            fit.unexpected += left
            file = str(runner._load_from)
            runner.logger.info(
                f'Weights from {file}:\n{fit.describe(runner.model)}')
            fit.require(runner.model, file, state)
            state = fit.state
        checkpoint['state_dict'] = state


@dataclass
class WeightFit:
    """What became of a checkpoint's tensors.

    Attributes:
        state: Tensors that fit the model, by its names.
        changed: How some were changed, a line each.
        misfitting: Those of another shape, with both shapes.
        missing: Names that the checkpoint lacks.
        unexpected: Names that the model lacks.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    misfitting: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def describe(self, model: nn.Module) -> str:
        """A table of the stages, then a line for each kind of exception.

        Args:
            model (nn.Module): Wrapped for several processes or not.
        """
        meant = [name for name, _ in bare_model(model).named_parameters()]
        lines = [origin_table(model, self.state, meant), *self.changed]
        for what, names in (
                ('of another shape', self.misfitting),
                ('not in the file', _with_graph_as_one(self.missing)),
                ('not in the model', _with_graph_as_one(self.unexpected))):
            if names:
                lines.append(f'{what}: {", ".join(names)}')
        return '\n'.join(lines)

    def require(self, model: nn.Module, file: str,
                given: Mapping[str, Tensor]) -> None:
        """Check that the file reached the backbone.

        Args:
            model (nn.Module): Wrapped for several processes or not.
            file (str): For the error.
            given (Mapping[str, Tensor]): What was in the file.

        Raises:
            DataError: If less than 90 % did, or none of a stage.
        """
        meant = [name for name, _ in bare_model(model).named_parameters()]
        require_loaded(model, self.state, meant, file,
                       '; '.join(self.misfitting[:3])
                       or naming_hint(meant, given))


def fit_weights(model: nn.Module,
                given: Mapping[str, Tensor],
                meta: Mapping[str, Any],
                given_meta: Mapping[str, Any],
                views: str = 'tile',
                view_channels: int = 3) -> WeightFit:
    """Fit the weights of another rig and skeleton to a model.

    Args:
        model (nn.Module): A :class:`DannceEstimator`; not changed.
        given (Mapping[str, Tensor]): Weights by our names.
        meta (Mapping): Metainfo of the model's data set.
        given_meta (Mapping): Metainfo of what the given weights were
            trained on; empty if unknown.
        views (str): See :class:`DannceTransferHook`. Defaults to 'tile'.
        view_channels (int): Of the given weights. Defaults to 3.
    """
    fit = WeightFit()
    backbone: Any = model.backbone
    target = model.state_dict()
    fit.unexpected = [name for name in given if name not in target]
    names, own_names = keypoint_names(given_meta), keypoint_names(meta)
    for name, wanted in target.items():
        value: Tensor | None = given.get(name)
        if value is None:
            fit.missing.append(name)
            continue
        shape = tuple(value.shape)
        if name.startswith(_POINT_LAYER):
            value = _fit_points(value, wanted, names, own_names, meta, fit)
        elif name.startswith(_FIRST_LEVEL) and value.shape != wanted.shape:
            value = _fit_views(value, wanted, backbone, given, views,
                               view_channels, fit)
        elif name.startswith(_GRAPH):
            value = _fit_graph(name, value, wanted, model, given_meta, fit)
        if value is None or value.shape != wanted.shape:
            fit.misfitting.append(f'{name} {shape} for {tuple(wanted.shape)}')
        else:
            fit.state[name] = value
    # what was done to weight and bias is told once
    fit.changed = list(dict.fromkeys(fit.changed))
    return fit


def deal_views(weight: Tensor,
               views: int,
               old_channels: int = 3,
               new_channels: int = 3,
               how: str = 'tile') -> Tensor | None:
    """Weights of a first convolution for another number of cameras.

    Args:
        weight (Tensor): (out, old views * old_channels, ...).
        views (int): Of the new rig.
        old_channels (int): Channels of a view so far. Defaults to 3.
        new_channels (int): Channels of a view from now on; colours and grey
            change into each other as if grey were all colours at once.
            Defaults to 3.
        how (str): See :class:`DannceTransferHook`. Defaults to 'tile'.

    Returns:
        Tensor: (out, views * new_channels, ...); None if the channels do not
        divide into views or cannot be made from one another.
    """
    old, rest = divmod(weight.shape[1], old_channels)
    if rest or (old_channels != new_channels
                and 1 not in (old_channels, new_channels)):
        return None
    blocks = weight.unflatten(1, (old, old_channels))
    if old_channels != new_channels:
        blocks = blocks.sum(2, keepdim=True) / new_channels
        blocks = blocks.expand(-1, -1, new_channels, *weight.shape[2:])
    share = torch.zeros(views, old, dtype=weight.dtype)
    number = torch.arange(max(views, old))
    share[number % views, number % old] = 1
    share /= share.sum(0)  # 1 where a new view stands for several old ones
    if how == 'average':
        share = torch.full_like(share, 1 / views)
    dealt = torch.tensordot(share, blocks, ([1], [1])).transpose(0, 1)
    return dealt.flatten(1, 2).contiguous()


def rows_by_name(given: Tensor, names: Sequence[str],
                 own_names: Sequence[str],
                 links: Sequence[Sequence[int]] = ()) -> tuple[Tensor, int]:
    """Arrange the rows of a layer that has one for each keypoint.

    Names match whatever their case and punctuation. A keypoint without a
    counterpart begins as the mean of its neighbours on the skeleton that
    have one, or of all rows: it then looks at the animal from the start.

    Args:
        given (Tensor): (J, ...), weight or bias.
        names (Sequence[str]): J keypoints of the given rows.
        own_names (Sequence[str]): K keypoints of the model.
        links (Sequence[tuple[int, int]]): Of the model's skeleton. Defaults
            to ().

    Returns:
        tuple[Tensor, int]: (K, ...), and how many rows were found by name.
    """
    known = {_plain(name): row for row, name in enumerate(names)}
    found = {number: known[_plain(name)]
             for number, name in enumerate(own_names)
             if _plain(name) in known}
    rows = []
    for number in range(len(own_names)):
        if number in found:
            rows.append(given[found[number]])
            continue
        around = [found[other] for link in links if number in link
                  for other in link if other in found]
        rows.append((given[around] if around else given).mean(0))
    return torch.stack(rows), len(found)


def _fit_points(value: Tensor, wanted: Tensor, names: Sequence[str],
                own_names: Sequence[str], meta: Mapping[str, Any],
                fit: WeightFit) -> Tensor:
    if len(names) != len(value) or len(own_names) != len(wanted):
        # without names: rows in their order, or nothing to go by
        if len(value) == len(wanted):
            fit.changed.append('head: keypoints in the order of the file, '
                               'which does not tell their names')
        return value
    if tuple(names) == tuple(own_names):
        return value
    rows, count = rows_by_name(
        value, names, own_names, meta.get('skeleton_links', ()))
    fit.changed.append(f'head: {count} of {len(rows)} keypoints by name' + (
        ', the others from their neighbours' if count < len(rows) else ''))
    return rows


def _fit_views(value: Tensor, wanted: Tensor, backbone: Any,
               given: Mapping[str, Tensor], how: str, channels: int,
               fit: WeightFit) -> Tensor | None:
    by_camera = (backbone.stem is None
                 and not any(name.startswith('backbone.stem.')
                             for name in given))
    if not by_camera or value.dim() < 2:
        return value
    dealt = deal_views(value, backbone.num_views, channels,
                       backbone.view_channels, how)
    if dealt is not None and dealt.shape == wanted.shape:
        fit.changed.append(
            f'first convolution: {value.shape[1] // channels} views of '
            f'{channels} channels to {backbone.num_views} of '
            f'{backbone.view_channels} ({how})')
    return dealt


def _fit_graph(name: str, value: Tensor, wanted: Tensor, model: nn.Module,
               given_meta: Mapping[str, Any], fit: WeightFit) -> Tensor:
    """What belongs to the same links or keypoints; the rest as it begins."""
    kind = name.rpartition('.')[2]
    names = keypoint_names(given_meta)
    if kind not in ('edges', 'between') or not names:
        return value
    head: Any = model.head
    plan = head.refiner.plan
    old, own = (
        _nodes_or_edges(kind, *body) for body in (
            (names, given_meta.get('skeleton_links', ())),
            (plan.names, plan.links)))
    if old == own or len(old) != len(value):
        return value
    known = dict(zip(old, value, strict=True))
    count = sum(key in known for key in own)
    fit.changed.append(f'{_GRAPH}*.{kind}: {count} of {len(own)} by name' + (
        ', the others anew' if count < len(own) else ''))
    return torch.stack([known.get(key, fresh) for key, fresh in zip(
        own, wanted, strict=True)])


def _with_graph_as_one(names: Sequence[str]) -> list[str]:
    """Names, with one for all of a graph: it is there, or it is not."""
    told = [name for name in names if not name.startswith(_GRAPH)]
    if len(told) < len(names):
        told.append(f'{_GRAPH}* ({len(names) - len(told)})')
    return told


def _nodes_or_edges(
        kind: str, names: Sequence[str],
        links: Sequence[Sequence[int]]) -> list[tuple[str, ...]]:
    """Names of what each number of a graph's layer belongs to."""
    plain = [_plain(name) for name in names]
    if kind == 'between':
        return [(name, ) for name in plain]
    return [(plain[a], plain[b]) for a, b in edges_of(links, len(plain))]


def _with_our_names(
        state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    if is_original(state):
        return rename_original(state)
    if f'{_FIRST_LEVEL}conv1.weight' not in state:
        alone = _FIRST_LEVEL.removeprefix(_BACKBONE)
        if f'{alone}conv1.weight' in state:  # a backbone by itself
            return {f'{_BACKBONE}{name}': value
                    for name, value in state.items()}, []
    return state, []


def _meta_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    return (checkpoint.get('meta') or {}).get('dataset_meta') or {}


def _plain(name: str) -> str:
    return ''.join(filter(str.isalnum, name)).lower()
