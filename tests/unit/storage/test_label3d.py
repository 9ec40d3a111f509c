from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import io

from mmpose_ext.storage import (
    CameraCalibration,
    DataError,
    Label3D,
    read_label3d,
    write_label3d,
)
from tests.unit.storage.matlab_files import (
    Cell,
    label3d_content,
    save_v5,
    save_v73,
)

SAVERS = pytest.mark.parametrize('save', [save_v5, save_v73])


def assert_same(first, second):
    for part in ('sample_ids', 'frames', 'label_ids', 'label_frames',
                 'points', 'pixels', 'com_ids', 'com'):
        one, other = getattr(first, part), getattr(second, part)
        assert (one is None) == (other is None), part
        if one is not None:
            assert one.dtype == other.dtype, part
            np.testing.assert_array_equal(one, other, part)
    for one, other in zip(first.calibrations, second.calibrations,
                          strict=True):
        assert (one.name, one.mirrored) == (other.name, other.mirrored)
        for part in ('matrix', 'rotation', 'translation', 'radial',
                     'tangential'):
            np.testing.assert_array_equal(getattr(one, part),
                                          getattr(other, part))


def project_rows(camera, points):
    """MATLAB's formula as it stands, for row vectors."""
    moved = points @ camera.rotation + camera.translation
    x, y = moved[:, 0] / moved[:, 2], moved[:, 1] / moved[:, 2]
    square = x * x + y * y
    k1, k2, k3 = [*camera.radial, 0][:3]
    p1, p2 = camera.tangential
    factor = 1 + k1 * square + k2 * square**2 + k3 * square**3
    bent = np.stack([
        x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        np.ones_like(x)], -1)
    return (bent @ camera.matrix)[:, :2]


@pytest.mark.parametrize(
    'name, rows, keypoints, times, missing, ids, frames, depths', [
        ('mouse_label3d_demo', 10, 22, 18000, 18, (271, 9661), (27, 966),
         (209, 421)),
        ('rat_social_dannce', 8, 23, 90000, 0, (719, 740), (719, 740),
         (797, 1436)),
    ])
def test_real_files_have_the_published_content(
        real_data, name, rows, keypoints, times, missing, ids, frames,
        depths):
    found = read_label3d(real_data / 'label3d' / f'{name}.mat')
    assert found.names == tuple(f'Camera{i}' for i in range(1, 7))
    assert found.points.shape == (rows, keypoints, 3)
    assert found.frames.shape == (times, 6)
    assert np.isnan(found.points).sum() == missing
    assert (found.label_ids[0], found.label_ids[-1]) == ids
    assert (found.label_frames[[0, -1], 0] == frames).all()
    for view, camera in enumerate(found.calibrations):
        points = found.points.reshape(-1, 3)
        error = (project_rows(camera, points)
                 - found.pixels[view].reshape(-1, 2))
        assert np.nanmax(abs(error)) < 1e-3
        depth = (points @ camera.rotation + camera.translation)[:, 2]
        assert depths[0] - 1 < np.nanmin(depth)
        assert np.nanmax(depth) < depths[1] + 1


@SAVERS
def test_frames_come_from_the_labels_own_entry_and_are_clipped(tmp_path,
                                                               save):
    found = read_label3d(save(tmp_path / 'a_dannce.mat', label3d_content()))
    assert found.sample_ids.tolist() == [10 * i + 1 for i in range(30)]
    assert found.frames[0].tolist() == [0, 0, 0]
    assert found.frames[5].tolist() == [5, 4, 3]
    assert found.label_ids.tolist() == [31, 71, 201]
    assert found.label_frames.tolist() == [[3, 2, 1], [7, 6, 5],
                                           [20, 19, 18]]


@SAVERS
def test_every_spelling_reads_alike(tmp_path, save):
    plain, odd = label3d_content(), label3d_content()
    for camera in odd['params']:
        camera['R'] = camera.pop('r')
        camera['t'] = camera['t'].T
        camera['TDistort'] = np.zeros((2, 1))
        camera['RDistort'] = np.append(camera['RDistort'], 0.)[None]
    odd['camnames'].upright = True
    for key in ('params', 'sync', 'labelData'):
        odd[key].upright = False
    for rows in (odd['sync'], odd['labelData']):
        for row in rows:
            row['data_sampleId'] = np.zeros((0, 0), np.uint8)
            row['data_frame'] = row['data_frame'].T.astype(np.float64)
            row['data_sampleID'] = row['data_sampleID'].T.astype(np.int32)
    first = read_label3d(save(tmp_path / 'a_dannce.mat', plain))
    second = read_label3d(save(tmp_path / 'b_dannce.mat', odd))
    for one, other in zip(first.calibrations, second.calibrations,
                          strict=True):
        np.testing.assert_array_equal(one.rotation, other.rotation)
        np.testing.assert_array_equal(one.translation, other.translation)
        np.testing.assert_array_equal([*one.radial, 0], other.radial)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.label_ids, second.label_ids)


