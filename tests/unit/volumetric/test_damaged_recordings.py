"""Damaged recordings: one clear DataError each, when the data set is made."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import ComTrack, write_com3d
from mmpose_ext.storage.label3d import write_label3d
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from tests.unit.volumetric.recording_files import (
    NAMES,
    make_record,
    project,
    write_recording,
    write_videos,
)

LABELS = 'label3d_dannce.mat'
Change = Callable[[Path], object]


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp('sound') / 'monday')


def record(**changes: Any) -> Change:
    """Write the labels anew with some fields changed."""
    def apply(folder: Path) -> None:
        made = make_record(folder)
        values = {key: value(made) if callable(value) else value
                  for key, value in changes.items()}
        write_label3d(folder / LABELS, replace(made, **values))
    return apply


def raw(change: Callable[[dict], object]) -> Change:
    """Edit the variables of the label file, which need not stay sound."""
    def apply(folder: Path) -> None:
        content = loadmat(folder / LABELS, simplify_cells=True)
        content = {key: value for key, value in content.items()
                   if not key.startswith('__')}
        content['camnames'] = list(content['camnames'])
        change(content)
        for key, value in content.items():
            if isinstance(value, list):
                content[key] = np.empty(len(value), object)
                content[key][:] = value
        savemat(folder / LABELS, content)
    return apply


def put(key: str, view: int, field: str, value: Any) -> Change:
    """Replace a field of a camera's struct, by a value or a function."""
    def change(content: dict) -> None:
        struct = content[key][view]
        struct[field] = value(struct[field]) if callable(value) else value
    return raw(change)


def put_all(key: str, field: str, change: Callable[[Any], Any]) -> Change:
    def apply(content: dict) -> None:
        for struct in content[key]:
            struct[field] = change(struct[field])
    return raw(apply)


def together(*changes: Change) -> Change:
    def apply(folder: Path) -> None:
        for change in changes:
            change(folder)
    return apply


def video(name: str, change: Callable[[Path], object]) -> Change:
    return lambda folder: change(folder / 'videos' / name)


def rewrite_videos(**arguments: Any) -> Change:
    def apply(folder: Path) -> None:
        shutil.rmtree(folder / 'videos')
        write_videos(folder / 'videos', **arguments)
    return apply


def com_file(ids: Any = None, points: Any = None) -> Change:
    """A com3d.mat whose ids or points are changed from the sound ones."""
    def apply(folder: Path) -> None:
        made = make_record(folder)
        write_com3d(folder / 'com3d.mat', ComTrack(
            folder, made.com_ids if ids is None else ids(made.com_ids),
            made.com if points is None else points(made.com)), {})
    return apply


def settings(text: str) -> Change:
    return lambda folder: (folder / 'recording.json').write_text(text)


def truncate(path: Path, share: float = .5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:int(share * len(data))])


def write_truncated_hdf5(folder: Path) -> None:
    path = folder / LABELS
    with h5py.File(path, 'w', userblock_size=512) as file:
        file['params'] = np.zeros((3, 1000))
    data = path.read_bytes()
    header = b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM'
    path.write_bytes(header + data[len(header):3000])


def turned(item: Any) -> Any:
    return replace(item, rotation=item.rotation.T.copy())


def inverted(item: Any) -> Any:
    """From camera to world, as other programs write it."""
    return replace(item, rotation=item.rotation.T.copy(),
                   translation=-item.rotation @ item.translation)


def resized(item: Any, factor: float) -> Any:
    return replace(item, translation=item.translation * factor)


def exchange(values: Any) -> Any:
    return values[[1, 0, 2]]


def two_animals(made: Any) -> Any:
    return np.concatenate([made.points, made.points + 50], 1)


