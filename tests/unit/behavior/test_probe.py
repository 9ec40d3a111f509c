"""The probe: it finds what is there, only there, and leaks nothing."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.probe import (
    _split,
    flat_windows,
    probe_records,
    write_probe,
)
from mmpose_ext.behavior.windows import WindowShape, gather, window_rows
from mmpose_ext.storage import DataError

from .stores import make_store

SHAPE = WindowShape(8, 3)
CLASSES = ('attack', 'rest', 'other')


def make_world(records: int = 6, frames: int = 200) -> tuple:
    """Embeddings that tell the class by a straight line; tracks that do
    not."""
    generator = np.random.default_rng(0)
    embeddings, tracks, labels = [], [], []
    for _ in range(records):
        truth = np.repeat(generator.integers(0, 3, frames // 10), 10)
        embeddings.append((np.eye(3, 6)[truth] * 2 + generator.normal(
            0, .7, (frames, 6))).astype(np.float32))
        tracks.append(generator.random((frames, 2, 3, 2)).astype(np.float32))
        labels.append(np.eye(3, dtype=np.uint8)[truth])
    return embeddings, tracks, labels


def test_classes_are_found_in_embeddings_and_not_in_noise(tmp_path) -> None:
    figures = probe_records(*make_world(), CLASSES, SHAPE)
    score = {(row['input'], row['method']): row for row in figures['rows']}
    for method in ('linear', 'neighbours'):
        assert score['embeddings', method]['macro_f1'] > .85
        assert score['windows, 6 components', method]['macro_f1'] < .5
    best = score['embeddings', 'linear']
    assert best['macro_f1_low'] < best['macro_f1'] < best['macro_f1_high']
    lines = write_probe(tmp_path / 'probe.json', figures)
    assert len(lines) == 2 + len(figures['rows'])
    assert (tmp_path / 'probe.json').is_file()


def test_records_are_never_on_both_sides() -> None:
    records = np.repeat(np.arange(7), 20)
    asked = []
    for learnt, test in _split(records, np.tile(np.arange(20), 7), SHAPE):
        assert not set(records[learnt]) & set(records[test])
        asked += test.tolist()
    assert sorted(asked) == list(range(140))


def test_stretches_of_one_record_share_no_window() -> None:
    frames = np.arange(0, 400, 2)
    for learnt, test in _split(np.zeros(200, int), frames, SHAPE):
        gap = np.abs(frames[learnt][:, None] - frames[test]).min()
        assert gap >= SHAPE.size


def test_one_record_can_be_probed() -> None:
    figures = probe_records(*make_world(1, 600), CLASSES, SHAPE)
    assert figures['records'] == 1
    assert figures['rows'][0]['macro_f1'] > .85
    assert np.isnan(figures['rows'][0]['macro_f1_low'])


@pytest.mark.parametrize('padding', ['edge', 'missing', 'zero', 'reflect'])
def test_flat_windows_are_those_of_the_data_set(padding: str) -> None:
    store = make_store((50, 40))
    shape = WindowShape(8, 3, padding)
    records = np.array([0, 0, 1, 1])
    frames = np.array([1, 30, 0, 39])
    rows = window_rows(store.starts[records] + frames, store.starts[records],
                       store.starts[records] + store.lengths[records], shape)
    wanted = np.nan_to_num(gather(store.tracks, rows)).reshape(4, -1)
    assert np.allclose(flat_windows(
        [store.record(0), store.record(1)], records, frames, shape), wanted)


def test_frames_without_a_class_are_left_out() -> None:
    embeddings, tracks, labels = make_world()
    for one in labels:
        one[:50] = 0
    assert probe_records(embeddings, tracks, labels, CLASSES,
                         SHAPE)['frames'] == 6 * 150


def test_one_behaviour_is_too_few() -> None:
    embeddings, tracks, labels = make_world()
    for one in labels:
        one[:] = [0, 0, 1]
    with pytest.raises(DataError, match='two or more'):
        probe_records(embeddings, tracks, labels, CLASSES, SHAPE)