def test_names_may_come_from_the_caller_and_choose_cameras(tmp_path):
    content = label3d_content()
    named = save_v5(tmp_path / 'a_dannce.mat', content)
    found = read_label3d(named, ['Camera3', 'Camera1'])
    assert found.names == ('Camera3', 'Camera1')
    assert found.label_frames[0].tolist() == [1, 3]
    assert found.calibrations[0].translation[2] == 402
    assert found.pixels.shape == (2, 3, 4, 2)
    del content['camnames']
    nameless = save_v5(tmp_path / 'b_dannce.mat', content)
    assert read_label3d(nameless, list('abc')).names == ('a', 'b', 'c')
    for path, names, where in ((named, ['Cam2'], "key 'camnames'"),
                               (nameless, None, "key 'camnames'"),
                               (nameless, ['a'], "key 'params'")):
        with pytest.raises(DataError) as caught:
            read_label3d(path, names)
        assert caught.value.where == where


@SAVERS
def test_com_labels_and_sync_may_be_absent(tmp_path, save):
    content = label3d_content()
    content['com'] = {'com3d': np.arange(90.).reshape(30, 3),
                      'sampleID': np.arange(30)[None] * 10 + 1}
    found = read_label3d(save(tmp_path / 'a_dannce.mat', content))
    assert found.com.shape == (30, 1, 3)
    assert found.com[2, 0].tolist() == [6, 7, 8]
    del content['labelData'], content['com']
    found = read_label3d(save(tmp_path / 'b_dannce.mat', content))
    assert found.com is None and found.pixels is None
    assert found.points.shape == (0, 0, 3)
    assert found.label_frames.shape == (0, 3)
    content = label3d_content()
    del content['sync']
    for row in content['labelData']:
        del row['data_2d']
    found = read_label3d(save(tmp_path / 'c_dannce.mat', content))
    assert found.sample_ids.tolist() == found.label_ids.tolist()
    assert found.pixels is None


def test_the_shortest_list_counts_with_a_warning(tmp_path):
    content = label3d_content()
    content['sync'][1]['data_frame'] = content['sync'][1]['data_frame'][:25]
    content['labelData'][0]['data_3d'] = content['labelData'][0][
        'data_3d'][:2]
    path = save_v5(tmp_path / 'a_dannce.mat', content)
    with pytest.warns(UserWarning, match='are taken'):
        found = read_label3d(path)
    assert len(found.sample_ids) == 25
    assert found.label_ids.tolist() == [31, 71]
    assert found.pixels.shape == (3, 2, 4, 2)


def test_unsorted_labels_are_sorted_with_their_points(tmp_path):
    content = label3d_content(labelled=(20, 3, 7))
    found = read_label3d(save_v5(tmp_path / 'a_dannce.mat', content))
    assert found.label_ids.tolist() == [31, 71, 201]
    stored = content['labelData'][0]['data_3d'].reshape(3, 4, 3)
    np.testing.assert_array_equal(found.points, stored[[1, 2, 0]])
    np.testing.assert_array_equal(found.label_frames[:, 0], [3, 7, 20])
    np.testing.assert_array_equal(
        found.pixels[2],
        content['labelData'][2]['data_2d'].reshape(3, 4, 2)[[1, 2, 0]])


def test_any_mixture_of_missing_coordinates_is_kept(tmp_path):
    content = label3d_content()
    for row in content['labelData']:
        row['data_3d'][0, 1] = np.nan
        row['data_3d'][2] = np.nan
    found = read_label3d(save_v5(tmp_path / 'a_dannce.mat', content))
    assert np.isnan(found.points).sum() == 1 + 12
    assert np.isnan(found.points[0, 0]).tolist() == [False, True, False]


