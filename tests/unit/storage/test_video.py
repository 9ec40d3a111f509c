from __future__ import annotations

import multiprocessing
import pickle

import cv2
import numpy as np
import pytest

from mmpose_ext.storage import DataError, VideoReader, VideoWriter

COUNT, SIZE = 70, (64, 48)


def frame_of(index):
    """A frame whose grey tells its index."""
    return np.full((SIZE[1], SIZE[0]), 3 * index + 10, np.uint8)


def index_of(frame):
    # The encoder darkens by about 3.
    return round((float(frame.mean()) - 7) / 3)


def decode_all(path):
    """OpenCV's own decoding from the start."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(frame)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'clip.mp4'
    with VideoWriter(path, 25.0, SIZE) as video:
        for index in range(COUNT):
            video.write(frame_of(index))
    return path


def test_knows_the_video(clip):
    with VideoReader(clip) as video:
        assert (len(video), video.fps, video.size) == (COUNT, 25.0, SIZE)
        frame = video.read(3)
        assert frame.dtype == np.uint8 and frame.shape == (48, 64, 3)


@pytest.mark.parametrize('times_known', [True, False])
def test_any_order_gives_the_frames_of_one_decoding(clip, times_known):
    expected = decode_all(clip)
    video = VideoReader(clip)
    if not times_known:  # then frames are counted
        video._times = None
    order = [0, 69, 1, 2, 40, 39, 38, 60, 12, 13, 12, 12, 69, 0, 33]
    for index in order:
        assert np.array_equal(video.read(index), expected[index]), index
    assert [index_of(frame) for frame in video] == list(range(COUNT))


@pytest.mark.parametrize('name', ['mouse_4cam/top.mp4',
                                  'two_animals/clip.mp4'])
def test_real_videos_are_sought_exactly(real_data, name):
    path = real_data / name
    wanted = np.random.default_rng(0).permutation(
        [0, 1, 30, 31, 57, 58, 89, 118, 119])
    expected = {}
    capture = cv2.VideoCapture(str(path))
    for index in range(max(wanted) + 1):
        frame = capture.read()[1]
        if index in wanted:
            expected[index] = frame
    video = VideoReader(path)
    assert len(video) == {'top.mp4': 120, 'clip.mp4': 1500}[path.name]
    for index in wanted:
        assert np.array_equal(video.read(index), expected[index]), index


def test_wrong_seeking_is_noticed(clip, monkeypatch):
    """A container that seeks elsewhere than asked changes nothing."""
    real = cv2.VideoCapture

    class Astray:

        def __init__(self, *arguments):
            self.capture = real(*arguments)

        def set(self, key, value):
            shift = 5 if key == cv2.CAP_PROP_POS_FRAMES else 0
            return self.capture.set(key, value + shift)

        def __getattr__(self, name):
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, 'VideoCapture', Astray)
    video = VideoReader(clip)
    assert [index_of(video.read(i)) for i in (50, 20, 61, 3)] == [50, 20, 61,
                                                                  3]


def test_pickled_reader_reads_on(clip):
    video = VideoReader(clip)
    video.read(5)
    copy = pickle.loads(pickle.dumps(video))
    assert index_of(copy.read(6)) == 6
    assert index_of(video.read(6)) == 6


def read_in_child(video, index, answer):
    answer.put(index_of(video.read(index)))


def test_forked_readers_do_not_disturb_each_other(clip):
    video = VideoReader(clip)
    video.read(10)
    context = multiprocessing.get_context('fork')
    answer = context.Queue()
    children = [context.Process(target=read_in_child,
                                args=(video, index, answer))
                for index in (50, 20)]
    for child in children:
        child.start()
    found = sorted(answer.get(timeout=30) for _ in children)
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert found == [20, 50]
    assert index_of(video.read(11)) == 11


def test_closed_reader_opens_again(clip):
    video = VideoReader(clip)
    video.close()
    video.close()
    assert index_of(video.read(7)) == 7


@pytest.mark.parametrize('index', [-1, COUNT])
def test_index_outside_is_refused(clip, index):
    with pytest.raises(DataError) as caught:
        VideoReader(clip).read(index)
    assert caught.value.where == f'frame {index}'


@pytest.mark.parametrize('content', [None, b'', b'no video at all' * 100])
def test_what_is_no_video_is_refused(tmp_path, refused, content):
    path = tmp_path / 'a.mp4'
    if content is not None:
        path.write_bytes(content)
    with refused('file'):
        VideoReader(path)


def header_first(source):
    """The same video as it is laid out for streaming: moov before mdat."""
    data = source.read_bytes()
    at = data.rfind(b'moov') - 4
    moov = bytearray(data[at:at + int.from_bytes(data[at:at + 4], 'big')])
    table = moov.find(b'stco') + 8  # count, then places of the chunks
    for i in range(int.from_bytes(moov[table:table + 4], 'big')):
        entry = slice(table + 4 + 4 * i, table + 8 + 4 * i)
        place = int.from_bytes(moov[entry], 'big') + len(moov)
        moov[entry] = place.to_bytes(4, 'big')
    start = int.from_bytes(data[:4], 'big')  # length of ftyp
    return data[:start] + moov + data[start:at]


@pytest.mark.parametrize(('keep', 'where'), [(0.7, 'frames'), (0.95, 'frames'),
                                             (0.2, 'file')])
def test_cut_video_with_its_header_first_is_refused(clip, tmp_path, refused,
                                                    keep, where):
    path = tmp_path / 'a.mp4'
    data = header_first(clip)
    path.write_bytes(data)
    assert [index_of(f) for f in VideoReader(path)] == list(range(COUNT))
    path.write_bytes(data[:int(len(data) * keep)])
    with refused(where):
        VideoReader(path)


@pytest.mark.parametrize('keep', [0.3, 0.9])
def test_video_cut_before_its_header_is_refused(clip, tmp_path, refused,
                                                keep):
    path = tmp_path / 'a.mp4'
    data = clip.read_bytes()
    path.write_bytes(data[:int(len(data) * keep)])
    with refused('file'):
        VideoReader(path)


def test_blanked_frames_are_an_error(clip, tmp_path, refused):
    path = tmp_path / 'a.mp4'
    data = clip.read_bytes()
    start, end = data.find(b'mdat') + 4, data.rfind(b'moov') - 4
    path.write_bytes(data[:start] + bytes(end - start) + data[end:])
    with refused('frame 0'):
        VideoReader(path)


def test_colour_frames_and_odd_sizes(tmp_path):
    path = tmp_path / 'a.mp4'
    frame = np.zeros((31, 45, 3), np.uint8)
    frame[..., 2] = 200  # red in BGR
    with VideoWriter(path, 10, (45, 31)) as video:
        video.write(frame[:, ::-1])  # not contiguous
    read = VideoReader(path).read(0)
    assert read.shape == (32, 46, 3)  # MPEG-4 has even sizes only
    assert np.abs(read - [0.0, 0.0, 200.0]).max() < 12


@pytest.mark.parametrize('frame', [
    np.zeros((64, 48), np.uint8), np.zeros((48, 64), np.float32),
    np.zeros((48, 64, 4), np.uint8),
])
def test_unfit_frame_is_refused_and_nothing_left(tmp_path, refused, frame):
    with refused('frame 1'), VideoWriter(tmp_path / 'a.mp4', 5, SIZE) as video:
        video.write(frame_of(0))
        video.write(frame)


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_failed_video_leaves_the_old_one(tmp_path, error):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'old')
    with pytest.raises(error), VideoWriter(path, 5, SIZE) as video:
        video.write(frame_of(0))
        raise error
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_video_without_frames_is_refused(tmp_path, refused):
    with refused('frames'), VideoWriter(tmp_path / 'a.mp4', 5, SIZE):
        pass


@pytest.mark.parametrize(('name', 'fps', 'size', 'where'), [
    ('a.avi', 5, SIZE, 'file'),
    ('a.mp4', 0, SIZE, 'video'),
    ('a.mp4', float('nan'), SIZE, 'video'),
    ('a.mp4', 5, (0, 5), 'video'),
    ('absent/a.mp4', 5, SIZE, 'folder'),
])
def test_impossible_video_is_refused(tmp_path, refused, name, fps, size,
                                     where):
    with refused(where), VideoWriter(tmp_path / name, fps, size) as video:
        video.write(frame_of(0))
