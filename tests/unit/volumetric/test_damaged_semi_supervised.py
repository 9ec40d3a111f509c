"""Semi-supervision on bad input: one clear error each, and nothing written.

Every case builds what a training builds, in its order, and takes the losses
of a first batch.
"""
from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner, get_priority
from scipy.io import savemat

from mmpose_ext.registry import HOOKS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import ComTrack, write_com3d
from mmpose_ext.storage.label3d import write_label3d
from mmpose_ext.storage.matlab import cell
from mmpose_ext.volumetric.skeletons import load_skeleton
from tests.unit.volumetric.pair_files import EACH, write_pair
from tests.unit.volumetric.recording_files import make_record, write_recording

BONES = len(load_skeleton('rat16')['skeleton_links'])
LABELS = 4  # of 12 time points
CENTRES = 'com3d.mat'
Settings = dict[str, Any]


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One animal on Monday, two on Tuesday."""
    root = tmp_path_factory.mktemp('sound')
    write_recording(root / 'monday', labelled=LABELS)
    write_pair(root / 'tuesday')
    return root


def config_of(root: Path) -> Settings:
    """s-DANNCE on Monday's animal."""
    return dict(
        train_dataloader=dict(
            batch_size=2, num_workers=0,
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(type='mmpose_ext.DannceMixSampler', mix=(1, 1)),
            dataset=dict(
                type='mmpose_ext.VolumetricPoseDataset', data_root=str(root),
                recordings=['monday'], skeleton='rat16', unlabelled='equal',
                pipeline=[
                    dict(type='mmpose_ext.DannceLoadFrames'),
                    dict(type='mmpose_ext.DannceCropToVolume',
                         reach_mm=80.),
                    dict(type='mmpose_ext.DanncePackInputs')])),
        model=dict(
            type='mmpose_ext.DannceEstimator',
            data_preprocessor=dict(
                type='mmpose_ext.VolumetricDataPreprocessor',
                grid=dict(vmin=-80., vmax=80., nvox=8),
                augment=dict(rotate='any'), copies=2),
            backbone=dict(type='mmpose_ext.DannceUNet', num_views=3,
                          size=(4, 8, 8)),
            head=dict(
                type='mmpose_ext.DannceExpectationHead', in_channels=(8, 4),
                num_keypoints=16,
                refiner=dict(type='mmpose_ext.DanncePoseGraph',
                             skeleton='rat16', hidden=8, fuse_channels=8),
                pose_losses=dict(
                    bones=dict(type='mmpose_ext.DannceBoneLengthLoss',
                               priors='labels'),
                    consistency=dict(
                        type='mmpose_ext.DannceConsistencyLoss')))),
        custom_hooks=[
            dict(type='mmpose_ext.DannceLossHook'),
            dict(type='mmpose_ext.LossWeightHook', schedules=[
                dict(loss='head.pose_losses.bones', until=.5)])])


def begin(config: Settings) -> dict[str, Any]:
    """Build loader, model and hooks, prepare them, and take losses."""
    loader = Runner.build_dataloader(
        copy.deepcopy(config['train_dataloader']), seed=0)
    model = MODELS.build(copy.deepcopy(config['model']))
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, cfg=Config(), iter=0,
        logger=SimpleNamespace(info=print),
        message_hub=MessageHub.get_instance('damaged'),
        train_loop=SimpleNamespace(max_iters=40, max_epochs=10))
    hooks = sorted((HOOKS.build(hook) for hook in config['custom_hooks']),
                   key=lambda hook: get_priority(hook.priority))
    for hook in hooks:
        hook.before_train(runner)
    data = model.data_preprocessor(next(iter(loader)), True)
    return dict(model(**data, mode='loss'))


def put(path: str, value: Any) -> Callable[[Settings], None]:
    """Set what a dotted path of the config names."""
    def change(config: Settings) -> None:
        *parents, last = path.split('.')
        part: Any = config
        for key in parents:
            part = part[int(key) if key.isdigit() else key]
        part[int(last) if last.isdigit() else last] = value
    return change