@pytest.mark.parametrize('individuals', [None, 1, 2])
def test_what_is_written_is_read(tmp_path, individuals):
    found = read_label3d(save_v5(tmp_path / 'a_dannce.mat',
                                 label3d_content()))
    com = None if individuals is None else np.random.default_rng(0).normal(
        size=(30, individuals, 3))
    record = Label3D(
        found.source, found.calibrations, found.sample_ids, found.frames,
        found.label_ids, found.label_frames, found.points, found.pixels,
        None if com is None else found.sample_ids, com)
    write_label3d(tmp_path / 'b_dannce.mat', record)
    assert_same(read_label3d(tmp_path / 'b_dannce.mat'), record)
    stored = io.loadmat(tmp_path / 'b_dannce.mat')
    assert stored['camnames'].shape == (1, 3)
    assert stored['labelData'].shape == (3, 1)
    assert stored['labelData'][0, 0]['data_3d'][0, 0].shape == (3, 12)


@pytest.mark.parametrize('keypoints', [0, 3])
@pytest.mark.parametrize('samples', [0, 1, 5])
def test_a_file_without_labels_is_written(tmp_path, samples, keypoints):
    base = read_label3d(save_v5(tmp_path / 'a_dannce.mat',
                                label3d_content()))
    ids = np.arange(samples)
    record = Label3D(
        base.source, base.calibrations, ids, np.stack([ids] * 3, 1),
        ids[:0], np.zeros((0, 3), np.int64), np.zeros((0, keypoints, 3)),
        np.zeros((3, 0, keypoints, 2)), ids, np.ones((samples, 1, 3)))
    write_label3d(tmp_path / 'b_dannce.mat', record)
    found = read_label3d(tmp_path / 'b_dannce.mat')
    assert found.points.shape == (0, keypoints, 3)
    assert found.frames.tolist() == record.frames.tolist()
    assert found.label_frames.shape == (0, 3)


def test_real_files_survive_writing(real_data, tmp_path):
    for name in ('mouse_label3d_demo', 'rat_social_dannce'):
        record = read_label3d(real_data / 'label3d' / f'{name}.mat')
        write_label3d(tmp_path / 'a_dannce.mat', record)
        assert_same(read_label3d(tmp_path / 'a_dannce.mat'), record)


def test_a_camera_of_opencv_is_written_in_matlabs_convention(tmp_path):
    base = read_label3d(save_v5(tmp_path / 'a_dannce.mat',
                                label3d_content()))
    camera = base.calibrations[0]
    column = camera.matrix.T.copy()
    column[:2, 2] -= 1
    turned = CameraCalibration(
        camera.name, column, camera.rotation.T, camera.translation,
        camera.radial, camera.tangential, 'opencv', (640, 480))
    record = Label3D(
        base.source, (turned, *base.calibrations[1:]), base.sample_ids,
        base.frames, base.label_ids, base.label_frames, base.points)
    write_label3d(tmp_path / 'b_dannce.mat', record)
    again = read_label3d(tmp_path / 'b_dannce.mat').calibrations[0]
    np.testing.assert_array_equal(again.matrix, camera.matrix)
    np.testing.assert_array_equal(again.rotation, camera.rotation)


def _set(*path):
    """A change that puts the last of `path` at the place before it."""
    *keys, last, value = path

    def change(content):
        for key in keys:
            content = content[key]
        if value is None:
            del content[last]
        else:
            content[last] = value
    return change