COM = dict(recording_settings=dict(com_file='com3d.mat'))
CASES: dict[str, tuple[Change, dict, tuple[str, ...]]] = {
    # what lies in the folder
    'folder missing': (shutil.rmtree, {}, ('data_root', 'nothing')),
    'folder is a file': (lambda f: (shutil.rmtree(f), f.write_text('x')), {},
                         ('data_root', 'a file')),
    'no label file': (lambda f: (f / LABELS).unlink(), {},
                      ('label file', 'none')),
    'two label files': (lambda f: shutil.copy(f / LABELS, f / 'b_dannce.mat'),
                        {}, ('label file', 'b_dannce.mat')),
    'no recording below': (lambda f: None, dict(recordings='*'),
                           ('*/*dannce.mat', 'none')),
    'recording misspelt': (lambda f: None, dict(recordings=['mondy']),
                           ('a recording', 'nothing')),
    # the label file itself
    'empty': (lambda f: (f / LABELS).write_bytes(b''), {}, (LABELS, 'empty')),
    'cut short': (lambda f: truncate(f / LABELS), {}, (LABELS, )),
    'text': (lambda f: (f / LABELS).write_text('no labels here' * 99), {},
             (LABELS, )),
    'v7.3 cut short': (write_truncated_hdf5, {}, (LABELS, )),
    'no params': (raw(lambda c: c.pop('params')), {}, ("'params'", )),
    'a camera without params': (raw(lambda c: c['params'].pop()), {},
                                ('params', '3', '2')),
    'a camera without labels': (raw(lambda c: c['labelData'].pop()), {},
                                ('labelData', '3', '2')),
    'cameras of one name': (raw(lambda c: c.update(camnames=['A', 'A', 'B'])),
                            {}, ('camnames', "'A'")),
    'params no structs': (raw(lambda c: c.update(params=np.zeros(3))), {},
                          ('params', )),
    'data_3d not in threes': (put_all('labelData', 'data_3d',
                                      lambda a: a[:, :-1]), {},
                              ('data_3d', '47')),
    'data_2d of other points': (put('labelData', 1, 'data_2d',
                                    lambda a: a[:, :-4]), {},
                                ('data_2d', '32')),
    'infinite label': (put_all('labelData', 'data_3d',
                               lambda a: np.where(a == a.max(), np.inf, a)),
                       {}, ('data_3d', 'infinity')),
    'text for frames': (put('sync', 0, 'data_frame', 'abc'), {},
                        ('data_frame', )),
    # time points
    'labels not in sync': (
        put_all('labelData', 'data_sampleID', lambda a: a + 3), {},
        ('labelData.data_sampleID', 'sync', 'multiples of 10')),
    'labels by frame number': (
        together(*(put('labelData', i, 'data_sampleID', np.arange(12))
                   for i in range(3))), {},
        ('labelData.data_sampleID', 'no frame number')),
    'labels of other frames': (put('labelData', 2, 'data_frame',
                                   lambda a: a + 1), {},
                               ('Camera3', 'data_frame 0', '12 of 12')),
    'sampleIDs differ between cameras': (
        put('sync', 1, 'data_sampleID', lambda a: a + 10), {},
        ('sync[1]', '11')),
    'sampleID twice': (
        put_all('sync', 'data_sampleID',
                lambda a: np.where(a == 21, 11, a)), {}, ('sync', '11')),
    'no time points': (
        together(raw(lambda c: (c.pop('sync'), c.pop('com'))), put_all(
            'labelData', 'data_sampleID', lambda a: a[:0])), {},
        ('sync.data_sampleID', 'none')),
    'frames counted from 1': (
        together(put_all('sync', 'data_frame', lambda a: a + 1),
                 put_all('labelData', 'data_frame', lambda a: a[:6] + 1)),
        {}, ('sync.data_frame', '0 to 11', '1 to 12', 'subtract 1')),
    # cameras
    'K transposed': (put_all('params', 'K', np.transpose), {},
                     ('matrix', 'transpose')),
    'focal length zero': (put('params', 0, 'K',
                              lambda a: a * [[0.], [1], [1]]), {},
                          ('Camera1', 'matrix')),
    'r no rotation': (put('params', 1, 'r', lambda a: 2 * a), {},
                      ('Camera2', 'rotation')),
    'r a reflection': (put('params', 1, 'r', np.negative), {},
                       ('Camera2', 'rotation')),
    'NaN in t': (put('params', 2, 't', lambda a: a * np.nan), {},
                 ('Camera3', 'translation')),
    'one distortion coefficient': (put('params', 0, 'RDistort', [[.1]]), {},
                                   ('Camera1', )),
    'no TDistort': (put('params', 0, 'TDistort', np.zeros(0)), {},
                    ('tangential', )),
    'a mirror': (put('params', 0, 'm', 1.), {}, ('Camera1', 'mirror')),
    'r transposed': (
        record(calibrations=lambda m: tuple(map(turned, m.calibrations))),
        {}, ('data_2d', 'r transposed')),
    'camera to world, no 2D labels': (
        record(calibrations=lambda m: tuple(map(inverted, m.calibrations)),
               pixels=None), {}, ('inside the images', 'of the inverse')),
    'one of camera to world, no 2D labels': (
        record(calibrations=lambda m: (inverted(m.calibrations[0]),
                                       *m.calibrations[1:]), pixels=None),
        {}, ('Camera1', 'of the inverse')),
    't in metres': (
        record(calibrations=lambda m: tuple(
            resized(item, .001) for item in m.calibrations)), {},
        ('data_2d', 't times 1000')),
    't in micrometres': (
        record(calibrations=lambda m: tuple(
            resized(item, 1000.) for item in m.calibrations)), {},
        ('params, t', 'micrometres')),
    'all in metres': (
        record(calibrations=lambda m: tuple(
            resized(item, .001) for item in m.calibrations),
            points=lambda m: m.points / 1000, com=lambda m: m.com / 1000),
        {}, ('params, t', 'metres')),
    'labels in metres': (
        record(points=lambda m: m.points / 1000, com=None, com_ids=None,
               pixels=None), {}, ('data_3d', 'metres')),
    'calibrated from 0, labels from 1': (
        record(pixels=lambda m: m.pixels + 1), {},
        ('(+1.00, +1.00) px', 'pixel_origin')),
    'labels of another calibration': (
        record(points=lambda m: m.points + [0, 0, 120.], com=None,
               com_ids=None), {}, ('data_2d', 'another calibration')),
    'cameras in another order': (
        record(pixels=lambda m: exchange(m.pixels)), {},
        ('data_2d', 'another order')),
    'labels beside all images': (
        record(points=lambda m: m.points + 400., com=None, com_ids=None,
               pixels=lambda m: project(m.calibrations, m.points + 400.)),
        {}, ('inside the images', 'Camera1 0%')),
    # videos
    'no videos': (lambda f: shutil.rmtree(f / 'videos'), {}, ('videos', )),
    'camera missing': (video('Camera2', shutil.rmtree), {},
                       ("camera 'Camera2'", "'Camera1'")),
    'camera without videos': (
        video('Camera2', lambda p: (shutil.rmtree(p), p.mkdir())), {},
        ('Camera2', 'none')),
    'video misnamed': (
        video('Camera1', lambda p: (p / '0.mp4').rename(p / 'a.mp4')), {},
        ('a.mp4', 'first frame')),
    'videos shorter than labels': (
        rewrite_videos(frames=9), {}, ('Camera1', 'frame 9', '3 labels')),
    'last chunk missing': (
        video('Camera3', lambda p: (p / '7.mp4').unlink()), {},
        ('Camera3', 'frame 7', '5 labels')),
    'first chunk missing': (
        video('Camera3', lambda p: (p / '0.mp4').unlink()), {},
        ('Camera3', 'frame 0', '7 labels')),
    'frames between chunks missing': (
        video('Camera2', lambda p: (p / '7.mp4').rename(p / '9.mp4')), {},
        ('Camera2', '0.mp4', '9')),
    'chunk unreadable': (
        video('Camera1/7.mp4', lambda p: p.write_bytes(b'\0' * 5000)), {},
        ('7.mp4', )),
    'chunk cut short': (video('Camera1/7.mp4', truncate), {}, ('7.mp4', )),
    'chunks of two sizes': (
        lambda f: write_videos(f / 'videos', NAMES[:1], 7, size=(64, 48)), {},
        ('Camera1', '64 x 48')),
    'videos reduced': (
        rewrite_videos(size=(48, 36)), {}, ('48 x 36', '2 times as small')),
    'videos turned': (
        rewrite_videos(size=(72, 96)), {}, ('72 x 96', 'quarter')),
    # middles of the animals
    'no com_file': (lambda f: None, COM, ('com3d.mat', 'nothing')),
    'com_file no MATLAB': (
        lambda f: (f / 'com3d.mat').write_bytes(b'com' * 999), COM,
        ('com3d.mat', )),
    'label file without com': (
        record(com=None, com_ids=None), dict(
            recording_settings=dict(com_source='label_file')),
        ("'com'", 'none')),
    'com rows and ids differ': (
        raw(lambda c: c['com'].update(sampleID=np.arange(7))), {},
        ('com3d', '7', '12')),
    'com missing for labels': (
        record(com=lambda m: m.com[:10], com_ids=lambda m: m.com_ids[:10]),
        {}, ('com.com3d', '2 of 12', '101, 111')),
    'com NaN at labels': (
        record(com=lambda m: np.where(np.arange(12)[:, None, None] == 4,
                                      np.nan, m.com)), {},
        ('com.com3d', '1 of 12', 'sampleID 41')),
    'com NaN alone': (record(com=lambda m: m.com * np.nan), {},
                      ('com.com3d', 'NaN')),
    'com by frame number': (com_file(ids=lambda a: (a - 1) // 10 + 100000),
                            COM, ('none agrees', '100000')),
    'com by frame number of sync': (
        com_file(ids=lambda a: (a - 1) // 10), COM, ('frame numbers', )),
    'com counted from elsewhere': (com_file(ids=lambda a: a + 1), COM,
                                   ('none agrees', '+1')),
    'com in metres': (
        record(points=lambda m: m.points + [130., 0, 0],
               pixels=lambda m: project(m.calibrations,
                                        m.points + [130., 0, 0]),
               com=lambda m: (m.com + [130., 0, 0]) / 1000), {},
        ('middles near the labels', 'metres')),
    'com of another animal': (com_file(points=lambda a: a + 900), COM,
                              ('middles near the labels', 'another')),
    # what the config says
    'another skeleton': (lambda f: None, dict(skeleton='mouse22'),
                         ('data_3d', '22 keypoints', '16 keypoints')),
    'two animals, one middle': (
        record(points=two_animals, pixels=None), {},
        ('com.com3d', '2 animals')),
    'two animals, no middle': (
        record(points=two_animals, pixels=None, com=None, com_ids=None), {},
        ('data_3d', '1 animals of 16', 'num_individuals')),
    'labels all NaN': (
        record(points=lambda m: m.points * np.nan, pixels=None), {},
        ('labelled time points', )),
    'no labels': (raw(lambda c: c.pop('labelData')), {},
                  ('labelled time points', )),
    'camera unknown': (
        lambda f: None, dict(recording_settings=dict(
            camera_names=['Camera1', 'Top'])), ("'Top'", 'Camera3')),
    'range beyond the labels': (
        lambda f: None, dict(split='test', split_by=dict(
            train=[[0, 8]], test=[[8, 20]])), ('split_by.test', '20', '12')),
    'part without samples': (
        lambda f: None, dict(split='test', split_by=dict(method='random')),
        ("split 'test'", 'samples')),
    'settings no JSON': (settings('{'), {}, ('recording.json', 'JSON')),
    'settings of other keys': (settings('{"origin": 0}'), {},
                               ('recording.json', 'origin')),
    'pixel origin 2': (settings('{"pixel_origin": 2}'), {},
                       ('pixel_origin', '0 or 1')),
    'negative rate': (settings(json.dumps(dict(fps=-1))), {},
                      ('fps', '-1')),
    'skeleton file missing': (settings('{"skeleton": "s.json"}'), {},
                              ('skeleton', 's.json')),
    'skeleton file damaged': (
        lambda f: (f / 's.json').write_text('{"names": 3'),
        dict(skeleton='s.json'), ('s.json', )),
}


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('case', CASES)
def test_damage_is_one_clear_error(case: str, sound: Path,
                                   tmp_path: Path) -> None:
    change, arguments, fragments = CASES[case]
    folder = tmp_path / 'monday'
    shutil.copytree(sound, folder)
    change(folder)
    with pytest.raises(DataError) as caught:
        VolumetricPoseDataset(**{
            'data_root': str(folder), 'recordings': '.',
            'skeleton': 'rat16', **arguments})
    error = caught.value
    assert error.file.startswith(str(folder))
    assert error.where and error.expected and error.found
    for fragment in fragments:
        assert fragment in str(error), str(error)


def test_there_are_enough() -> None:
    assert len(CASES) >= 40


def test_the_sound_recording_is_taken(sound: Path) -> None:
    assert len(VolumetricPoseDataset(str(sound), '.', skeleton='rat16')) == 12
