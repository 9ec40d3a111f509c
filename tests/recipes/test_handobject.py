"""Hands and objects by their real command lines, on tiny data."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.handobject.build_distance_fields import main as make_fields
from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.handobject.prediction_files import read_predictions
from mmpose_ext.handobject.result_files import (
    read_bop_poses,
    read_hand_poses,
)

from .commands import PACKAGED, ROOT, log_of, losses, run, run_afresh

CONFIGS = ROOT / 'configs/handobject'
TINY = CONFIGS / 'hot_tiny_synthetic.py'
STAGES = CONFIGS / 'hot_stages_synthetic.py'
TEST = PACKAGED.with_name('test.py')
WORLD = Path('synthetic/handobject')
INDEX = WORLD / 'index/s1_test.npz'
SMALL = ['model.head.num_layers=1', 'model.head.refiner.steps=1',
         'model.head.losses.object_points.num_points=20']
ALONE = [f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
         for key in ('num_workers=0', 'persistent_workers=False')]
# 3 steps
SHORT = [*SMALL, *ALONE, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
         'train_dataloader.batch_size=8',
         'train_dataloader.num_batch_per_epoch=3',
         'default_hooks.logger.interval=1']
# phases begin after 0, 2, 4 and 9 epochs of two steps; a loss comes in
# between the 18th and the 20th
EPOCHS = 12
IN_STAGES = [*SMALL, *ALONE, f'train_cfg.max_epochs={EPOCHS}',
             f'train_cfg.val_interval={EPOCHS}',
             'train_dataloader.batch_size=3',
             'train_dataloader.num_batch_per_epoch=2',
             'default_hooks.logger.interval=1',
             'default_hooks.checkpoint.interval=1',
             'default_hooks.checkpoint.max_keep_ckpts=-1']
PHASES = ('phase 1 of 4', 'phase 2 of 4', 'phase 3 of 4', 'phase 4 of 4')
RESUMED = 3  # epochs, in the middle of phase 2

pytestmark = pytest.mark.xdist_group('handobject recipes')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    run_afresh(folder, 'synthesize', 'handobject', '--size', '56')
    return folder


@pytest.fixture(scope='module')
def trained(data: Path) -> Path:
    """Work directory of a short training by our script."""
    output = run(data, 'train', TINY, '--work-dir', 'ours',
                 '--cfg-options', *SHORT)
    warning, = (line for line in output.splitlines()
                if 'warning' in line.lower())
    # what little is learnt is told
    assert 'is no better than' in warning
    assert len(losses(data / 'ours')) == 3
    return data / 'ours'


@pytest.fixture(scope='module')
def best(trained: Path) -> Path:
    checkpoint, = trained.glob('best_*.pth')
    return checkpoint


def train(here: Path, config: Path, work_dir: str, *options: str,
          resume: bool = False) -> Path:
    """Train by MMPose's script; the work directory."""
    run(here, PACKAGED, config, '--work-dir', work_dir,
        *['--resume'] * resume, '--cfg-options', *options)
    return here / work_dir


def hand_ids(index: HandObjectIndex) -> np.ndarray:
    return np.asarray(index['id'])[np.asarray(index['hand_valid'])]


def test_data_are_sound_and_can_be_seen(here: Path) -> None:
    for words in ([TINY], ['--ann-file', INDEX, '--all']):
        assert 'no problems' in run(here, 'verify_dataset', *words)
    run(here, 'browse_dataset', TINY, '--out-dir', 'seen', '--number', '2')
    assert Path('seen/train_000.png').stat().st_size > 10_000