def drop(path: str) -> Callable[[Settings], None]:
    """Remove what a dotted path of the config names."""
    def change(config: Settings) -> None:
        *parents, last = path.split('.')
        for key in parents:
            config = config[key]
        del config[last]
    return change


def together(*changes: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(target: Any) -> None:
        for each in changes:
            each(target)
    return change


DATA = 'train_dataloader.dataset'
HEAD = 'model.head'
BONE_LOSS = f'{HEAD}.pose_losses.bones'


def data(**settings: Any) -> Callable[[Settings], None]:
    return lambda config: config['train_dataloader']['dataset'].update(
        settings)


def bones(**settings: Any) -> Callable[[Settings], None]:
    return lambda config: config['model']['head']['pose_losses'][
        'bones'].update(settings)


def pair(**settings: Any) -> Callable[[Settings], None]:
    """Tuesday's two animals."""
    return data(recordings=['tuesday'], num_individuals=2,
                recording_settings=dict(EACH, **settings))


def table(count: int = BONES, factor: float = 1.) -> np.ndarray:
    """Rows (mean, standard deviation) of bones, mm."""
    return factor * np.tile([20., 2.], (count, 1))


def priors(change: Callable[[np.ndarray], Any] = np.asarray,
           **settings: Any) -> Callable[[Path], None]:
    """Write ``priors.npy``: the table after a change."""
    def write(root: Path) -> None:
        np.save(root / 'priors.npy', change(table(**settings)))
    return write


def first(column: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(found: np.ndarray) -> np.ndarray:
        found[3, column] = value
        return found
    return change


def other_bones(root: Path) -> None:
    names = [f'bone{i}' for i in range(BONES)]
    savemat(root / 'priors.mat', dict(
        priors=table(), bones=cell(names, column=True)))


def labels(**changes: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Write Monday's label file anew, some fields changed."""
    def write(root: Path) -> None:
        made = make_record(root / 'monday', labelled=LABELS)
        write_label3d(made.source, replace(made, **{
            name: change(made) for name, change in changes.items()}))
    return write


def skeleton(names: list[str]) -> Callable[[Path], None]:
    """A file of a skeleton whose keypoints are a chain."""
    links = [[i, i + 1] for i in range(len(names) - 1)]
    text = ', '.join(f'"{name}"' for name in names)
    return lambda root: (root / 'other.json').write_text(
        f'{{"names": [{text}], "edges": {links}}}') and None


def middles_of_one(root: Path) -> None:
    com = make_record(root / 'tuesday').com
    assert com is not None
    write_com3d(root / 'tuesday' / CENTRES, ComTrack(
        root, make_record(root).sample_ids, com), {})


def nothing(root: Path) -> None:
    """What is wrong is what the config says."""


FILE = bones(priors='{root}/priors.npy')
CASES: dict[str, tuple[Callable, Callable, tuple[str, ...]]] = {
    # lengths of bones
    'priors of another skeleton': (
        priors(count=BONES - 1), FILE,
        ('priors.npy: rows', f'expected {BONES}', f'found {BONES - 1}')),
    'priors missing': (nothing, FILE, ('priors.npy', 'found nothing')),
    'priors of NaN': (
        priors(lambda made: made * np.nan), FILE,
        ('priors.npy', 'NaN alone')),
    'priors without a bone that counts': (
        priors(lambda made: first(0, np.nan)(first(1, np.nan)(made))), FILE,
        ('priors.npy', 'bone ')),
    'priors in metres': (
        priors(factor=.001), FILE,
        ('priors.npy: means', 'expected mm', 'times as long')),
    'a deviation below 0': (
        priors(first(1, -2.)), FILE, ('priors.npy', 'row 3', '-2')),
    'a length of 0': (
        priors(first(0, 0.)), FILE, ('priors.npy', 'row 3', 'mean of 0')),
    'three columns': (
        priors(lambda made: np.hstack([made, made[:, :1]])), FILE,
        ('priors.npy', '3')),
    'a text for priors': (
        lambda root: (root / 'priors.npy').write_text('20 2\n'), FILE,
        ('priors.npy', 'numpy.save')),
    'priors of bones of other names': (
        other_bones, bones(priors='{root}/priors.mat'),
        ('priors.mat: row 0', 'bone0')),
    'priors misspelt': (
        nothing, bones(priors='label'), ('priors', "did you mean 'labels'")),
    'a mask of no bone': (
        nothing, bones(mask=['Snout-Tail']), ('rat16', "'Snout-Tail'")),
    'a reference that is no bone': (
        nothing, bones(relative_to=99), ('rat16', 'bone 99', 'none')),
    'all bones masked': (
        nothing, bones(mask=list(range(BONES))), ('not masked', )),
    'one label': (
        nothing, data(num_labels=1),
        ('labels', '2 or more', '1 labelled poses')),
    'a skeleton without sides': (
        skeleton([f'point{i}' for i in range(16)]),
        together(data(skeleton='{root}/other.json'),
                 put(f'{HEAD}.refiner.skeleton', '{root}/other.json'),
                 put(BONE_LOSS, dict(type='mmpose_ext.DannceSymmetryLoss'))),
        ('other: bones', 'left and a right')),
    # the graph
    'a graph of another skeleton': (
        skeleton([f'point{i}' for i in range(16)]),
        put(f'{HEAD}.refiner.skeleton', '{root}/other.json'),
        ('model.head.refiner.skeleton', 'point0', 'of other')),
    'a graph of other keypoints': (
        nothing, put(f'{HEAD}.refiner.skeleton', 'rat23'),
        ('model.head.refiner.skeleton', '16 keypoints', '23 of rat23')),
    'a graph of no skeleton': (
        nothing, put(f'{HEAD}.refiner.skeleton', 'rat32'),
        ('model.head.refiner.skeleton', 'rat32')),
    'channels of another backbone': (
        nothing, put(f'{HEAD}.in_channels', (16, 4)),
        ('model.head.in_channels', '(8, 4)', 'found (16, 4)')),
    'a loss of points before no graph': (
        nothing, together(drop(f'{HEAD}.refiner'), put(
            f'{HEAD}.initial_loss', dict(type='mmpose_ext.DannceL1Loss'))),
        ('initial_loss', 'no refiner')),
    # unlabelled time points
    'a sync of the labelled alone': (
        labels(sample_ids=lambda made: made.sample_ids[:LABELS],
               frames=lambda made: made.frames[:LABELS],
               com_ids=lambda made: made.com_ids[:LABELS],
               com=lambda made: made.com[:LABELS]), data(),
        ('label3d_dannce.mat: unlabelled', 'sync has the labelled')),
    'no middles without labels': (
        labels(com_ids=lambda made: None, com=lambda made: None), data(),
        ('label3d_dannce.mat: unlabelled', 'com_file')),
    'unlabelled, and no video': (
        lambda root: shutil.rmtree(root / 'monday' / 'videos'),
        data(unlabelled=.5), ('videos', 'nothing')),
    'unlabelled beyond the videos': (
        labels(frames=lambda made: made.frames + 100 * (
            np.arange(len(made.frames)) >= LABELS)[:, None]),
        data(unlabelled='all'), ('label3d_dannce.mat: unlabelled', 'none')),
    'a share of none': (
        nothing, data(unlabelled=0.), ('unlabelled', 'found 0.0')),
    'a share of all': (
        nothing, data(unlabelled=1.), ('unlabelled', 'found 1.0')),
    'nobody near': (
        nothing, data(unlabelled=dict(count='all', closer_than_mm=50.)),
        ('unlabelled', 'closer_than_mm')),
    'nobody near of two': (
        nothing, together(pair(), data(
            unlabelled=dict(count='all', closer_than_mm=5.))),
        ('unlabelled', 'closer_than_mm')),
    'more labels than there are': (
        nothing, data(num_labels=5), ('num_labels', '1 to 4', 'found 5')),
    'no label': (nothing, data(num_labels=0), ('num_labels', 'found 0')),
    'unlabelled in a test': (
        nothing, data(test_mode=True), ('unlabelled', 'training')),
    # batches
    'a camera too few': (
        nothing, put('model.backbone.num_views', 4),
        ('expected 4 views of 3', 'found 9')),
    'a mix without unlabelled': (
        nothing, data(unlabelled=None),
        ('expected unlabelled time points', "unlabelled='equal'")),
    'a mix of none': (
        nothing, put('train_dataloader.sampler.mix', (0, 2)),
        ('mix', '(0, 2)')),
    'no copies': (
        nothing, put('model.data_preprocessor.copies', 0),
        ('copies', 'found 0')),
    'a torn run of frames': (
        nothing, data(chunk_length=3),
        ('train_dataloader.batch_size', 'chunk_length=3', 'found 2')),
    'a run longer than the film': (
        nothing, data(chunk_length=13), ('chunk_length', '13', 'none')),
    # losses
    'a schedule of no loss': (
        nothing, put('custom_hooks.1.schedules', [
            dict(loss='head.pose_losses.bone')]),
        ('schedules[0].loss', 'head.pose_losses.bones')),
    'nothing prepares the losses': (
        nothing, put('custom_hooks', []), ('DannceLossHook', )),
    'a loss of a name that is taken': (
        nothing, put(f'{HEAD}.pose_losses.points', dict(
            type='mmpose_ext.DannceConsistencyLoss')),
        ('model.head.pose_losses', 'points')),
    # several animals
    'one animal said, two there': (
        nothing, together(pair(), data(num_individuals=1)),
        ('num_individuals', '2')),
    'two animals said, one there': (
        nothing, data(num_individuals=2),
        ('label3d_dannce.mat', 'expected 2 animals', 'found 1')),
    'middles of one of two': (
        middles_of_one, pair(com_file=CENTRES),
        (CENTRES, '2 animals', 'those of 1')),
    'a rule for hidden views that is none': (
        nothing, together(pair(), put(
            'model.data_preprocessor.occlusion',
            dict(radius_mm=40., action='drop'))),
        ('occlusion', "'drop'")),
}


def filled(part: Any, root: Path) -> Any:
    """The same settings with the folder in the place of ``{root}``."""
    if isinstance(part, dict):
        return {key: filled(value, root) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return type(part)(filled(value, root) for value in part)
    return part.replace('{root}', str(root)) if isinstance(part, str) else part


def content(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob('*')}


@pytest.mark.parametrize('case', CASES)
def test_bad_input_is_one_clear_error(case: str, sound: Path,
                                      tmp_path: Path) -> None:
    damage, change, fragments = CASES[case]
    root = tmp_path / 'data'
    shutil.copytree(sound, root)
    damage(root)
    config = config_of(root)
    change(config)
    before = content(tmp_path)
    with pytest.raises((ValueError, RuntimeError)) as caught:
        begin(filled(config, root))
    text = str(caught.value)
    if isinstance(caught.value, DataError):
        error = caught.value
        assert error.file and error.where and error.expected and error.found
    for fragment in fragments:
        assert fragment in text, text
    assert content(tmp_path) == before


@pytest.mark.parametrize('change', [data(), pair()], ids=['one', 'two'])
def test_sound_input_is_taken(sound: Path, change: Callable) -> None:
    config = config_of(sound)
    change(config)
    losses = begin(config)
    assert {'loss_points', 'loss_bones', 'loss_consistency'} <= set(losses)
    assert all(bool(value.isfinite()) for value in losses.values())
