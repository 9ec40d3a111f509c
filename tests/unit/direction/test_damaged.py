"""Damaged inputs: one clear DataError each, exit code 1, nothing written."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from mmpose_ext.commands import run_convert, run_verify
from mmpose_ext.direction.datasets import DirectionDataset
from mmpose_ext.storage import DataError, VideoWriter
from tests.unit.direction.data_files import (
    BODYPARTS,
    animal_points,
    arrays_of,
    draw_frame,
    write_config,
    write_dlc_project,
    write_dlc_tracks,
)

ROOT = Path(__file__).resolve().parents[3]


def changed(key: str, change: Callable[[Any], Any]) -> dict:
    arrays = arrays_of()
    arrays[key] = change(arrays[key])
    return arrays


def put(key: str, row: int, value: Any) -> dict:
    arrays = arrays_of()
    arrays[key] = np.array(arrays[key])
    arrays[key][row] = value
    return arrays


def renamed(old: str, new: str) -> dict:
    arrays = arrays_of(vis=np.ones((40, 3), bool))
    arrays[new] = arrays.pop(old)
    return arrays


def swapped() -> dict:
    """Points as (row, column) of animals that lie across the diagonal."""
    arrays = arrays_of(80, seed=2)
    for key in ('locs_base', 'locs_neck', 'locs_head'):
        arrays[key] = arrays[key][:, ::-1]
    return arrays


def twins() -> dict:
    """Copies, turned and shifted, that pass for sources of their own."""
    arrays = arrays_of(30)
    images = np.concatenate(
        [arrays['images'], np.rot90(arrays['images'], 1, (1, 2))])
    double = {key: np.concatenate([value, value])
              for key, value in arrays.items()}
    return dict(double, images=images, source_id=np.arange(60))


# name: (arrays, where of the error)
ARRAYS: dict[str, tuple[Callable[[], dict], str]] = {
    'missing key': (lambda: arrays_of(locs_head=None), "key 'locs_head'"),
    "the README's key": (lambda: renamed('locs_neck', 'loclocs_necks'),
                         "key 'locs_neck'"),
    'misspelt vis': (lambda: renamed('vis', 'visible'), "key 'visible'"),
    'misspelt group': (lambda: renamed('source_id', 'sources'),
                       "key 'sources'"),
    'float images': (lambda: changed('images', lambda x: x / 255.), 'images'),
    'signed images': (lambda: changed('images', lambda x: x.astype('i2')),
                      'images'),
    'RGB images': (lambda: changed('images', lambda x: np.stack([x] * 3, -1)),
                   'images'),
    'flat images': (lambda: changed('images', lambda x: x.reshape(40, -1)),
                    'images'),
    'oblong images': (lambda: changed('images', lambda x: x[:, :40]),
                      'images'),
    'tiny images': (lambda: changed('images', lambda x: x[:, :8, :8]),
                    'images'),
    'no images': (lambda: {k: v[:0] for k, v in arrays_of().items()},
                  'images'),
    'fewer points': (lambda: changed('locs_head', lambda x: x[:-1]),
                     'locs_head'),
    '3D points': (lambda: changed('locs_base', lambda x: np.c_[x, x[:, 0]]),
                  'locs_base'),
    'points as text': (lambda: changed('locs_base', lambda x: x.astype(str)),
                       'locs_base'),
    'complex points': (lambda: changed('locs_base', lambda x: x + 1j),
                       'locs_base'),
    'rows and columns': (swapped, 'locs_*'),
    'NaN': (lambda: put('locs_neck', 7, np.nan), 'locs_neck[7]'),
    'infinity': (lambda: put('locs_head', 9, np.inf), 'locs_head[9]'),
    'points of the frame': (lambda: changed('locs_head', lambda x: x + 200),
                            'locs_head[0]'),
    'normalised points': (lambda: changed(
        'locs_base', lambda x: (x - 25) / 25 - 1), 'locs_base[0]'),
    'vis of one point': (lambda: arrays_of(vis=np.ones(40, bool)), 'vis'),
    'vis of other rows': (lambda: arrays_of(vis=np.ones((39, 3), bool)),
                          'vis'),
    'vis as probability': (lambda: arrays_of(vis=np.full((40, 3), .5)), 'vis'),
    'ids of other length': (lambda: arrays_of(source_id=np.arange(39)),
                            'source_id'),
    'ids per point': (lambda: arrays_of(animal=np.zeros((40, 3), int)),
                      'animal'),
    'ids as floats': (lambda: arrays_of(session=np.full(40, np.nan)),
                      'session'),
    'constant image': (lambda: put('images', 5, 77), 'images[5]'),
    'repeated image': (lambda: put('images', 5, arrays_of()['images'][4]),
                       'images[5]'),
}


@pytest.mark.parametrize('name', ARRAYS)
def test_damaged_arrays(tmp_path: Path, capsys, name: str) -> None:
    make, where = ARRAYS[name]
    path = tmp_path / 'rats.npz'
    np.savez(path, **make())
    _check_verify(path, where, capsys)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def _flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2000:2040] = bytes(byte ^ 255 for byte in content[2000:2040])
    path.write_bytes(content)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


# name: (what happens to a sound file, where of the error)
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    'truncated': (_truncate, 'archive'),
    'flipped bits': (_flip_bits, "key 'images'"),
    'not a zip': (lambda path: path.write_text('images'), 'archive'),
    'a single array': (lambda path: path.write_bytes(b'\x93NUMPY\x01\x00'),
                       'archive'),
    'empty file': (lambda path: path.write_bytes(b''), 'file'),
    'missing file': (lambda path: path.unlink(), 'file'),
    'folder': (_make_folder, 'file'),
    'pickled objects': (lambda path: np.savez(
        path, **arrays_of(images=np.array([{}] * 40))), "key 'images'"),
}


@pytest.mark.parametrize('name', FILES)
def test_damaged_file(tmp_path: Path, capsys, name: str) -> None:
    damage, where = FILES[name]
    path = tmp_path / 'rats.npz'
    np.savez(path, **arrays_of())
    damage(path)
    _check_verify(path, where, capsys)


# name: (arrays, split_by, where of the error)
SPLITS: dict[str, tuple[Callable[[], dict], dict, str]] = {
    'one session': (lambda: arrays_of(session=np.zeros(40, int)), {},
                    'split by session'),
    'two sessions': (lambda: arrays_of(session=np.arange(40) // 20), {},
                     'split by session'),
    'one animal left out of one': (
        lambda: arrays_of(animal=np.array(['a'] * 40)),
        dict(key='animal', holdout='a'), 'split by animal'),
    'unknown animal': (lambda: arrays_of(animal=np.array(['a', 'b'] * 20)),
                       dict(holdout='c'), 'split_by.holdout'),
    'no animals': (arrays_of, dict(holdout='a'), 'split_by.holdout'),
    'unknown key': (arrays_of, dict(key='session'), 'split_by.key'),
    'copies across parts': (twins, {}, 'split by source_id'),
    'no share for val': (arrays_of, dict(fractions=(.8, 0., .2)),
                         "split 'val'"),
    'gap wider than a block': (arrays_of, dict(method='block', gap=9),
                               'split by blocks of frames'),
    'split by row': (arrays_of, dict(method='row'),
                     'train_dataloader.dataset'),
}


@pytest.mark.parametrize('name', SPLITS)
def test_impossible_split(tmp_path: Path, capsys, name: str) -> None:
    make, split_by, where = SPLITS[name]
    np.savez(tmp_path / 'rats.npz', **make())
    config = write_config(tmp_path / 'c.py', tmp_path / 'rats.npz',
                          **split_by)
    assert run_verify('', [str(config), '--json']) == 1
    problems = json.loads(capsys.readouterr().out)['problems']
    assert where in [problem['where'] for problem in problems]


def _check_verify(path: Path, where: str, capsys) -> None:
    before = sorted(path.parent.iterdir())
    assert run_verify('', ['--ann-file', str(path), '--json']) == 1
    problems = json.loads(capsys.readouterr().out)['problems']
    assert [problem['where'] for problem in problems] == [where]
    assert problems[0]['file'] == str(path)
    assert run_verify('', ['--ann-file', str(path)]) == 1
    out = capsys.readouterr().out
    assert out.count('error: ') == len(
        [line for line in out.splitlines() if line.startswith('error')]) == 1
    assert sorted(path.parent.iterdir()) == before


def test_training_is_refused_with_the_same_error(tmp_path: Path) -> None:
    np.savez(tmp_path / 'rats.npz', **put('locs_neck', 7, np.nan))
    with pytest.raises(DataError) as caught:
        DirectionDataset('rats.npz', str(tmp_path))
    assert caught.value.where == 'locs_neck[7]'
    assert 'vis' in caught.value.hint


def test_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    np.savez(tmp_path / 'rats.npz', **arrays_of(locs_neck=None))
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'verify_dataset.py'),
         '--ann-file', str(tmp_path / 'rats.npz')],
        capture_output=True, text=True, timeout=300, check=False,
        env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin',
             'OMP_NUM_THREADS': '1'})
    assert done.returncode == 1
    assert done.stdout.count('error: ') == 1
    assert 'Traceback' not in done.stderr


# --- sources of other programs -------------------------------------------


def project(folder: Path, **options: Any) -> Path:
    return write_dlc_project(folder / 'project', animal_points(5), **options)


def without_images(folder: Path) -> Path:
    made = project(folder)
    next(made.rglob('img002.png')).unlink()
    return made


def without_config(folder: Path) -> Path:
    made = project(folder)
    (made / 'config.yaml').unlink()
    return made


def with_image(folder: Path, content: bytes) -> Path:
    made = project(folder)
    next(made.rglob('img002.png')).write_bytes(content)
    return made


def with_half_an_image(folder: Path) -> Path:
    made = project(folder)
    image = next(made.rglob('img002.png'))
    image.write_bytes(image.read_bytes()[:200])
    return made


def with_image_of_another_size(folder: Path) -> Path:
    made = project(folder)
    image = next(made.rglob('img002.png'))
    cv2.imwrite(str(image), draw_frame([], 100, 80))
    return made


def with_small_images(folder: Path) -> Path:
    made = project(folder)
    for image in made.rglob('*.png'):
        cv2.imwrite(str(image), draw_frame([], 50, 40))
    return made


def with_individuals(folder: Path) -> Path:
    made = project(folder)
    (made / 'config.yaml').write_text(
        'Task: t\nscorer: me\nmultianimalproject: true\nindividuals: [a, b]\n'
        f'multianimalbodyparts: [{", ".join(BODYPARTS)}]\n'
        'uniquebodyparts: []\n')
    table = next(made.rglob('CollectedData_me.csv'))
    lines = table.read_text().splitlines()
    lines.insert(1, ','.join(['individuals'] + ['a'] * 8))
    table.write_text('\n'.join(lines) + '\n')
    return made


def coco(folder: Path, **changes: Any) -> Path:
    project(folder)
    three = animal_points(5)[:, [3, 1, 0]]
    content: dict[str, Any] = dict(
        categories=[dict(id=1, keypoints=['tail_base', 'neck', 'nose'])],
        images=[dict(id=i, file_name=f'project/labeled-data/rat1/img{i:03d}'
                     '.png') for i in range(5)],
        annotations=[
            dict(id=i, image_id=i, category_id=1,
                 keypoints=[v for x, y in three[i] for v in (x, y, 2)])
            for i in range(5)
        ])
    content.update(changes)
    (folder / 'labels.json').write_text(json.dumps(content))
    return folder / 'labels.json'


def coco_with_two_animals(folder: Path) -> Path:
    path = coco(folder)
    content = json.loads(path.read_text())
    content['annotations'][1]['image_id'] = 0
    path.write_text(json.dumps(content))
    return path


def tracks(folder: Path, frames: int = 5, text: str = '') -> Path:
    points = animal_points(5)
    with VideoWriter(folder / 'v.mp4', 25, (200, 160)) as video:
        for row in points[:frames]:
            video.write(draw_frame(row))
    table = write_dlc_tracks(folder / 'vDLC.csv', points)
    if text:
        table.write_text(table.read_text().replace('0.9', text, 1))
    return table


def analysis(folder: Path, count: int = 1, **names: Any) -> Path:
    tracks(folder)
    points = animal_points(5).transpose(2, 1, 0)
    with h5py.File(folder / 'v.analysis.h5', 'w') as file:
        file['node_names'] = [name.encode() for name in BODYPARTS]
        file['track_names'] = [b'a', b'b'][:count]
        file['tracks'] = np.stack([points] * count)
        if names.get('without'):
            del file[names['without']]
    return folder / 'v.analysis.h5'


VIDEO = ('--video', 'v.mp4')

# name: (format, source, further words, where of the error)
# nothing tells that these are for this family
ASKED = ('--family', 'direction')
SOURCES: dict[str, tuple[str, Callable[[Path], Path], tuple, str]] = {
    'no project': ('dlc', lambda folder: folder / 'none', (), 'file'),
    'no config': ('dlc', without_config, (), 'file'),
    'no image': ('dlc', without_images, (), 'images'),
    'corrupt image': ('dlc', lambda f: with_image(f, b'no png'), (), 'file'),
    'half an image': ('dlc', with_half_an_image, (), 'file'),
    'image of another size': ('dlc', with_image_of_another_size, (), 'size'),
    'images smaller than the points': ('dlc', with_small_images, (),
                                       'point'),
    'no base': ('dlc', lambda f: write_dlc_project(
        f / 'project', animal_points(3),
        bodyparts=('nose', 'left_ear', 'right_ear', 'paw')), ASKED,
        'point for base'),
    'unknown name': ('dlc', project, ('--neck', 'throat'), '--neck throat'),
    'one point twice': ('dlc', project, ('--neck', 'nose'),
                        'points for neck and head'),
    'cell not a number': ('dlc', lambda f: project(f, cells={(2, 3): 'x'}),
                          (), 'line 6'),
    'nothing labelled': ('dlc', lambda f: write_dlc_project(
        f / 'project', np.full((3, 4, 2), np.nan)), (), 'points'),
    'two individuals': ('dlc', with_individuals, (), 'individuals'),
    'unknown individual': ('dlc', with_individuals, ('--individual', 'c'),
                           "key 'c'"),
    'crop too tight': ('dlc', project, ('--crop-scale', '1', '--jitter', '1'),
                       'locs_'),
    'COCO without keypoints': ('coco', lambda f: coco(
        f, categories=[dict(id=1, name='rat')]), ASKED, 'category 1'),
    'COCO without annotations': ('coco', lambda f: coco(f, annotations=[]),
                                 (), "key 'annotations'"),
    'COCO with two animals': ('coco', coco_with_two_animals, (),
                              'image img000.png'),
    'COCO elsewhere': ('coco', coco, ('--images', 'project'), 'images'),
    'COCO not JSON': ('coco', lambda f: Path(
        (f / 'x.json').write_text('{') and f / 'x.json'), (), 'file'),
    'SLEAP without tracks': ('sleap', lambda f: analysis(
        f, without='tracks'), VIDEO, "key 'tracks'"),
    'SLEAP without video': ('sleap', analysis, (), 'video'),
    'SLEAP with a missing video': ('sleap', analysis,
                                   ('--video', 'none.mp4'), 'file'),
    'SLEAP with two animals': ('sleap', lambda f: analysis(f, 2),
                               ('--family=direction', *VIDEO),
                               'individuals'),
    'SLEAP not HDF5': ('sleap', lambda f: Path(
        (f / 'x.slp').write_text('x') and f / 'x.slp'), (), 'file'),
    'tracks without video': ('tracks', tracks, (), 'video'),
    'tracks cell': ('tracks', lambda f: tracks(f, text='high'), VIDEO,
                    'line 4'),
    'tracks longer than the video': ('tracks', lambda f: tracks(f, 3), VIDEO,
                                     'frames'),
    'tracks with a text for a video': ('tracks', tracks,
                                       ('--video', 'vDLC.csv'), 'file'),
    'hand labels as tracks': ('tracks', lambda f: next(
        project(f).rglob('*.csv')), VIDEO, 'header'),
}


@pytest.mark.parametrize('name', SOURCES)
def test_damaged_source(tmp_path: Path, capsys, monkeypatch,
                        name: str) -> None:
    form, make, words, where = SOURCES[name]
    source = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    assert run_convert('', [form, str(source), '--out', 'new/out',
                            *words]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ')
    assert f': {where}' in error
    assert [path for path in sorted(tmp_path.rglob('*'))
            if path not in before and path.name != 'new'] == []


def test_existing_output_stays(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    out.write_text('mine')
    words = ['dlc', str(project(tmp_path)), '--out', str(out)]
    assert run_convert('', words) == 1
    assert out.read_text() == 'mine'
    out.unlink()
    out.mkdir()  # in which there is nothing to keep
    assert run_convert('', words) == 0


def test_interrupted_writing_leaves_the_old_data(
        tmp_path: Path, monkeypatch) -> None:
    source = project(tmp_path)
    words = ['dlc', str(source), '--out', str(tmp_path / 'out')]
    assert run_convert('', words) == 0
    before = (tmp_path / 'out' / 'direction.npz').read_bytes()

    def stop(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(cv2, 'imwrite', stop)
    with pytest.raises(KeyboardInterrupt):
        run_convert('', [*words, '--overwrite', '--seed', '1'])
    assert (tmp_path / 'out' / 'direction.npz').read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'out', 'project']
