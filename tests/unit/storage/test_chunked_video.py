from __future__ import annotations

import multiprocessing
import os
import pickle

import cv2
import numpy as np
import pytest

from mmpose_ext.storage import (
    ChunkedVideo,
    DataError,
    VideoReader,
    VideoWriter,
    find_camera_folders,
)
from mmpose_ext.storage.video import read_video_header


def write(path, first, count, size=(64, 48)):
    """A video whose frames show their place in the recording, in bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 25., size) as video:
        for frame in range(first, first + count):
            image = np.zeros((size[1], size[0], 3), np.uint8)
            for bit in range(8):
                if frame >> bit & 1:
                    image[:, 8 * bit:8 * bit + 8] = 255
            video.write(image)


def shown(image):
    bits = image[24, 4::8, 0] > 127
    return sum(1 << bit for bit in range(8) if bits[bit])


@pytest.fixture
def folder(tmp_path):
    """Camera1 with frames 10 to 69 in three pieces."""
    folder = tmp_path / 'videos' / 'Camera1'
    for first, count in ((10, 20), (30, 30), (60, 10)):
        write(folder / f'{first}.mp4', first, count)
    return folder


def test_frames_are_exact_in_any_order_across_files(folder):
    video = ChunkedVideo(folder)
    assert (video.first, video.stop, video.name) == (10, 70, 'Camera1')
    assert (video.size, video.fps) == ((64, 48), 25.)
    frames = [10, 29, 30, 59, 60, 69, 31, 12, 11, 58, 10]
    frames += np.random.default_rng(0).integers(10, 70, 20).tolist()
    assert [shown(video.read(frame)) for frame in frames] == frames
    assert shown(video.read(np.int64(40))) == 40


def test_names_sort_by_number_and_marked_ones_are_left_out(tmp_path):
    folder = tmp_path / 'Camera1'
    for first, count in ((0, 4), (4, 98), (102, 5)):
        write(folder / f'{first}.mp4', first, count)
    (folder / '_5.mp4').write_bytes(b'x')
    (folder / '.9.mp4').write_bytes(b'x')
    (folder / 'times.csv').write_text('frame,time\n')
    (folder / '0.avi').write_bytes(b'x')
    (folder / '0.avi').rename(folder / '7.mkv')
    video = ChunkedVideo(folder)
    assert [file.name for file in video.files] == ['0.mp4', '4.mp4',
                                                   '102.mp4']
    assert [shown(video.read(f)) for f in (3, 4, 101, 102)] == [
        3, 4, 101, 102]


def test_where_headers_only_estimate_the_frames_are_counted(tmp_path):
    folder = tmp_path / 'Camera1'
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / '5.avi'),
                             cv2.VideoWriter.fourcc(*'MJPG'), 25., (64, 48))
    for _ in range(7):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert read_video_header(folder / '5.avi').frames is None
    video = ChunkedVideo(folder)
    assert (video.first, video.stop) == (5, 12)


def test_a_header_says_what_the_reader_finds(folder):
    header = read_video_header(folder / '30.mp4')
    with VideoReader(folder / '30.mp4') as video:
        assert (header.frames, header.fps, header.size) == (
            len(video), video.fps, video.size)


def test_one_folder_may_lie_between(tmp_path):
    write(tmp_path / 'Camera1' / '63' / '0.mp4', 0, 3)
    (tmp_path / 'Camera1' / '_old').mkdir()
    assert shown(ChunkedVideo(tmp_path / 'Camera1').read(2)) == 2


def test_making_one_opens_no_file(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError('a video was opened')
    monkeypatch.setattr('mmpose_ext.storage.chunked_video.VideoReader',
                        refuse)
    monkeypatch.setattr('mmpose_ext.storage.chunked_video.read_video_header',
                        refuse)
    assert ChunkedVideo(folder).first == 10


def test_it_survives_pickling_and_forks(folder):
    video = ChunkedVideo(folder)
    video.read(20)
    again = pickle.loads(pickle.dumps(video))
    assert shown(again.read(21)) == 21
    queue = multiprocessing.get_context('fork').SimpleQueue()
    child = os.fork()
    if not child:
        queue.put([shown(video.read(frame)) for frame in (25, 61, 20)])
        os._exit(0)
    os.waitpid(child, 0)
    assert queue.get() == [25, 61, 20]
    assert shown(video.read(21)) == 21


def test_one_handle_is_held_at_a_time(folder):
    def handles():
        links = [f'/proc/self/fd/{name}' for name in
                 os.listdir('/proc/self/fd')]
        return sum(os.path.exists(link) and os.readlink(link).startswith(
            str(folder)) for link in links)

    with ChunkedVideo(folder) as video:
        for frame in (10, 40, 65, 12):
            video.read(frame)
            assert handles() == 1
    assert handles() == 0


@pytest.mark.parametrize('frame', [-1, 9, 70, 10**9])
def test_frames_outside_name_camera_and_range(folder, frame):
    with pytest.raises(DataError, match='from 10 to 69') as caught:
        ChunkedVideo(folder).read(frame)
    assert caught.value.where == f"camera 'Camera1', frame {frame}"


def test_frames_between_two_files_are_refused(folder):
    (folder / '30.mp4').unlink()
    video = ChunkedVideo(folder)
    assert shown(video.read(29)) == 29 and shown(video.read(60)) == 60
    with pytest.raises(DataError, match='only 20 frames'):
        video.read(30)
    with pytest.raises(DataError, match='cut short or misnamed'):
        video.check()


def test_a_sound_recording_passes_the_check(folder):
    ChunkedVideo(folder).check()


def test_a_damaged_piece_fails_the_check(folder):
    content = (folder / '30.mp4').read_bytes()
    (folder / '30.mp4').write_bytes(content[:len(content) // 2])
    video = ChunkedVideo(folder)
    assert shown(video.read(12)) == 12
    with pytest.raises(DataError) as caught:
        video.check()
    assert caught.value.file.endswith('30.mp4')


def test_the_check_decodes_little_and_counts_the_last_piece(
        folder, monkeypatch):
    opened = []

    def note(path):
        opened.append(path.name)
        return VideoReader(path)
    monkeypatch.setattr('mmpose_ext.storage.chunked_video.VideoReader', note)
    video = ChunkedVideo(folder)
    video.stop = 75  # as a header says that counts frames before a cut
    video.check()
    assert opened == ['60.mp4'] and video.stop == 70


def move_index_ahead(path):
    """Write an MP4 file as for streaming, its index ahead of the frames."""
    data, parts, place = path.read_bytes(), {}, 0
    while place < len(data):
        size = int.from_bytes(data[place:place + 4], 'big')
        parts[data[place + 4:place + 8]] = data[place:place + size]
        place += size
    index = bytearray(parts[b'moov'])
    table = index.find(b'stco') + 8
    for i in range(int.from_bytes(index[table:table + 4], 'big')):
        at = slice(table + 4 + 4 * i, table + 8 + 4 * i)
        index[at] = (int.from_bytes(index[at], 'big')
                     + len(index)).to_bytes(4, 'big')
    path.write_bytes(parts[b'ftyp'] + index + parts[b'free']
                     + parts[b'mdat'])


def test_a_piece_cut_short_behind_its_index_fails_the_check(folder):
    move_index_ahead(folder / '30.mp4')
    ChunkedVideo(folder).check()
    content = (folder / '30.mp4').read_bytes()
    (folder / '30.mp4').write_bytes(content[:-40])
    with pytest.raises(DataError, match="'mdat' says.*cut short"):
        ChunkedVideo(folder).check()


def test_a_piece_without_a_readable_frame_fails_the_check(folder):
    content = bytearray((folder / '30.mp4').read_bytes())
    start = content.find(b'mdat') + 4
    size = int.from_bytes(content[start - 8:start - 4], 'big') - 8
    content[start:start + size] = bytes(size)
    (folder / '30.mp4').write_bytes(content)
    with pytest.raises(DataError, match='30.mp4: frame 0'):
        ChunkedVideo(folder).check()


def test_pieces_that_overlap_are_told(folder):
    (folder / '30.mp4').rename(folder / '28.mp4')
    write(folder / '58.mp4', 58, 2)
    with pytest.warns(UserWarning, match='10.mp4: 20 frames, though 28.mp4'):
        ChunkedVideo(folder).check()


def test_pieces_of_another_size_are_refused(folder):
    write(folder / '60.mp4', 60, 10, (96, 64))
    with pytest.raises(DataError, match='64 x 48, as the first file has'):
        ChunkedVideo(folder).check()


@pytest.mark.parametrize('names, where', [
    ([], 'videos'),
    (['part1.mp4'], 'name'),
    (['-1.mp4'], 'name'),
    (['0.mp4', '00.mp4'], 'videos'),
    (['a/0.mp4', 'b/0.mp4'], 'videos'),
    (['times.csv'], 'videos'),
])
def test_folders_that_are_no_recording_are_refused(tmp_path, refused, names,
                                                   where):
    folder = tmp_path / 'Camera1'
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b'x')
    with refused(where):
        ChunkedVideo(folder)


def test_a_missing_folder_is_refused(tmp_path, refused):
    with refused('folder'):
        ChunkedVideo(tmp_path / 'Camera9')
    with refused('folder'):
        find_camera_folders(tmp_path / 'videos', ['a'])


def test_camera_folders_are_found_by_name(tmp_path, refused):
    for name in ('b', 'a', '_c'):
        (tmp_path / name).mkdir()
    assert find_camera_folders(tmp_path, ['b', 'a']) == [
        tmp_path / 'b', tmp_path / 'a']
    with refused("camera 'Camera1'"):
        find_camera_folders(tmp_path, ['a', 'Camera1'])
