"""Frames in order, blocks that are whole, and nothing lost by a kill."""
from __future__ import annotations

import signal
import threading
import time
import tracemalloc
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.streaming import (
    BlockStore,
    check_fingerprint,
    predict_blocks,
    read_ahead,
)

SUM = 'a' * 64


class Frames:
    """A recording whose images say which time point and view they are of."""

    def __init__(self, count: int, views: int = 3, size: int = 8) -> None:
        self.videos = [None] * views
        self.count, self.size = count, size
        self.read_rows: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def read(self, row: int, view: int) -> np.ndarray:
        if not 0 <= row < self.count:
            raise DataError('a.mp4', f'frame {row}', 'one', 'none')
        with self.lock:
            self.read_rows.append((row, view))
        return np.full((self.size, self.size, 3), (7 * row + view) % 256,
                       np.uint8)


def model(images: list, rows: np.ndarray) -> dict[str, np.ndarray]:
    means = np.array([[view.mean() for view in views] for views in images])
    return dict(rows=rows, means=means.astype(np.float32))


def wanted(rows: np.ndarray, views: int = 3) -> dict[str, np.ndarray]:
    return dict(rows=rows, readable=np.ones(len(rows), bool),
                views_read=np.full(len(rows), views),
                means=((7 * rows[:, None] + np.arange(views)) % 256).astype(
                    np.float32))


def assert_same(found: dict, expected: dict) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_each_view_is_read_once_and_in_order():
    source = Frames(50)
    rows = list(range(3, 50, 4))
    images = list(read_ahead(source, rows))
    for row, views in zip(rows, images, strict=True):
        assert [int(view[0, 0, 0]) for view in views] == [
            (7 * row + view) % 256 for view in range(3)]
    for view in range(3):
        assert [row for row, other in source.read_rows if other == view] == (
            rows)


def test_no_more_is_read_ahead_than_allowed():
    source = Frames(100)
    stream = read_ahead(source, range(100), ahead=5)
    for number in range(4):
        next(stream)
        time.sleep(.02)
        assert max(row for row, _ in source.read_rows) <= number + 5
    stream.close()
    assert len(source.read_rows) <= 3 * 9


def test_leaving_early_leaves_no_thread():
    before = threading.active_count()
    stream = read_ahead(Frames(100), range(100))
    list(islice(stream, 3))
    stream.close()
    assert threading.active_count() == before


def test_a_damaged_frame_is_reported_where_it_is_needed():
    stream = read_ahead(Frames(5), range(10))
    assert len(list(islice(stream, 5))) == 5
    with pytest.raises(DataError, match='frame 5'):
        next(stream)


