"""``tools/predict.py`` for recordings by several cameras.

The config tells what is predicted: a network for the centre of mass writes
``com3d.mat``, a network for poses ``save_data_AVG.mat``, ``com3d_used.mat``
and ``poses.nc``, and of a model that refines them the poses before that as
``init_save_data_AVG.mat``. ``prediction_com.json`` and
``prediction_poses.json`` say what they were made from.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from torch import nn

from mmpose_ext.command_options import add_device_option, check_least
from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import ComTrack, write_com3d
from mmpose_ext.storage.matlab import cell
from mmpose_ext.storage.plain_files import sha256_of
from mmpose_ext.training import choose_device, keypoint_names
from mmpose_ext.volumetric.body_centres import centroids, list_ids
from mmpose_ext.volumetric.com_inference import ComLocator, link_com
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.inference import DanncePredictor, load_model
from mmpose_ext.volumetric.prediction_files import (
    COM_MAT,
    INITIAL_MAT,
    POSES_MAT,
    POSES_NC,
    PosePredictions,
    write_predictions,
)
from mmpose_ext.volumetric.prediction_plan import (
    PredictionPlan,
    choose_rows,
    digest_of_settings,
    fingerprint_of,
    open_for_prediction,
)
from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.streaming import (
    BATCH,
    BLOCK,
    MIN_VIEWS,
    BlockStore,
    Predict,
    Views,
    predict_blocks,
)

Array = np.ndarray
Results = Mapping[str, Array]

COM_FILE = 'com3d.mat'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        'recording', type=Path,
        help='folder with a *dannce.mat and videos/CAMERA/FRAME.mp4')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR',
        help='folder to write; made if need be')
    parser.add_argument(
        '--com', type=Path, metavar='FILE',
        help='com3d.mat with the centres of mass to look around, or of '
        "several animals a pattern such as 'instance*com3d.mat' (default: the "
        "recording's own)")
    parser.add_argument(
        '--start', type=int, default=0, metavar='N',
        help='first time point, counted from 0 (default: 0)')
    parser.add_argument(
        '--stop', type=int, metavar='N',
        help='time point to stop before (default: the end)')
    parser.add_argument(
        '--every', type=int, default=1, metavar='N',
        help='take each N-th time point (default: 1)')
    parser.add_argument(
        '--turn-average', type=int, default=1, metavar='N',
        help='average poses over N grids turned about z; N times the work '
        '(default: 1)')
    parser.add_argument(
        '--batch-size', type=int, default=BATCH, metavar='N',
        help=f'time points at a time (default: {BATCH})')
    add_device_option(parser)
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        '--resume', action='store_true',
        help='go on with a prediction that was interrupted')
    again.add_argument(
        '--overwrite', action='store_true', help='replace older results')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict, write and summarise."""
    check_least(arguments.recording, arguments, start=0, every=1,
                turn_average=1, batch_size=1)
    device = choose_device(arguments.device)
    model = load_model(config, arguments.checkpoint, device)
    poses = isinstance(model, DannceEstimator)
    if not poses and (arguments.com or arguments.turn_average > 1):
        raise DataError(
            config.filename or 'config',
            '--com' if arguments.com else '--turn-average',
            'a config for poses', 'one that finds centres of mass')
    recording = open_for_prediction(config, arguments.recording,
                                    arguments.com, poses)
    try:
        rows, skipped = choose_rows(recording, arguments.start,
                                    arguments.stop, arguments.every, poses)
        plan = _plan(config, arguments, recording, rows, poses)
        sources = [arguments.checkpoint, *recording.label_files]
        store = plan.open_store(
            arguments.resume, arguments.overwrite,
            sources + ([arguments.com] if arguments.com else []))
        if store is None:
            print(f'finished already  {plan.out}')
            return 0
        predict = (pose_predictor(model, recording, arguments.turn_average)
                   if poses else com_predictor(model, config, recording))
        lines = _predict(plan, recording, predict, store,
                         arguments.batch_size)
        found = store.join()
        lines += _reading(plan, recording, found)
        lines += (_write_poses(plan, recording, model, found) if poses
                  else _write_com(plan, recording, config, found))
        plan.finish(store)
    finally:
        recording.close()
    if skipped:
        lines.insert(1, f'skipped           {skipped} without a centre of '
                     'mass')
    print('\n'.join(lines))
    return 0


def pose_predictor(model: nn.Module, recording: Recording,
                   turns: int) -> Predict:
    """What predicts poses of a recording's time points."""
    predictor = DanncePredictor(model, turns)

    def predict(images: list[Views], rows: Array) -> dict[str, Array]:
        com = recording.com[rows]
        poses = predictor.predict(images, recording.cameras, com)
        found = dict(sample_ids=recording.sample_ids[rows], com=com,
                     points=poses.points, scores=poses.scores,
                     spread=poses.spread)
        if poses.initial is not None:
            found['initial'] = poses.initial
        return found

    return predict


