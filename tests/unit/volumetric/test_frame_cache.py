"""Kept frames are those of the video, decoded once, shared with workers."""
from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from mmpose_ext.storage.chunked_video import ChunkedVideo
from mmpose_ext.volumetric.frame_cache import FrameCache, FrameReader
from mmpose_ext.volumetric.recordings import Recording, open_recording
from tests.unit.volumetric.recording_files import FRAMES, write_recording

SAMPLES = np.stack([np.zeros(FRAMES, int), np.arange(FRAMES)], 1)


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(write_recording(
        tmp_path_factory.mktemp('cache') / 'monday'))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list]:
    """Every frame that is decoded, as camera and frame."""
    calls: list[tuple[str, int]] = []
    read = ChunkedVideo.read

    def listening(self: ChunkedVideo, frame: int) -> np.ndarray:
        calls.append((self.name, frame))
        return read(self, frame)

    monkeypatch.setattr(ChunkedVideo, 'read', listening)
    yield calls


@pytest.mark.parametrize('reach', [None, 25.])
def test_pixels_are_those_of_the_video(recording: Recording,
                                       reach: float | None) -> None:
    cache = FrameCache([recording], SAMPLES, reach)
    reader = FrameReader([recording], SAMPLES)
    for position in (5, 0, 11, 5):
        images, corners = cache.load(position)
        whole, _ = reader.load(position)
        for view, image in enumerate(images):
            left, top = corners[view]
            height, width = image.shape[:2]
            assert (image == whole[view][top:top + height,
                                         left:left + width]).all()
            assert reach is None or width < 96


def test_each_frame_is_decoded_once_and_in_order(recording: Recording,
                                                 decoded: list) -> None:
    cache = FrameCache([recording], SAMPLES)
    for position in (7, 3, 11, 0, 7):
        cache.load(position)
    assert len(decoded) == len(set(decoded)) == 3 * FRAMES
    assert [frame for name, frame in decoded if name == 'Camera2'] == list(
        range(FRAMES))


def test_pictures_cannot_be_written_to(recording: Recording) -> None:
    images, _ = FrameCache([recording], SAMPLES).load(0)
    with pytest.raises(ValueError, match='read-only'):
        images[0][0, 0] = 1


def test_memory_has_a_limit(recording: Recording, decoded: list) -> None:
    one = 3 * 96 * 72 * 3
    cache = FrameCache([recording], SAMPLES, megabytes=4.5 * one / 2**20)
    assert cache.used == 4 * one and '4 of 12' in str(cache)
    for position in (0, 3, 4, 4):
        cache.load(position)
    assert decoded.count(('Camera1', 4)) == 2
    assert decoded.count(('Camera1', 3)) == 1


def _load_all(cache: FrameCache) -> None:
    for position in range(FRAMES):
        cache.load(position)


def test_workers_fill_it_for_all(recording: Recording,
                                 decoded: list) -> None:
    cache = FrameCache([recording], SAMPLES, 30.)
    worker = multiprocessing.get_context('fork').Process(
        target=_load_all, args=(cache, ))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    images, _ = cache.load(6)
    assert not decoded
    fresh, _ = FrameCache([recording], SAMPLES, 30.).load(6)
    assert all((a == b).all() for a, b in zip(images, fresh, strict=True))


def test_copy_keeps_nothing_and_shows_the_same(recording: Recording) -> None:
    cache = FrameCache([recording], SAMPLES, 30.)
    kept, corners = cache.load(2)
    copy = pickle.loads(pickle.dumps(cache))
    read, where = copy.load(2)
    assert copy._filled is None and (where == corners).all()
    assert all((a == b).all() for a, b in zip(kept, read, strict=True))
