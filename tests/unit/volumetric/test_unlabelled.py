"""Time points that are shown without their labels."""
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import ComTrack, DataError, write_com3d
from mmpose_ext.volumetric.mix_sampler import DannceMixSampler
from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.unlabelled import (
    UnlabelledDraw,
    chunk_rows,
    closest_pair,
    rows_of_part,
    thin_out,
)
from tests.unit.volumetric.recording_files import FRAMES, write_recording
from tests.unit.volumetric.test_datasets import build


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Four labels in the first frames of each recording, middles in all."""
    folder = tmp_path_factory.mktemp('root')
    for name in ('monday', 'tuesday'):
        write_recording(folder / name, labelled=4)
    return folder


class Rows(SimpleNamespace):
    com_known = Recording.com_known

    def __len__(self):
        return len(self.com)


def rows_of(count, com=None):
    return Rows(com=np.zeros((count, 1, 3)) if com is None else com)


@pytest.mark.parametrize('count, labelled, there, wanted', [
    ('equal', 7, 100, 7), ('all', 7, 100, 100), (30, 7, 100, 30),
    (.5, 7, 100, 7), (.9, 10, 500, 90), (.2, 10, 100, 2), (.75, 5, 99, 15)])
def test_counts_mean_what_they_say(count, labelled, there, wanted):
    assert UnlabelledDraw(count).wanted(labelled, there) == wanted


@pytest.mark.parametrize('count', [
    'some', 0, -3, 1., 0., 1.5, True, None, [3]])
def test_what_is_no_count_is_refused(count):
    with pytest.raises(ValueError, match='unlabelled'):
        UnlabelledDraw(count)


def test_a_draw_is_even_repeatable_and_without_repetition():
    draw = UnlabelledDraw(20, seed=4)
    candidates = np.arange(5, 105)
    source = rows_of(200)
    rows, lacking = draw.draw(source, 0, candidates, 3)
    assert lacking == 0 and len(set(rows)) == 20
    assert set(rows) <= set(candidates) and (np.diff(rows) > 0).all()
    again, _ = draw.draw(source, 0, candidates, 3)
    other, _ = draw.draw(source, 1, candidates, 3)
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(rows, other)
    few, lacking = draw.draw(source, 0, candidates[:5], 3)
    assert len(few) == 5 and lacking == 15


def test_only_close_animals_are_drawn_if_asked_for():
    com = np.zeros((6, 3, 3))
    com[:, 1, 0] = [10, 200, 100, np.nan, 500, 90]
    com[:, 2, 1] = 1000
    np.testing.assert_allclose(
        closest_pair(com)[[0, 1, 2, 5]], [10, 200, 100, 90])
    rows, _ = UnlabelledDraw('all', closer_than_mm=120.).draw(
        rows_of(6, com), 0, np.arange(6), 0)
    assert rows.tolist() == [0, 2, 5]
    assert np.isinf(closest_pair(com[:, :1])).all()


def test_a_time_point_goes_where_its_nearest_label_goes():
    labelled = np.array([2, 6, 10])
    source = rows_of(14)
    train = rows_of_part(source, labelled, labelled[:2])
    test = rows_of_part(source, labelled, labelled[2:])
    assert np.flatnonzero(train).tolist() == list(range(9))
    assert np.flatnonzero(test).tolist() == [9, 10, 11, 12, 13]
    # without any label everything may be shown
    assert rows_of_part(source, labelled[:0], labelled[:0]).all()
    source.com[3] = np.nan
    assert not rows_of_part(source, labelled, labelled)[3]


@pytest.mark.parametrize('count', [1, 3, 7, 10])
def test_labels_that_stay_are_spread_evenly(count):
    rows = [np.arange(4), np.arange(6) + 50]
    kept = thin_out(rows, count, 'here')
    assert sum(map(len, kept)) == count
    together = np.flatnonzero(np.isin(
        np.concatenate(rows), np.concatenate(kept)))
    steps = np.diff(together)
    assert not len(steps) or steps.max() - steps.min() <= 1


@pytest.mark.parametrize('count', [0, 11])
def test_more_labels_than_there_are_is_an_error(count):
    with pytest.raises(DataError, match='1 to 10'):
        thin_out([np.arange(10)], count, 'here')


def test_runs_of_frames_are_shifted_as_little_as_can_be():
    allowed = np.ones(10, bool)

    def runs(length, stride):
        return [chunk_rows(row, allowed, length, stride)
                for row in (0, 5, 9)]

    assert runs(3, 1) == [[0, 1, 2], [4, 5, 6], [7, 8, 9]]
    assert runs(4, 2) == [[0, 2, 4, 6], [1, 3, 5, 7], [3, 5, 7, 9]]
    allowed[6] = False
    assert runs(3, 1) == [[0, 1, 2], [3, 4, 5], [7, 8, 9]]
    assert runs(5, 1) == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], []]


@pytest.mark.parametrize('unlabelled, count', [
    ('equal', 8), (3, 6), (.2, 2), ('all', 16),
    (dict(count=2, seed=7), 4), (100, 16)])
def test_the_data_set_draws_from_each_recording(root, unlabelled, count):
    dataset = build(root, unlabelled=unlabelled)
    assert dataset.num_labelled == 8
    assert len(dataset) == 8 + count
    labels = [np.isfinite(dataset.get_data_info(i)['keypoints']).any()
              for i in range(len(dataset))]
    assert labels == [True] * 8 + [False] * count
    assert len(dataset.labelled_poses()) == 8


def test_frames_of_unlabelled_time_points_come_through_sync(root):
    dataset = build(root, unlabelled='all')
    for i in range(8, len(dataset)):
        info = dataset.get_data_info(i)
        # sampleIDs are 1, 11, 21, ...: none is a frame's number
        source = dataset.recordings[info['recording_index']]
        row = np.flatnonzero(source.sample_ids == info['sample_id'])[0]
        np.testing.assert_array_equal(info['frames'], source.frames[row])


def test_hidden_labels_are_not_seen(root):
    dataset = build(root, num_labels=3, unlabelled='all')
    assert dataset.num_labelled == 3 and len(dataset) == 2 * FRAMES
    assert len(dataset.labelled_poses()) == 3
    seen = [np.isfinite(dataset.get_data_info(i)['keypoints']).any()
            for i in range(len(dataset))]
    assert sum(seen) == 3
    assert len(build(root, num_labels=3)) == 3


def test_labels_come_first_in_whatever_order_samples_are_named(root):
    dataset = build(root, unlabelled='all', indices=[12, 1, 9, 0])
    assert dataset.num_labelled == 2
    assert [np.isfinite(dataset.get_data_info(i)['keypoints']).any()
            for i in range(4)] == [True, True, False, False]


def test_training_never_looks_at_the_test_s_stretch_of_time(root):
    rule = dict(test=[[0, 2]], train=[[2, 4]])
    train = build(root, split='train', split_by=rule, unlabelled='all')
    test = build(root, split='test', split_by=rule)
    seen = [{(i['recording'], i['sample_id']) for i in map(
        data.get_data_info, range(len(data)))} for data in (train, test)]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == 2 * FRAMES
    names = dict(train=['monday'], test=['tuesday'])
    train = build(root, split='train', split_by=names, unlabelled='all')
    assert {train.get_data_info(i)['recording']
            for i in range(len(train))} == {'monday'}


def test_runs_hold_their_frames_and_labels(root):
    dataset = build(root, unlabelled=2, chunk_length=3)
    assert dataset.chunks.shape == (8 + 4, 3)
    assert dataset.num_labelled == 8
    assert len(np.unique(dataset.samples, axis=0)) == len(dataset.samples)
    for run in dataset.chunks:
        rows = dataset.samples[run]
        assert len(set(rows[:, 0])) == 1
        assert (np.diff(rows[:, 1]) == 1).all()
    shown = [np.isfinite(dataset.get_data_info(i)['keypoints']).any()
             for i in range(len(dataset))]
    assert sum(shown) == 8
    # a run does not look into another part of the split
    train = build(root, unlabelled='all', chunk_length=3, split='train',
                  split_by=dict(test=[[0, 2]], train=[[2, 4]]))
    assert train.samples[:, 1].min() == 2
    with pytest.raises(ValueError, match='chunk_length=1'):
        build(root, chunk_length=3, indices=2)
    with pytest.raises(DataError, match='runs of 50 frames'):
        build(root, chunk_length=50)


def test_mixed_batches_reach_the_model_with_their_belonging(root):
    dataset = build(root, unlabelled=2, chunk_length=2)
    sampler = DannceMixSampler(dataset, (1, 1), seed=0)
    batch = pseudo_collate([
        dataset[i] for i, _ in zip(sampler, range(4), strict=False)])
    model = MODELS.build(dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        grid=dict(vmin=-40., vmax=40., nvox=8),
        augment=dict(rotate='any'), copies=dict(labelled=1, unlabelled=2)))
    inputs = model(batch, True)['inputs']
    # two frames about a label, of which one or both have one; two without
    assert inputs['times'].tolist()[-4:] == [0, 0, 1, 1]
    assert inputs['chunks'].tolist()[-4:] == [1, 1, 1, 1]
    assert inputs['copies'].tolist()[-4:] == [0, 1, 0, 1]
    with pytest.raises(DataError, match='a multiple of chunk_length=2'):
        model(pseudo_collate([dataset[0]]), True)


def test_nothing_to_draw_is_an_error_that_says_why(tmp_path):
    write_recording(tmp_path / 'all')  # every time point is labelled
    with pytest.raises(DataError, match='the labelled time points alone'):
        build(tmp_path, unlabelled='equal')
    folder = write_recording(tmp_path / 'some' / 'a', labelled=4)
    with pytest.raises(DataError, match='name a com_file'):
        build(folder.parent, unlabelled='equal',
              recording_settings=dict(com_source='labels'))
    ids = build(folder.parent).recordings[0].sample_ids
    path = folder / 'com3d.mat'
    write_com3d(path, ComTrack(path, ids, np.zeros((len(ids), 1, 3))), {})
    with pytest.raises(DataError, match='leaves none'):
        build(folder.parent, unlabelled=dict(
            count='equal', closer_than_mm=10.))


@pytest.mark.parametrize('settings, message', [
    (dict(unlabelled='equal', test_mode=True), 'for training'),
    (dict(unlabelled='equal', labelled_only=False), 'for training'),
    (dict(unlabelled='few'), "'equal', 'all'"),
    (dict(unlabelled=dict(count=3, closer_than_mm=-1.)), 'closer_than_mm'),
    (dict(chunk_length=0), 'chunk_length'),
    (dict(chunk_stride=0), 'chunk_stride')])
def test_settings_that_contradict_are_refused(root, settings, message):
    with pytest.raises(ValueError, match=message):
        build(root, **settings)