def com_predictor(model: nn.Module, config: Config,
                  recording: Recording) -> Predict:
    """What finds centres of mass at a recording's time points."""
    locator = ComLocator(model, config)

    def predict(images: list[Views], rows: Array) -> dict[str, Array]:
        return dict(
            locator.locate(images, recording.cameras)._asdict(),
            sample_ids=recording.sample_ids[rows])

    return predict


def _plan(config: Config, arguments: argparse.Namespace,
          recording: Recording, rows: Array, poses: bool) -> PredictionPlan:
    settings: dict[str, Any] = dict(
        checkpoint=sha256_of(arguments.checkpoint),
        model=digest_of_settings(config.model.to_dict()),
        # pictures are reduced, and views trusted, as these say
        data=digest_of_settings(dict(
            dataset=config.test_dataloader.dataset.to_dict(),
            evaluator=config.get('test_evaluator'))),
        block=BLOCK)
    names: tuple[str, ...] = (COM_FILE, )
    if poses:
        settings.update(com=recording.com[rows],
                        turn_average=arguments.turn_average)
        names = (POSES_MAT, COM_MAT, POSES_NC)
        if config.model.head.get('refiner'):
            names += (INITIAL_MAT, )
    return PredictionPlan(
        'poses' if poses else 'com', arguments.out, rows,
        tuple(arguments.out / name for name in names),
        fingerprint_of(recording, rows, **settings))


def _predict(plan: PredictionPlan, recording: Recording, predict: Predict,
             store: BlockStore, batch: int) -> list[str]:
    """Do the work; lines that say how fast."""
    done = min(store.count * BLOCK, len(plan.rows))
    began = time.perf_counter()
    poses = plan.kind == 'poses'
    predict_blocks(recording, plan.rows, predict, store, BLOCK, batch,
                   'poses' if poses else 'centres of mass', MIN_VIEWS)
    seconds = time.perf_counter() - began
    text = f'time points       {len(plan.rows)}'
    if done:
        text += f', {done} of them from before'
    if done < len(plan.rows):
        text += f', {(len(plan.rows) - done) / seconds:,.1f} a second'
    return [text]


def _reading(plan: PredictionPlan, recording: Recording,
             found: Results) -> list[str]:
    """Lines that tell which time points could not be read, or not in full."""
    enough = found['readable']
    partly = enough & (found['views_read'] < len(recording.videos))
    return [
        f'{name}{rows.sum()}, {text}: sampleID '
        + list_ids(recording.sample_ids[plan.rows[rows]])
        for name, rows, text in (
            ('unreadable        ', ~enough, 'NaN in the files'),
            ('partly readable   ', partly, 'from their other views'))
        if rows.any()]


def _metadata(plan: PredictionPlan, recording: Recording) -> dict[str, Any]:
    """How results were made, in texts and numbers."""
    return dict(
        source_software='mmpose_ext',
        version=plan.fingerprint['version'],
        recording=str(recording.folder.resolve()),
        checkpoint_sha256=plan.fingerprint['checkpoint'])


def _write_poses(plan: PredictionPlan, recording: Recording,
                 model: Any, found: Results) -> list[str]:
    fps = recording.fps
    time_of = recording.frames[plan.rows, 0] / (fps or 1)
    predictions = PosePredictions(
        source=recording.folder, sample_ids=found['sample_ids'],
        points=found['points'], scores=found['scores'],
        spread=found['spread'], com=found['com'],
        cameras=recording.cameras.names,
        keypoints=keypoint_names(model.dataset_meta))
    files = write_predictions(plan.out, predictions, time_of, fps,
                              _metadata(plan, recording),
                              found.get('initial'))
    return [
        f'score             {_median(found["scores"]):.3f} median, spread '
        f'{_median(found["spread"]):.1f} mm',
        *(f'written           {path}' for path in files),
        f"                  MATLAB: load('{POSES_MAT}'); Python: "
        f"xarray.open_dataset('{POSES_NC}'), for movement too; to watch: "
        'tools/visualize.py CONFIG '
        f'{plan.out} {recording.folder} --out poses.mp4',
    ]


def _write_com(plan: PredictionPlan, recording: Recording, config: Config,
               found: Results) -> list[str]:
    path = plan.out / COM_FILE
    lines: list[str] = []
    notes: dict[str, Array] = {}
    if found['com'].shape[1] > 1:
        found, notes, text = link_com(
            found, config, centroids(recording.points[plan.rows]))
        lines.append(f'identities        {text}')
    write_com3d(
        path, ComTrack(path, found['sample_ids'], found['com']),
        dict(_metadata(plan, recording),
             camnames=cell(recording.cameras.names),
             error_px=found['error_px'], num_views=found['num_views'],
             scores=found['scores'], **notes))
    known = np.isfinite(found['com']).all(-1)
    if known.any():
        lines.append(f'reprojection      {_median(found["error_px"]):.1f} px '
                     f'median, {_median(found["num_views"]):.0f} views')
    if not known.all():
        lines.append(f'not found         {(~known).sum()}, NaN in the file')
    return [*lines, f'written           {path}',
            '                  for poses: tools/predict.py with a config for '
            f'poses and --com {path}']


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float('nan')