def test_a_test_tells_its_protocol_and_writes_all_files(
        here: Path, trained: Path, best: Path) -> None:
    """And a prediction of the same index says the same."""
    run(here, TEST, TINY, best, '--work-dir', trained, '--show-dir', 'shown',
        '--cfg-options', *SMALL, *ALONE,
        'test_evaluator.outfile_prefix=kit/s1')
    log, index = log_of(trained), read_index(INDEX)
    assert (f'protocol: {len(hand_ids(index))} hands of '
            f'{len(hand_ids(index))} samples; setup: s1; split: test') in log
    for figure in ('hand/MPJPE', 'object/ADD-S', 'contact/F1'):
        assert f'{figure}: ' in log and f'{figure}_trivial: ' in log
    assert 'WARNING' not in log
    tables = max(trained.glob('*/hand_object_scores.json'))
    scores = json.loads(tables.read_text())
    assert {'protocol', 'hand', 'object', 'contact', 'trivial'} <= {*scores}
    assert tables.with_suffix('.csv').is_file()
    assert len(list(trained.glob('*/shown/*'))) == len(hand_ids(index))
    ids, joints = read_hand_poses('kit/s1_hands.txt')
    np.testing.assert_array_equal(ids, hand_ids(index))
    errors = joints - np.asarray(index['joints_cam'])[
        np.asarray(index['hand_valid'])]
    errors -= errors[:, :1]
    np.testing.assert_allclose(
        1000 * np.linalg.norm(errors, axis=-1).mean(),
        scores['hand']['all']['MPJPE'], rtol=1e-4)
    assert len(json.loads(Path('kit/s1_keypoints.json').read_text())) == len(
        ids)

    run(here, 'predict', TINY, best, INDEX, '--out', 'found',
        '--cfg-options', *SMALL)
    again, predicted = read_hand_poses('found/hpe.txt')
    np.testing.assert_array_equal(again, ids)
    np.testing.assert_allclose(predicted, joints, atol=1e-5)
    poses, written = (read_bop_poses(name) for name in
                      ('found/bop.csv', 'kit/s1_objects.csv'))
    np.testing.assert_array_equal(poses['obj_id'], written['obj_id'])
    np.testing.assert_allclose(poses['t'], written['t'], atol=1e-5)


def test_from_predictions_to_pictures(here: Path, best: Path) -> None:
    run(here, 'predict', TINY, best, INDEX, '--limit', '4', '--pictures',
        '1', '--out', 'few', '--cfg-options', *SMALL)
    assert not Path('few/hpe.txt').exists()  # it would not be whole
    assert len(list(Path('few/pictures').iterdir())) == 1
    run(here, 'visualize', TINY, 'few', INDEX, '--labels', '--out',
        'few.png')
    assert Path('few.png').stat().st_size > 10_000
    run(here, 'visualize', TINY, 'few', INDEX, '--labels', '--worst', '1',
        '--by', 'object', '--out', 'worst')
    assert list(Path('worst').glob('worst_*.jpg'))


def test_a_photograph_without_camera(here: Path, best: Path) -> None:
    index = read_index(INDEX)
    row = int(np.flatnonzero(index['hand_valid'])[0])
    picture = WORLD / index.file_of(row)
    box = [*map(str, np.asarray(index['bbox_hand'][row]).tolist())]
    for side in ('right', 'left'):
        assert 'guessed' in run(
            here, 'predict', TINY, best, picture, '--bbox', *box, '--side',
            side, '--out', side, '--cfg-options', *SMALL)
        found = read_predictions(Path(side))
        assert not found.columns['metric_depth'].any()
        x, y, width, height = found.columns['bbox'][0]
        middle = found.columns['keypoints'][0].mean(0)
        assert abs(middle[0] - x - width / 2) < width
        assert abs(middle[1] - y - height / 2) < height
    assert not np.allclose(*(
        read_predictions(Path(side)).columns['keypoints_cam']
        for side in ('right', 'left')))
    run(here, 'visualize', TINY, 'left', picture, '--out', 'left.png')


@pytest.fixture(scope='module')
def staged(data: Path) -> Path:
    """Work directory of a training in three stages and a last one."""
    fields = data / WORLD / 'distance_fields.npz'
    assert make_fields([str(data / WORLD / 'models'), '--resolution', '16',
                        '--out', str(fields)]) == 0
    return train(data, STAGES, 'staged', *IN_STAGES)


