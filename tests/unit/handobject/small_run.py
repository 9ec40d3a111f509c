"""A config that trains a small model on a small data set in a moment."""
from __future__ import annotations

from pathlib import Path
from pprint import pformat
from typing import Any

from .batches import LOSSES, SIZE, model_config
from .sample_index import write_sample

_ROOT = Path(__file__).resolve().parents[3]


def write_run(folder: Path, model: dict[str, Any] | None = None,
              **changes: Any) -> Path:
    """Write data and config below a folder.

    Args:
        folder (Path): An existing folder.
        model (dict, optional): Config of the model. Defaults to None, that
            of ``batches``.
        **changes: Further settings of the config.
    """
    data = folder / 'data'
    if not data.exists():
        data.mkdir()
        for name, seed in (('s1_train', 0), ('s1_val', 1)):
            write_sample(data, name, seed=seed)
    codec = dict(type='mmpose_ext.HandObjectLabel', input_size=(SIZE, SIZE))
    if model is None:
        model = model_config(decoder=codec)
        model['data_preprocessor'].update(
            mean=[120., 120., 120.], std=[60., 60., 60.], bgr_to_rgb=True)
    pipeline = [
        dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.5),
        dict(type='mmpose_ext.HandObjectTopdownView', input_size=SIZE),
        dict(type='GenerateTarget', encoder=codec),
        dict(type='mmpose_ext.HandObjectPackInputs')]

    def loader(split: str, sampler: dict) -> dict[str, Any]:
        return dict(
            batch_size=4, num_workers=0, sampler=sampler,
            dataset=dict(
                type='mmpose_ext.HandObjectDataset', data_root=str(data),
                ann_file=f'index/s1_{split}.npz', pipeline=pipeline,
                test_mode=split != 'train'))

    settings = dict(
        model=model,
        train_dataloader=loader('train', dict(
            type='mmpose_ext.DrawSampler', shuffle=True)),
        val_dataloader=loader('val', dict(
            type='DefaultSampler', shuffle=False)),
        test_dataloader=loader('val', dict(
            type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=1e-3),
            clip_grad=dict(max_norm=1.)),
        val_evaluator=dict(
            type='mmpose_ext.HandObjectMetric', modes=['hand'],
            mean_pose_from=str(data / 'index/s1_train.npz')),
        **changes)
    settings['test_evaluator'] = settings['val_evaluator']
    text = '\n'.join(f'{name} = {pformat(value)}'
                     for name, value in settings.items())
    path = folder / 'small.py'
    path.write_text(
        f'_base_ = [{str(_ROOT / "configs/_base_/default_runtime.py")!r}]\n'
        "custom_imports = dict(imports=['mmpose_ext.handobject'])\n"
        "visualizer = dict(type='mmpose_ext.HandObjectVisualizer')\n"
        f'{text}\n')
    return path


__all__ = ['LOSSES', 'SIZE', 'write_run']