def test_blocks_give_what_one_go_gives(tmp_path):
    rows = np.arange(2, 60, 3)
    for block, batch in ((100, 4), (7, 3), (1, 1), (5, 5)):
        store = BlockStore(tmp_path / f'{block}', {})
        predict_blocks(Frames(60), rows, model, store, block, batch)
        assert store.count == -(-len(rows) // block)
        assert_same(store.join(), wanted(rows))


def test_a_time_point_that_cannot_be_read_is_left_out(tmp_path, capsys):
    """And the prediction goes on; a block of nothing else ends it."""
    rows = np.array([3, 4, 90, 5, 91, 92, 93, 6, 7])

    def blind(images: list, some: np.ndarray) -> dict[str, np.ndarray]:
        assert [views is None for views in images] == list(some >= 90)
        return dict(rows=some)

    store = BlockStore(tmp_path / 'some', {})
    predict_blocks(Frames(50), rows, blind, store, 9, 2)
    assert_same(store.join(), dict(rows=rows, readable=rows < 90,
                                   views_read=3 * (rows < 90)))
    said = capsys.readouterr().err
    assert said.count('left out: a.mp4: frame 9') == 3  # the first ones
    store = BlockStore(tmp_path / 'none', {})
    with pytest.raises(DataError, match='frame 93'):
        predict_blocks(Frames(50), np.array([3, 90, 4, 91, 92, 93, 6]),
                       blind, store, 3, 2)
    assert store.count == 1


class HalfBlind(Frames):
    """The second of three views ends early, the first even earlier."""

    def read(self, row: int, view: int) -> np.ndarray:
        if row >= (10, 20, 99)[view]:
            raise DataError(f'{view}.mp4', f'frame {row}', 'one', 'none')
        return super().read(row, view)


@pytest.mark.parametrize('least, enough', [(2, 2), (9, 3), (None, 3), (1, 1)])
def test_a_time_point_keeps_the_views_that_can_be_read(
        tmp_path, least, enough):
    rows = np.arange(5, 25)

    def look(images: list, some: np.ndarray) -> dict[str, np.ndarray]:
        seen = []
        for views in images:
            there = [view is not None for view in views or [None] * 3]
            seen.append(there)
        return dict(seen=np.array(seen))

    store = BlockStore(tmp_path / 'blocks', {})
    predict_blocks(HalfBlind(99), rows, look, store, min_views=least)
    there = np.stack([rows < 10, rows < 20, rows < 99], 1)
    readable = there.sum(1) >= enough
    assert_same(store.join(), dict(
        seen=there & readable[:, None], readable=readable,
        views_read=there.sum(1)))


def test_an_interruption_costs_one_block_at_most(tmp_path):
    source, rows = Frames(40), np.arange(40)

    def failing(images: list, some: np.ndarray) -> dict[str, np.ndarray]:
        if 17 in some:
            raise KeyboardInterrupt
        return model(images, some)

    with pytest.raises(KeyboardInterrupt):
        predict_blocks(source, rows, failing, BlockStore(
            tmp_path / 'parts', dict(a=1)), 5, 2)
    again = Frames(40)
    store = BlockStore(tmp_path / 'parts', dict(a=1), resume=True)
    assert store.count == 3
    predict_blocks(again, rows, model, store, 5, 2)
    assert min(row for row, _ in again.read_rows) == 15
    assert_same(store.join(), wanted(rows))
    store.remove()
    assert not (tmp_path / 'parts').exists()


def predict_slowly(parts: Path, resume: bool) -> None:

    def slow(images: list, rows: np.ndarray) -> dict[str, np.ndarray]:
        # never at the end by itself, however late the kill comes
        time.sleep(.004 if rows[0] < 300 else 600)
        return model(images, rows)

    predict_blocks(Frames(500), np.arange(500), slow,
                   BlockStore(parts, dict(a=1), resume), 5, 2)


def test_killed_and_resumed_gives_the_same(tmp_path):
    """SIGKILL at whatever moment it comes, twice."""
    parts = tmp_path / 'parts'
    for resume in (False, True):
        process = get_context('fork').Process(
            target=predict_slowly, args=(parts, resume))
        process.start()
        enough = 16 if resume else 8
        limit = time.monotonic() + 60
        while (len(list(parts.glob('0*.npz'))) < enough
               and time.monotonic() < limit):
            time.sleep(.005)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    store = BlockStore(parts, dict(a=1), resume=True)
    assert 16 <= store.count < 100
    predict_blocks(Frames(500), np.arange(500), model, store, 5, 2)
    assert_same(store.join(), wanted(np.arange(500)))


@pytest.mark.parametrize('damage', ['cut', 'flip'])
def test_a_damaged_block_is_made_again(tmp_path, damage):
    store = BlockStore(tmp_path / 'parts', {})
    rows = np.arange(20)
    predict_blocks(Frames(20), rows, model, store, 4)
    path = tmp_path / 'parts' / '000002.npz'
    content = bytearray(path.read_bytes())
    if damage == 'cut':
        del content[len(content) // 2:]
    else:
        content[140] ^= 255
    path.write_bytes(content)
    store = BlockStore(tmp_path / 'parts', {}, resume=True)
    assert store.count == 2
    predict_blocks(Frames(20), rows, model, store, 4)
    assert_same(store.join(), wanted(rows))


def test_unfinished_work_is_neither_mixed_nor_lost_unasked(tmp_path):
    folder = tmp_path / 'parts'
    store = BlockStore(folder, dict(checkpoint=SUM, views=[1, 2]))
    store.add(dict(a=np.zeros(3)))
    with pytest.raises(DataError, match='--resume'):
        BlockStore(folder, dict(checkpoint=SUM, views=[1, 2]))
    with pytest.raises(DataError) as caught:
        BlockStore(folder, dict(checkpoint='b' * 64, views=[1, 2]),
                   resume=True)
    assert caught.value.where == 'checkpoint'
    assert 'bbbbbbbbbb...' in caught.value.expected
    assert caught.value.found == 'aaaaaaaaaa...'
    assert BlockStore(folder, dict(checkpoint=SUM, views=(1, 2)),
                      resume=True).count == 1


def test_a_folder_without_a_note_is_begun_anew(tmp_path):
    (tmp_path / 'parts').mkdir()
    (tmp_path / 'parts' / '000000.npz').write_bytes(b'half')
    assert BlockStore(tmp_path / 'parts', {}).count == 0


def test_a_damaged_note_is_an_error(tmp_path):
    (tmp_path / 'note.json').write_text('{')
    with pytest.raises(DataError, match='--overwrite'):
        check_fingerprint(tmp_path / 'note.json', {})


class ForgetfulFrames(Frames):
    """Keeps no list of what was read."""

    def read(self, row: int, view: int) -> np.ndarray:
        return np.full((self.size, self.size, 3), row % 256, np.uint8)


def test_memory_is_flat_over_ten_thousand_frames(tmp_path):
    """Neither images nor results pile up, whatever the length."""
    size, peaks = 64, []
    for count in (500, 10_000):
        store = BlockStore(tmp_path / f'{count}', {})
        tracemalloc.start()
        predict_blocks(ForgetfulFrames(count, size=size), np.arange(count),
                       lambda images, rows: dict(
                           points=np.zeros((len(rows), 1, 23, 3))), store)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    images_of_a_time_point = size * size * 3 * 3
    results = 10_000 * 23 * 3 * 8
    assert peaks[0] < 2**20 + 12 * images_of_a_time_point
    assert peaks[1] < peaks[0] + 2**18 < results / 4
    assert store.join()['points'].nbytes == results
