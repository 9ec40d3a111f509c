"""Damaged data sets of tracks: one clear error each, nothing written."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmpose_ext.behavior.datasets import LisbetWindowDataset
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.split import SplitRule, split_store
from mmpose_ext.behavior.track_store import check_exclusive
from mmpose_ext.commands import run_verify
from mmpose_ext.storage import DataError, write_movement_annotations
from tests.unit.behavior.track_files import (
    INDIVIDUALS,
    frame_labels,
    wander,
    write_config,
    write_csv,
    write_dlc,
    write_events,
    write_netcdf,
    write_record,
    write_records,
    write_sleap,
)

Change = Callable[[Path], object]


def changed(change: Callable[[np.ndarray], object], **options) -> Change:
    """A second record whose positions are changed in place."""
    def make(root: Path) -> None:
        position = wander()
        change(position)
        write_record(root / 'b', position, **options)
    return make


def put(index, value) -> Change:
    return changed(lambda position: position.__setitem__(index, value))


def put_raw(index, value) -> Change:
    """The same in a file that the writer would refuse to write."""
    def make(root: Path) -> None:
        position = wander()
        position[index] = value
        write_netcdf(root / 'b/tracking.nc', position.transpose(0, 3, 2, 1))
    return make


def record(**options) -> Change:
    return lambda root: write_record(root / 'b', **options)


def netcdf(**options) -> Change:
    return lambda root: write_netcdf(root / 'b/tracking.nc', **options)


def hdf5(change: Callable[[h5py.File], object]) -> Change:
    """A sound second record, changed as an HDF5 file."""
    def make(root: Path) -> None:
        with h5py.File(write_record(root / 'b'), 'r+') as file:
            change(file)
    return make


def file(text: bytes) -> Change:
    def make(root: Path) -> None:
        write_record(root / 'b').write_bytes(text)
    return make


def truncated(root: Path) -> None:
    path = write_record(root / 'b')
    path.write_bytes(path.read_bytes()[:-2000])


def moved(root: Path) -> None:
    """Tracks of an animal that goes off the arena, 640 x 480."""
    write_record(root / 'b', wander() + np.float32([300, 0]))


def times(change: Callable[[np.ndarray], np.ndarray], **attributes) -> Change:
    return netcdf(coordinates=dict(time=change(np.arange(60.) / 30)),
                  attributes=attributes)


def two_files(**options) -> Change:
    def make(root: Path) -> None:
        one = dict(individuals=('resident', ))
        other = dict(individuals=('intruder', ), name='tracking_2.nc')
        frames = options.pop('count', 60)
        write_record(root / 'b', wander(individuals=1), **one)
        write_record(root / 'b', wander(frames, individuals=1),
                     **{**other, **options})
    return make


NO_FPS = dict(coordinates=dict(time=np.arange(60)),
              attributes=dict(fps=None, time_unit='frames'))

# name: (second record, options, where contains, found contains)
TRACKS: dict[str, tuple[Change, dict, str, str]] = {
    'not netCDF': (file(b'tracks'), {}, 'file', ''),
    'empty file': (file(b''), {}, 'file', 'an empty file'),
    'truncated': (truncated, {}, 'file', ''),
    'no position': (hdf5(lambda f: f.__delitem__('position')), {},
                    "key 'position'", ''),
    'no keypoints': (netcdf(coordinates=dict(keypoints=None)), {},
                     "key 'keypoints'", ''),
    'axes of another layout': (netcdf(dims=(
        'time', 'space', 'node', 'track')), {}, '', ''),
    'boxes': (netcdf(attributes=dict(ds_type='bboxes')), {},
              'attribute ds_type', "'bboxes'"),
    'one axis': (netcdf(position=wander()[..., :1].transpose(0, 3, 2, 1)),
                 {}, '', ''),
    'no frames': (netcdf(position=wander()[:0].transpose(0, 3, 2, 1)), {},
                  '', ''),
    'infinity': (put_raw((3, 0, 1), np.inf), {}, "frame 3, 'resident', 'neck'",
                 'infinite'),
    'x without y': (put_raw((3, 0, 1, 1), np.nan), {},
                    "frame 3, 'resident', 'neck'", 'some of them'),
    'an individual never there': (put((slice(None), 1), np.nan), {},
                                  "record 'b', 'intruder'", 'missing'),
    'nobody ever there': (put((slice(None), ), np.nan), {},
                          "record 'b', all individuals", 'missing'),
    'never there in the published way': (
        put((slice(None), 1), np.nan), dict(missing='zero'),
        "record 'b', 'intruder'", 'missing'),
    'a constant axis': (put((..., 1), 7), dict(scale='per_axis'),
                        "axis 'y'", '7 everywhere'),
    'no movement at all': (put((slice(None), ), 5), {}, "axis 'x'",
                           '5 everywhere'),
    'outside the arena': (moved, dict(scale_size='640x480'), "axis 'x'",
                          'to '),
    'outside the picture': (
        lambda root: [write_record(root / name, wander() - shift,
                                   image_size=(640., 480.))
                      for name, shift in (('a', 0), ('b', 400))], {},
        "axis 'x'", '-'),
    'an arena of other axes': (record(), dict(scale_size='640x480x300'),
                               'scale_size', '3: 640x480x300'),
    'one individual': (record(position=wander(individuals=1)), {},
                       "record 'b', individuals", '1: resident'),
    'one individual selected': (record(), dict(select='resident;;'),
                                "record 'a', individuals", '1: resident'),
    'keypoints in another order': (record(keypoints=(
        'neck', 'nose', 'tail')), {}, "record 'b', keypoints",
        'neck, nose, tail'),
    'other keypoints': (record(keypoints=('snout', 'neck', 'tail')), {},
                        "record 'b', keypoints", 'snout'),
    'individuals in another order': (record(individuals=(
        'intruder', 'resident')), {}, "record 'b', individuals",
        'intruder, resident'),
    'three axes beside two': (record(position=wander(axes=3)), {},
                              "record 'b', axes", 'x, y, z'),
    'a keypoint twice': (netcdf(coordinates=dict(
        keypoints=['nose', 'nose', 'tail'])), {}, 'keypoints', "'nose'"),
    'an unknown selection': (record(), dict(select=';;nose,tial'),
                             'select.keypoints', "'tial'"),
    'an unknown name to rename': (record(), dict(rename='resi:a;*;*'),
                                  'rename.individuals', "'resi'"),
    'names that collide': (record(), dict(rename='resident:intruder;*;*'),
                           'rename.individuals', 'resident:intruder'),
    'no frame rate beside one': (netcdf(**NO_FPS), {}, "record 'b', fps",
                                 'none'),
    'a rate that the times contradict': (
        times(lambda time: time, fps=100.), {}, '', ''),
    'a frame twice': (times(lambda time: np.r_[time[:30], time[29:-1]]), {},
                      "key 'time', row 30", ''),
    'times that go back': (times(lambda time: time[::-1].copy()), {},
                           "key 'time', row 1", ''),
    'times that are missing': (times(lambda time: np.where(
        time > 1, np.nan, time)), {}, "key 'time'", ''),
    'a pause of an hour': (times(lambda time: np.where(
        time > 1, time + 3600, time)), {}, 'frame', 'frames without a row'),
    'a gap where none is allowed': (times(lambda time: np.where(
        time > 1, time + 1, time)), dict(frame_gaps='refuse'),
        'frame 30', 'frame 61'),
    'no confidence for a threshold': (
        record(), dict(confidence_threshold=.5),
        "record 'a', confidence", 'none'),
    'a threshold above everything': (
        record(confidence=np.full((60, 2, 3), .1, np.float32)),
        dict(confidence_threshold=.5, data_filter='b'),
        "record 'b', all individuals", 'missing'),
    'a picture of one record alone': (
        record(image_size=(640., 480.)), {},
        "record 'b', size of the picture", '640'),
    'pictures of two sizes for one scale': (
        lambda root: [write_record(root / name, image_size=(size, 480.))
                      for name, size in (('a', 640.), ('b', 800.))],
        dict(scale_per='dataset'), "record 'b', size of the picture",
        '800'),
    'an individual in two files': (
        two_files(individuals=('resident', )),
        {}, 'individuals', "'resident', which tracking.nc has"),
    'files of other lengths': (two_files(count=50), {}, 'frames', '50'),
    'files of other keypoints': (two_files(keypoints=('a', 'b', 'c')), {},
                                 'keypoints', 'a, b, c'),
    'files of other rates': (two_files(fps=25.), {}, 'fps', '25'),
    'a table of text': (lambda root: write_csv(
        root / 'b/tracking.csv', [['frame', 'x', 'y']], [[0, 1, 2]]), {},
        'header', ''),
    'a table with a word': (lambda root: write_csv(
        root / 'b/tracking.csv', [
            ['scorer', *['DLC'] * 3], ['bodyparts', *['nose'] * 3],
            ['coords', 'x', 'y', 'likelihood']],
        [[0, 1, 'two', .9]]), {}, 'line 4, column nose y', "'two'"),
    'HDF5 of something else': (lambda root: write_h5(
        root / 'b/clip.analysis.h5', weights=np.ones(3)), {},
        "key 'node_names'", 'weights'),
    'tracks of other names': (lambda root: write_sleap(
        root / 'b/clip.analysis.h5', wander(),
        keypoints=('a', 'b')), {}, "key 'tracks'", ''),
}


def write_h5(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True)
    with h5py.File(path, 'w') as container:
        for name, array in arrays.items():
            container[name] = array


def refused(root: Path, options: dict) -> DataError:
    """The error of reading; checks that nothing is left behind."""
    cache = root.parent / 'cache'
    before = sorted(root.rglob('*'))
    with pytest.raises(DataError) as caught:
        load_tracks(root, RecordOptions(**options), cache)
    assert sorted(root.rglob('*')) == before
    assert not cache.exists() or not list(cache.iterdir())
    text = str(caught.value)
    assert '\n' not in text
    for part in ('file', 'where', 'expected', 'found'):
        assert getattr(caught.value, part), part
        assert getattr(caught.value, part) in text
    return caught.value


@pytest.mark.parametrize('name', TRACKS)
def test_damaged_tracks(tmp_path: Path, name: str) -> None:
    make, options, where, found = TRACKS[name]
    root = tmp_path / 'data'
    write_record(root / 'a', wander(seed=9))
    make(root)
    error = refused(root, options)
    assert str(root) in error.file
    assert where in error.where
    assert found in error.found


def folder(*names: str) -> Change:
    def make(root: Path) -> None:
        root.mkdir(exist_ok=True)
        for name in names:
            write_dlc(root / name, wander(6), INDIVIDUALS)
    return make


# name: (what is in the root, options, where, hint contains)
ROOTS: dict[str, tuple[Change, dict, str, str]] = {
    'nothing there': (lambda root: None, {}, 'folder', 'data_root'),
    'an empty folder': (folder(), {}, 'folder', 'names of tracks'),
    'names that tell nothing': (folder('a/mouse.csv'), {}, 'folder',
                                'names of tracks'),
    'tracks in the root': (folder('tracking.csv'), {}, 'folder', 'record1'),
    'a format that is not there': (folder('a/tracking.csv'),
                                   dict(data_format='sleap'), 'folder',
                                   'names of tracks'),
    'a filter of nothing': (folder('a/tracking.csv'),
                            dict(data_filter='b,c'), 'data_filter', ''),
    'no annotations': (folder('a/tracking.csv'),
                       dict(annotation_format='boris'), 'annotations',
                       'data_filter'),
    'a file of no format': (
        lambda root: root.write_text('x'), {}, 'file', ''),
}


@pytest.mark.parametrize('name', ROOTS)
def test_damaged_folders(tmp_path: Path, name: str) -> None:
    make, options, where, hint = ROOTS[name]
    make(tmp_path / 'data')
    error = refused(tmp_path / 'data', options)
    assert error.where == where
    assert hint in error.hint


def events(*rows, name: str = 'annotations.csv') -> Change:
    return lambda root: write_events(root / 'b' / name, rows)


def boris(*rows) -> Change:
    return lambda root: write_csv(
        root / 'b/boris.csv',
        [['Time', 'Media file path', 'Subject', 'Behavior', 'Status']],
        [[time, 'clip.mp4', '', what, status] for time, what, status in rows])


def labels(frames: int, **classes) -> Change:
    return lambda root: write_movement_annotations(
        root / 'b/annotations.nc', frame_labels(classes, frames))


# name: (annotations of the second record, options, where, found contains)
ANNOTATIONS: dict[str, tuple[Change, dict, str, str]] = {
    'an unknown class': (events(('atack', 0, 1)),
                         dict(classes=['attack', 'mount']), 'classes',
                         "'atack'"),
    'an unknown class in netCDF': (
        labels(60, mounting=range(60)), dict(classes=['attack', 'other']),
        'classes', "'mounting'"),
    'labels of other frames': (labels(50, attack=range(50)), {}, 'time',
                               '50 frames'),
    'an event that ends first': (events(('attack', 1, .5)), {},
                                 'line 2, column end_time', '0.5 s'),
    'an event without a time': (events(('attack', 'soon', 1)), {},
                                'line 2, column start_time', "'soon'"),
    'events of another video': (events(('attack', 500, 600)), {}, 'events',
                                'none'),
    'times in frames': (events(('attack', 1500, 1800)), {}, 'events',
                        'none'),
    'no columns': (lambda root: write_csv(
        root / 'b/annotations.csv', [['what', 'when']], [['a', 1]]), {},
        'header', ''),
    'an event that never stops': (boris((.5, 'attack', 'START')), {}, '',
                                  ''),
    'an event that starts twice': (boris(
        (.5, 'attack', 'START'), (.7, 'attack', 'START'),
        (1, 'attack', 'STOP')), {}, '', ''),
    'an unknown status': (boris((.5, 'attack', 'BEGIN')), {}, '', ''),
}


@pytest.mark.parametrize('name', ANNOTATIONS)
def test_damaged_annotations(tmp_path: Path, name: str) -> None:
    make, options, where, found = ANNOTATIONS[name]
    root = write_records(tmp_path / 'data', 2, frames=55)  # b has 60
    write_events(root / 'a/annotations.csv', [('attack', .5, 1)])
    make(root)
    error = refused(root, dict(options, annotation_format='auto'))
    assert where in error.where
    assert found in error.found


def test_events_need_a_frame_rate(tmp_path: Path) -> None:
    root = write_records(tmp_path / 'data', 1, fps=None)
    write_events(root / 'a/annotations.csv', [('attack', .5, 1)])
    error = refused(root, dict(annotation_format='auto'))
    assert (error.where, error.found) == ('fps', 'none')
    assert 'set fps' in error.hint


def test_overlapping_events_are_no_classes(tmp_path: Path) -> None:
    root = write_records(tmp_path / 'data', 1)
    write_events(root / 'a/annotations.csv',
                 [('attack', .5, 1), ('mount', .8, 1.5)])
    options = RecordOptions(annotation_format='auto')
    with pytest.raises(DataError, match="'attack' and 'mount'; 6 such"):
        check_exclusive(load_tracks(root, options))


@pytest.mark.parametrize(('rule', 'hint'), [
    ({}, 'method=block'), (dict(method='block', gap=20), 'split_by.gap'),
    (dict(method='dev_ratio', ratio=.5), 'method=block')])
def test_a_split_that_leaves_a_part_empty(tmp_path: Path, rule: dict,
                                          hint: str) -> None:
    store = load_tracks(write_records(tmp_path / 'data', 1))
    with pytest.raises(DataError) as caught:
        split_store(store, SplitRule(**rule))
    assert hint in caught.value.hint


@pytest.mark.parametrize('name', [
    'truncated', 'an individual never there', 'keypoints in another order'])
def test_the_data_set_and_the_check_say_the_same(tmp_path: Path, capsys,
                                                 name: str) -> None:
    root = tmp_path / 'data'
    write_record(root / 'a', wander(seed=9))
    make, options, where, _ = TRACKS[name]
    make(root)
    with pytest.raises(DataError) as caught:
        LisbetWindowDataset(str(root), 'order', window_size=16, **options)
    config = write_config(tmp_path / 'c.py', root, dict(train={}))
    before = sorted(tmp_path.rglob('*'))
    assert run_verify('', [str(config), '--json']) == 1
    problem, = json.loads(capsys.readouterr().out)['problems']
    assert problem['where'] == caught.value.where and where in problem['where']
    assert sorted(tmp_path.rglob('*')) == before