def weights(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    """Those that train, beside which averages are saved."""
    state = load_checkpoint(folder / f'epoch_{epoch}.pth')['ema_state_dict']
    return {name.removeprefix('module.'): value
            for name, value in state.items() if name != 'steps'}


def moved(folder: Path, since: int, until: int) -> set[str]:
    """Parts whose weights changed between two checkpoints."""
    before, after = weights(folder, since), weights(folder, until)
    return {'.'.join(name.split('.')[:1 + name.startswith('head.')])
            for name, value in after.items()
            if name.endswith(('.weight', '.bias'))
            and not torch.equal(value, before[name])}


def test_each_stage_trains_its_part(staged: Path) -> None:
    log = log_of(staged)
    places = [log.index(phase) for phase in PHASES]
    assert places == sorted(places)
    hand = {'backbone', 'head.neck', 'head.queries', 'head.hand',
            'head.refiner'}
    scene = {'head.neck', 'head.queries', 'head.object', 'head.contact'}
    assert moved(staged, 1, 2) == hand
    assert moved(staged, 2, 4) == scene
    assert moved(staged, 4, 9) == moved(staged, 9, 12) == hand | scene


def test_penetration_comes_in_at_the_end(staged: Path) -> None:
    file, = staged.glob('*/vis_data/scalars.json')
    records = [record for record in map(
        json.loads, file.read_text().splitlines()) if 'loss' in record]
    assert len(records) == 2 * EPOCHS
    first, *rest = [record['weight/penetration'] for record in records[18:]]
    assert {record['weight/penetration'] for record in records[:18]} == {0}
    assert first == 0 and rest == [5, 10, 10, 10, 10]
    assert all(np.isfinite(record['loss_penetration'])
               for record in records)
    rates = [record['lr'] for record in records]
    assert rates[12] == pytest.approx(rates[7] / 2)
    assert rates[-1] == pytest.approx(rates[12] / 5)


def test_resumed_in_mid_stage_ends_with_the_same_bits(
        here: Path, staged: Path) -> None:
    again = here / 'resumed'
    again.mkdir()
    name = f'epoch_{RESUMED}.pth'
    shutil.copy(staged / name, again)
    (again / 'last_checkpoint').write_text(str(again / name))
    train(here, STAGES, again.name, *IN_STAGES, resume=True)
    one, other = (load_checkpoint(folder / f'epoch_{EPOCHS}.pth')
                  for folder in (staged, again))
    for part in ('state_dict', 'ema_state_dict'):
        for key, value in one[part].items():
            assert torch.equal(other[part][key], value), key
    assert losses(again) == losses(staged)[2 * RESUMED:]


def stop_of(here: Path, kind: str, *options: str) -> str:
    """The line that a training ends in before it begins."""
    folder = here / 'refused'
    shutil.rmtree(folder, ignore_errors=True)
    output = run(here, PACKAGED, TINY, '--work-dir', folder,
                 '--cfg-options', *SHORT, *options, code=1)
    assert not list(folder.glob('*.pth'))
    assert 'Epoch(train)' not in output
    found, text = output.splitlines()[-1].split(': ', 1)
    assert found.split('.')[-1] == kind
    return text


@pytest.mark.parametrize(('option', 'parts'), [
    ('train_dataloader.dataset.subset=wrong',
     ('subset', "('all', 'right', 'close')", "'wrong'")),
    ('model.head.num_objects=0',
     ('predict_contact', 'expected objects', 'num_objects=0')),
    ('model.head.rotation_frame=world',
     ('rotation_frame', 'allocentric or camera', "'world'")),
])
def test_a_wrong_option_stops_before_training(
        here: Path, option: str, parts: tuple[str, ...]) -> None:
    text = stop_of(here, 'ValueError', option)
    for part in parts:
        assert part in text


@pytest.fixture
def damaged(here: Path, tmp_path: Path) -> Path:
    """A data root with a copy of the index."""
    for path in WORLD.resolve().iterdir():
        if path.name != 'index':
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(WORLD / 'index', tmp_path / 'index')
    return tmp_path


def test_a_damaged_index_stops_before_training(
        here: Path, damaged: Path) -> None:
    index = damaged / 'index/s1_train.npz'
    with np.load(index) as archive:
        columns = dict(archive)
    columns['K'] *= 2
    np.savez(index, **columns)
    option = f'train_dataloader.dataset.data_root={damaged}'
    text = stop_of(here, 'DataError', option)
    for part in (f'{index}: K of row 0: expected a camera of 640 x 480 px',
                 'found fx 1', 'of another resolution'):
        assert part in text
    with index.open('r+b') as stream:
        stream.truncate(index.stat().st_size // 2)
    text = stop_of(here, 'DataError', option)
    assert text == (f'{index}: archive: expected an .npz (zip) file, found '
                    'one that is cut short')


def test_a_missing_picture_stops_before_training(
        here: Path, damaged: Path) -> None:
    index = read_index(damaged / 'index/s1_train.npz')
    picture = damaged / index.file_of(
        int(np.flatnonzero(index['hand_valid'])[0]))
    subject = damaged / picture.relative_to(damaged).parts[0]
    original = subject.resolve()
    subject.unlink()
    shutil.copytree(original, subject)
    picture.unlink()
    option = f'train_dataloader.dataset.data_root={damaged}'
    text = stop_of(here, 'DataError', option)
    for part in (f'{index.path}: pictures: expected each below {damaged}',
                 f'found no {picture.relative_to(damaged)}',
                 '1 of the', 'are missing'):
        assert part in text
    assert f'error: {text}' in run(
        here, 'verify_dataset', TINY, '--cfg-options', option, code=1)


HANDS = """
_base_ = [{tiny!r}]
model = dict(head=dict(
    num_objects=0, predict_contact=False,
    losses=dict(
        _delete_=True,
        uv=dict(type='mmpose_ext.HandObjectPixelLoss', loss_weight=5.),
        rel=dict(type='mmpose_ext.HandObjectRelativeLoss', loss_weight=10.),
        rho=dict(type='mmpose_ext.HandObjectRootDepthLoss'))))
files = dict(data_root='interhand2.6m',
             ann_file='index/interhand2.6m_test.npz')
train_dataloader = dict(dataset=files)
val_dataloader = dict(dataset=files)
test_dataloader = dict(dataset=files)
val_evaluator = dict(
    modes=['hand'],
    mean_pose_from='interhand2.6m/index/interhand2.6m_test.npz')
test_evaluator = val_evaluator
"""


def test_real_hands_from_annotations_to_pictures(
        here: Path, real_data: Path) -> None:
    """A network for hands alone, of photographs of different sizes."""
    source = real_data / 'interhand2.6m'
    if not source.is_dir():
        pytest.skip(f'no {source}')
    folder, config = Path('interhand2.6m'), Path('hands.py')
    shutil.copytree(source, folder)
    run(here, 'convert_dataset', 'interhand2.6m', folder, '--out',
        folder / 'index')
    index = folder / 'index/interhand2.6m_test.npz'
    hands = len(read_index(index))
    config.write_text(HANDS.format(tiny=str(TINY)))
    options = [*SMALL[:2], *ALONE]
    work_dir = train(
        here, config, 'hands', *options, 'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1', f'train_dataloader.batch_size={hands}',
        'default_hooks.checkpoint.interval=1',
        'default_hooks.logger.interval=1')
    assert len(losses(work_dir)) == 1
    assert f'protocol: {hands} hands of {hands} samples' in log_of(work_dir)
    run(here, 'predict', config, work_dir / 'epoch_1.pth', index, '--out',
        'hands_found', '--cfg-options', *options)
    found = read_predictions(Path('hands_found'))
    assert len(found) == hands and found.columns['metric_depth'].all()
    assert 'object_rotations' not in found.columns
    run(here, 'visualize', config, 'hands_found', index, '--labels',
        '--out', 'hands.png')
    assert Path('hands.png').stat().st_size > 10_000
