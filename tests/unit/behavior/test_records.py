"""From a folder of records to one packed array."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.records import RecordOptions, load_tracks
from tests.unit.behavior.track_files import (
    tracks_of,
    wander,
    write_dlc,
    write_record,
    write_records,
    write_sleap,
)


def load(root, **options):
    return load_tracks(root, RecordOptions(**options))


def with_gap(start: int, stop: int) -> np.ndarray:
    position = wander()
    position[start:stop, 0, 1] = np.nan
    return position


def test_records_lie_one_after_another_in_the_order_of_their_ids(tmp_path):
    write_records(tmp_path, 3, image_size=(640., 480.))
    store = load(tmp_path)
    assert store.ids == ('a', 'b', 'c')
    assert store.lengths.tolist() == [60, 65, 70]
    assert store.starts.tolist() == [0, 60, 125]
    assert store.tracks.shape == (196, 2, 3, 2)
    assert store.tracks.dtype == np.float32
    assert np.isnan(store.tracks[-1]).all()
    assert store.individuals == ('resident', 'intruder')
    assert store.fps.tolist() == [30.] * 3
    for i in range(3):
        raw = wander(60 + 5 * i, seed=i)
        np.testing.assert_allclose(store.unscaled(i), raw, atol=1e-3)
        np.testing.assert_allclose(
            store.record(i), (raw + [0, 80]) / 640, atol=1e-5)


def test_features_lie_space_fastest_then_keypoints(tmp_path):
    write_records(tmp_path, 1)
    store = load(tmp_path, scale_size=(1000, 1000))
    raw = wander()
    row = store.record(0)[7].ravel()
    assert row[(1 * 3 + 2) * 2 + 1] == pytest.approx(raw[7, 1, 2, 1] / 1000)


def test_each_record_is_scaled_by_itself_or_all_by_one(tmp_path):
    write_records(tmp_path, 3)
    alone = load(tmp_path)
    for i in range(3):
        assert np.ptp(alone.record(i), axis=(0, 1, 2)).max() == (
            pytest.approx(1))
    together = load(tmp_path, scale_per='dataset')
    assert (together.scales == together.scales[0]).all()
    raw = np.concatenate([wander(60 + 5 * i, seed=i) for i in range(3)])
    assert together.scales[0, 0] == pytest.approx(
        np.ptp(raw, axis=(0, 1, 2)).max())
    for store in (alone, together):
        np.testing.assert_allclose(store.unscaled(2), wander(70, seed=2),
                                   atol=1e-3)


def test_the_original_scales_what_is_missing_as_the_corner(tmp_path):
    """x from 157 to 900 with one missing point: 157 becomes 157 / 900."""
    position = np.linspace(157, 900, 40, dtype=np.float32)
    position = np.repeat(position, 4).reshape(40, 2, 1, 2)
    position[20, 1] = np.nan
    write_record(tmp_path / 'a', position)
    parity = load(tmp_path, scale='per_axis', missing='zero').record(0)
    assert parity[0, 0, 0, 0] == pytest.approx(157 / 900)
    assert parity[20, 1, 0].tolist() == [0, 0]
    ours = load(tmp_path, scale='per_axis').record(0)
    assert ours[0, 0, 0, 0] == 0


def test_short_gaps_are_closed_and_long_ones_stay(tmp_path):
    write_record(tmp_path / 'a', with_gap(10, 16))
    write_record(tmp_path / 'b', with_gap(10, 17))
    store = load(tmp_path)  # 0.2 s of 30 fps are 6 frames
    assert np.isfinite(store.record(0)).all()
    assert np.isnan(store.record(1)[10:17, 0, 1]).all()
    assert np.isnan(load(tmp_path, missing='keep').tracks[12, 0, 1]).all()
    assert np.isfinite(load(tmp_path, max_gap=7).record(1)).all()


def test_uncertain_points_are_missing(tmp_path):
    confidence = np.full((60, 2, 3), .9, np.float32)
    confidence[30:50, 1, 2] = .2
    write_record(tmp_path / 'a', confidence=confidence)
    missing = np.isnan(load(tmp_path, confidence_threshold=.5).record(0))
    assert missing[30:50, 1, 2].all() and missing.sum() == 40
    # the original has no threshold
    parity = load(tmp_path, confidence_threshold=.5, missing='zero')
    assert (parity.record(0)[30:50, 1, 2] > 0).all()


def test_frames_that_a_file_leaves_out_are_missing_or_passed_over(tmp_path):
    frames = np.r_[np.arange(100, 130), np.arange(140, 170)]
    write_record(tmp_path / 'a', frames=frames)
    store = load(tmp_path)
    assert store.lengths.tolist() == [70]
    assert store.first_frames.tolist() == [100]
    assert np.isnan(store.record(0)[30:40]).all()
    np.testing.assert_allclose(store.unscaled(0)[40:], wander()[30:],
                               atol=1e-3)
    rows = load(tmp_path, frame_gaps='ignore')
    assert rows.lengths.tolist() == [60]
    np.testing.assert_allclose(rows.unscaled(0), wander(), atol=1e-3)


def test_selection_comes_before_renaming_and_scaling(tmp_path):
    write_record(tmp_path / 'a', wander(axes=3, individuals=3))
    store = load(tmp_path, select='third,resident;y,x;tail,nose',
                 rename='third:visitor;*;tail:rump')
    assert store.individuals == ('visitor', 'resident')
    assert store.keypoints == ('rump', 'nose')
    raw = wander(axes=3, individuals=3)[:, [2, 0]][:, :, [2, 0]][..., [1, 0]]
    np.testing.assert_allclose(store.unscaled(0), raw, atol=1e-3)


def test_selecting_brings_records_into_one_order(tmp_path):
    write_record(tmp_path / 'a')
    other = tracks_of(wander()[:, ::-1], individuals=('intruder', 'resident'))
    write_record(tmp_path / 'b', other.position,
                 individuals=other.individuals)
    store = load(tmp_path, select='resident,intruder;;')
    np.testing.assert_array_equal(store.record(0), store.record(1))


def test_files_of_one_animal_each_are_joined(tmp_path):
    raw = wander()
    for i, name in enumerate(('tracking_1.csv', 'tracking_2.csv')):
        write_dlc(tmp_path / 'a' / name, raw[:, i:i + 1])
    store = load(tmp_path)
    assert store.individuals == ('individual_0', 'individual_1')
    np.testing.assert_allclose(store.unscaled(0), raw, atol=1e-3)


def test_every_format_gives_the_same_tracks(tmp_path):
    raw = wander()
    raw[5:20, 1, 0] = np.nan
    names = ('resident', 'intruder')
    write_record(tmp_path / 'nc/a', raw, fps=None)
    write_dlc(tmp_path / 'csv/a/tracking.csv', raw, names)
    write_sleap(tmp_path / 'h5/a/clip.analysis.h5', raw)
    stores = [load(tmp_path / kind) for kind in ('nc', 'csv', 'h5')]
    for store in stores:
        np.testing.assert_allclose(store.tracks, stores[0].tracks, atol=1e-5)
        assert (store.individuals, store.keypoints) == (
            stores[0].individuals, stores[0].keypoints)
        assert np.isnan(store.fps).all()


def test_the_option_overrides_the_frame_rate(tmp_path):
    write_records(tmp_path, 1)
    write_record(tmp_path / 'b', fps=None)
    assert load(tmp_path, fps=25).fps.tolist() == [25, 25]


def test_records_of_different_known_rates_are_allowed(tmp_path):
    write_record(tmp_path / 'a', fps=25.)
    write_record(tmp_path / 'b', fps=50.)
    assert load(tmp_path).fps.tolist() == [25, 50]


def test_one_individual_is_allowed_where_it_is_asked_for(tmp_path):
    write_record(tmp_path / 'a', wander(individuals=1))
    assert load(tmp_path, min_individuals=1).tracks.shape == (61, 1, 3, 2)


def test_a_data_set_is_read_once(tmp_path):
    write_records(tmp_path, 2)
    store = load(tmp_path)
    assert load(tmp_path) is store
    assert load(tmp_path, select='intruder,resident;;') is not store
    write_record(tmp_path / 'c', wander(33))
    assert len(load(tmp_path)) == 3


def test_nobody_can_change_what_several_data_sets_share(tmp_path):
    write_records(tmp_path, 1)
    with pytest.raises(ValueError, match='read-only'):
        load(tmp_path).tracks[0] = 0


def test_the_pair_of_flies_is_read_from_its_only_file(real_data):
    store = load_tracks(real_data / 'two_animals' / 'clip.slp')
    assert store.ids == ('clip', )
    assert store.individuals == ('female', 'male')
    assert store.tracks.shape == (1501, 2, 13, 2)
    assert np.isnan(store.record(0)).mean() < .02


@pytest.mark.parametrize('options', [
    dict(data_format='DLC'), dict(annotation_format='csv'),
    dict(scale='iso'), dict(scale_per='file'), dict(missing='drop'),
    dict(max_gap=-1), dict(confidence_threshold=60), dict(fps=0),
    dict(frame_gaps='fix'), dict(annotators='all'), dict(min_individuals=0),
    dict(classes='attack'), dict(classes=['a', 'a']), dict(classes=[]),
    dict(scale_size='big'), dict(select='a'), dict(rename='a')])
def test_a_setting_that_is_none_names_itself(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        RecordOptions(**options)


def test_options_may_come_from_a_config():
    """Lists and dicts, which cannot be hashed, mean the same as texts."""
    options = RecordOptions(
        data_filter=['a', 'b'], classes=['x', 'y'], scale_size=[640, 480],
        select=dict(keypoints=['nose']), rename=dict(axes=dict(x='u')))
    assert hash(options) == hash(RecordOptions(
        data_filter='a, b', classes=('x', 'y'), scale_size='640x480',
        select=';;nose', rename='*;x:u;*'))
