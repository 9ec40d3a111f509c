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

from mmpose_ext.behavior.export_onnx import window_size
from mmpose_ext.behavior.inference import load_model
from mmpose_ext.command_options import check_out
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError, atomic_file
from mmpose_ext.storage.plain_files import plain

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
    check_out(out, ('.pth', ))
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
    model, dataset_meta = load_model(config, checkpoint, torch.device('cpu'))
    state = {name: value.clone()
             for name, value in model.state_dict().items()
             if name.startswith(_PARTS)}
    embedder = embedder_config(config)
    MODELS.build(embedder.model).load_state_dict(state, strict=True)
    text: str = embedder.pretty_text
    return dict(
        state_dict=state,
        meta=dict(
            cfg=text,
            model=plain(embedder.model.to_dict()),
            dataset_meta=plain(dataset_meta),
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
