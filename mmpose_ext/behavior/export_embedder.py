"""``tools/export_embedder.py``: the network without its heads.

What is written is a checkpoint of tensors and plain values, and beside it a
config: together they are all that embeddings of new recordings need.
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmpose_ext.behavior.export_onnx import load_behavior_model, window_size
from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError, atomic_file

# What inference reads of a config.
_KEPT = ('default_scope', 'custom_imports', 'test_dataloader',
         'default_hooks', 'visualizer')
_OF_TRAINING = ('heads', 'loss_weights', 'weighting', 'init_cfg')
_PARTS = ('backbone.', 'data_preprocessor.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        '--out', type=Path, required=True,
        help='.pth file; a config of the same name, .py, is written beside')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, and write the two files."""
    out: Path = arguments.out
    beside = out.with_suffix('.py')
    if out.suffix != '.pth':
        raise DataError(out, '--out', 'a name ending in .pth',
                        repr(out.suffix))
    if config.filename and beside.resolve() == Path(
            config.filename).resolve():
        raise DataError(out, '--out', 'another name than that of the config',
                        str(beside))
    checkpoint, text = export_embedder(config, arguments.checkpoint)
    with atomic_file(out) as temporary:
        torch.save(checkpoint, temporary)
    with atomic_file(beside) as temporary:
        temporary.write_text(text)
    print(f'written: {out}\nwritten: {beside}')
    return 0


def export_embedder(config: Config,
                    checkpoint: Path) -> tuple[dict[str, Any], str]:
    """Take the heads off a model.

    Args:
        config (Config): Of its training.
        checkpoint (Path): Its weights.

    Returns:
        tuple[dict, str]: The checkpoint: ``state_dict`` with the backbone
        and the data preprocessor, ``meta`` with ``cfg`` (text of the config),
        ``model``, ``dataset_meta``, ``window_size`` and ``window_offset``.
        The text of the config of the embedder.

    Raises:
        DataError: If the weights are not the model's.
    """
    model = load_behavior_model(config, checkpoint)
    state = {name: value.clone()
             for name, value in model.state_dict().items()
             if name.startswith(_PARTS)}
    embedder = embedder_config(config)
    MODELS.build(embedder.model).load_state_dict(state, strict=True)
    loaded = load_checkpoint(checkpoint, 'cpu')
    meta = loaded.get('meta', {}) if isinstance(loaded, dict) else {}
    text: str = embedder.pretty_text
    return dict(
        state_dict=state,
        meta=dict(
            cfg=text,
            model=_plain(embedder.model),
            dataset_meta=_plain(meta.get('dataset_meta') or {}),
            window_size=window_size(config, model),
            window_offset=model.window_offset,
            exported_from=Path(checkpoint).name)), text


def embedder_config(config: Config) -> Config:
    """The config of a model without heads.

    Args:
        config (Config): Of a training.
    """
    settings = config.to_dict()
    kept = {name: settings[name] for name in _KEPT if name in settings}
    model = {name: value for name, value in settings['model'].items()
             if name not in _OF_TRAINING}
    backbone = {name: value for name, value in model['backbone'].items()
                if name not in ('init_cfg', 'frozen_stages')}
    return Config(dict(kept, model=dict(model, backbone=backbone)))


def _plain(value: Any) -> Any:
    """Values that a checkpoint may hold and still load safely."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, 'tolist'):
        return _plain(value.tolist())
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else str(value)