IDS = (10 * np.arange(30) + 1)[:, None]
TWICE, LATER, UNKNOWN = IDS.copy(), IDS + 10, IDS.astype(float)
TWICE[4], UNKNOWN[4] = 31, np.nan
K = label3d_content()['params'][0]['K']
DAMAGE = {
    'no params': (_set('params', None), "key 'params'"),
    'fewer params': (_set('params', Cell([{}])), "key 'params'"),
    'numbers as params': (_set('params', np.eye(3)), "key 'params'"),
    'no K': (_set('params', 0, 'K', None), 'params[0].K'),
    'text as K': (_set('params', 1, 'K', 'eye'), 'params[1].K'),
    'NaN in K': (_set('params', 0, 'K', K * [[1, 1, np.nan]]),
                 "camera 'Camera1', matrix"),
    'transposed K': (_set('params', 2, 'K', K.T),
                     "camera 'Camera3', matrix"),
    'K of another shape': (_set('params', 0, 'K', np.eye(4)),
                           "camera 'Camera1', matrix"),
    'negative focal length': (_set('params', 0, 'K', K * [[-1], [1], [1]]),
                              "camera 'Camera1', matrix"),
    'no rotation': (_set('params', 0, 'r', None), 'params[0].R'),
    'a mirrored rotation': (_set('params', 0, 'r', np.diag([1., 1, -1])),
                            "camera 'Camera1', rotation"),
    'a scaled rotation': (_set('params', 0, 'r', np.eye(3) * 2),
                          "camera 'Camera1', rotation"),
    'short t': (_set('params', 0, 't', np.ones((1, 2))),
                "camera 'Camera1', translation"),
    'infinite t': (_set('params', 0, 't', np.array([[1, 2, np.inf]])),
                   "camera 'Camera1', translation"),
    'long RDistort': (_set('params', 0, 'RDistort', np.ones((1, 4))),
                      "camera 'Camera1', radial"),
    'no TDistort': (_set('params', 0, 'TDistort', None),
                    'params[0].TDistort'),
    'names twice': (_set('camnames', Cell(['a', 'b', 'a'])),
                    "key 'camnames'"),
    'numbers as names': (_set('camnames', Cell([np.eye(1)] * 3)),
                         "key 'camnames'"),
    'more names': (_set('camnames', Cell(['a', 'b', 'c', 'd'])),
                   "key 'params'"),
    'fewer sync': (_set('sync', Cell([{'data_frame': IDS,
                                       'data_sampleID': IDS}])),
                   "key 'sync'"),
    'no sampleID': (_set('sync', 1, 'data_sampleID', None),
                    'sync[1].data_sampleID'),
    'misspelt sampleID': (_set('labelData', 0, 'data_sampleID', None),
                          'labelData[0].data_sampleID'),
    'NaN as sampleID': (_set('sync', 0, 'data_sampleID', UNKNOWN),
                        'sync[0].data_sampleID'),
    'text as frames': (_set('sync', 0, 'data_frame', 'all'),
                       'sync[0].data_frame'),
    'a table of frames': (_set('sync', 0, 'data_frame', np.ones((5, 6))),
                          'sync[0].data_frame'),
    'other ids in one camera': (_set('sync', 2, 'data_sampleID', LATER),
                                'sync[2].data_sampleID'),
    'other label ids in one camera': (
        _set('labelData', 1, 'data_sampleID', np.array([[1, 2, 3]])),
        'labelData[1].data_sampleID'),
    'columns of half a point': (
        _set('labelData', 0, 'data_3d', np.ones((3, 11))),
        'labelData[0].data_3d'),
    'other keypoints in 2D': (
        _set('labelData', 2, 'data_2d', np.ones((3, 10))),
        'labelData[2].data_2d'),
    'infinite labels': (
        _set('labelData', 0, 'data_3d', np.full((3, 12), np.inf)),
        'labelData data_3d'),
    'no labels in 3D': (_set('labelData', 0, 'data_3d', None),
                        'labelData[0].data_3d'),
    'com without ids': (_set('com', {'com3d': np.ones((3, 3))}),
                        'com.sampleID'),
    'com of other length': (
        _set('com', {'com3d': np.ones((3, 3)), 'sampleID': np.ones((1, 2))}),
        'com.com3d'),
    'com turned round': (
        _set('com', {'com3d': np.ones((3, 30)), 'sampleID': IDS}),
        'com.com3d'),
}


@pytest.mark.parametrize('change, where', DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused_by_place(tmp_path, refused, change,
                                            where):
    content = label3d_content()
    change(content)
    path = save_v5(tmp_path / 'a_dannce.mat', content)
    with refused(where), warnings.catch_warnings():
        warnings.simplefilter('error')
        read_label3d(path)


def test_a_sample_id_that_occurs_twice_is_refused(tmp_path, refused):
    content = label3d_content()
    for row in content['sync']:
        row['data_sampleID'] = TWICE
    path = save_v5(tmp_path / 'a_dannce.mat', content)
    with refused('sync sampleID'):
        read_label3d(path)


def test_a_transposed_matrix_is_named_in_the_hint(tmp_path):
    content = label3d_content()
    content['params'][0]['K'] = K.T
    with pytest.raises(DataError, match='transpose the intrinsics'):
        read_label3d(save_v5(tmp_path / 'a_dannce.mat', content))


def test_files_without_labels_and_sync_are_refused(tmp_path, refused):
    content = label3d_content()
    del content['labelData'], content['sync']
    path = save_v5(tmp_path / 'a_dannce.mat', content)
    with refused("key 'sync'"):
        read_label3d(path)


@SAVERS
def test_flipped_bytes_give_an_error_of_data_or_none(tmp_path, save):
    rng = np.random.default_rng(0)
    path = save(tmp_path / 'a_dannce.mat', label3d_content())
    if save is save_v5:  # as MATLAB compresses them, with a sum
        write_label3d(path, read_label3d(path))
    whole = path.read_bytes()
    refused = 0
    for _ in range(30):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                read_label3d(path)
            except DataError as error:
                refused += 1
                assert error.file == str(path)
    assert refused
