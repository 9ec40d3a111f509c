from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from mmpose_ext.storage import DataError, NpzArchive, write_npz

RNG = np.random.default_rng(0)
ARRAYS = {
    'images': RNG.integers(0, 256, (103, 5, 4), np.uint8),
    'points': RNG.random((103, 2)),
    'fortran': np.asfortranarray(RNG.random((6, 3, 2)).astype('f4')),
    'name': np.array(['a', 'längere']),
    'one': np.float64(3.5),
    'none': np.zeros((0, 4)),
    'big_endian': np.arange(5, dtype='>i4'),
}
SAVERS = [np.savez, np.savez_compressed]


@pytest.fixture(params=SAVERS, ids=['stored', 'deflated'])
def path(request, tmp_path):
    request.param(tmp_path / 'a.npz', **ARRAYS)
    return tmp_path / 'a.npz'


def test_reads_what_numpy_wrote(path):
    archive = NpzArchive(path)
    assert archive.names == tuple(ARRAYS)
    for name, array in ARRAYS.items():
        read = archive.read(name)
        assert archive.shape(name) == read.shape == np.shape(array)
        assert archive.dtype(name) == read.dtype == array.dtype
        assert np.array_equal(read, array)


@pytest.mark.parametrize('name', ['images', 'points', 'name', 'none'])
@pytest.mark.parametrize('rows', [1, 10, 103, 4096])
def test_blocks_of_rows_make_up_the_array(path, name, rows):
    blocks = list(NpzArchive(path).iter_rows(name, rows))
    assert all(len(block) == rows for block in blocks[:-1])
    expected = ARRAYS[name]
    assert np.array_equal(np.concatenate(blocks or [expected]), expected)
    assert len(blocks) == -(-len(expected) // rows)


def test_rows_of_other_orders_are_refused(path, refused):
    for name in ('fortran', 'one'):
        with refused(f"key '{name}'"):
            next(NpzArchive(path).iter_rows(name))
    with pytest.raises(ValueError, match='at least 1'):
        next(NpzArchive(path).iter_rows('images', 0))


def test_memory_map_equals_the_array_and_cannot_be_written(path):
    archive = NpzArchive(path)
    for name, array in ARRAYS.items():
        mapped = archive.memory_map(name)
        assert mapped.dtype == array.dtype
        assert np.array_equal(mapped, array)
    with pytest.raises(ValueError, match='read-only'):
        archive.memory_map('images')[0] = 0


def test_stored_member_is_mapped_in_place(tmp_path):
    np.savez(tmp_path / 'a.npz', **ARRAYS)
    mapped = NpzArchive(tmp_path / 'a.npz').memory_map('images')
    assert mapped.filename == tmp_path / 'a.npz'
    assert [p.name for p in tmp_path.iterdir()] == ['a.npz']


def test_deflated_member_is_unpacked_once_until_the_file_changes(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez_compressed(path, **{'images': ARRAYS['images'], '../x': [1, 2]})
    archive = NpzArchive(path)
    archive.memory_map('images')
    assert archive.memory_map('../x').tolist() == [1, 2]  # stays in here
    caches = sorted(p for p in tmp_path.iterdir() if p != path)
    assert len(caches) == 2
    times = [p.stat().st_mtime_ns for p in caches]
    archive.memory_map('images')
    assert times == [p.stat().st_mtime_ns for p in caches]

    np.savez_compressed(path, images=ARRAYS['images'] + 1)
    os.utime(path, ns=(1, 1))
    changed = NpzArchive(path).memory_map('images')
    assert np.array_equal(changed, ARRAYS['images'] + 1)
    assert len([p for p in tmp_path.iterdir() if 'images' in p.name]) == 1


def test_streams_in_little_memory(tmp_path):
    rows = 10_000
    np.savez_compressed(tmp_path / 'a.npz',
                        images=np.zeros((rows, 50, 50), np.uint8))  # 25 MB
    archive = NpzArchive(tmp_path / 'a.npz')
    tracemalloc.start()
    try:
        count = sum(len(block) for block in archive.iter_rows('images', 200))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == rows
    # The caller's block, the one being filled, and the reader's buffers.
    assert peak < 2 * 200 * 2500 + 1_000_000


def test_archive_crosses_to_another_process(path):
    archive = pickle.loads(pickle.dumps(NpzArchive(path)))
    assert np.array_equal(archive.read('images'), ARRAYS['images'])


def test_written_archive_is_read_by_numpy_and_reproducible(tmp_path):
    write_npz(tmp_path / 'a.npz', file=[1, 2], **ARRAYS)
    write_npz(tmp_path / 'b.npz', file=[1, 2], **ARRAYS)
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as read:
        assert read['file'].tolist() == [1, 2]
        for name, array in ARRAYS.items():
            assert np.array_equal(read[name], array)
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path /
                                                 'b.npz').read_bytes()


def test_objects_are_not_written(tmp_path, refused):
    with refused("key 'x'"):
        write_npz(tmp_path / 'a.npz', x=np.array([{}]))


def test_missing_key_names_the_likely_one(path, refused):
    archive = NpzArchive(path)
    for use in (archive.shape, archive.dtype, archive.read,
                archive.memory_map, lambda n: next(archive.iter_rows(n))):
        with refused("key 'image'"):
            use('image')
    with pytest.raises(DataError, match="'images' looks like 'image'"):
        archive.read('image')


# ---- damaged archives: how to damage a good one, and where it must show


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def other_format(path):
    path.write_bytes(b'\x93NUMPY not a zip')


def other_zip(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.txt', 'x')


def objects(path):
    np.savez(path, images=np.array([{'a': 1}], object), points=[1])


def hostile(path):

    class Payload:

        def __reduce__(self):
            return os.mkdir, (str(path.parent / 'pwned'), )

    np.savez(path, images=np.array([Payload()], object))


def member(path, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('images.npy', content)


def header(shape, size=4, version=b'\x01\x00'):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n"
    return (b'\x93NUMPY' + version + len(text).to_bytes(2, 'little') +
            text.encode() + bytes(size))


@pytest.mark.parametrize(('damage', 'where'), [
    (lambda path: path.unlink(), 'file'),
    (lambda path: path.write_bytes(b''), 'file'),
    (cut, 'archive'),
    (other_format, 'archive'),
    (other_zip, 'archive'),
    (objects, "key 'images'"),
    (hostile, "key 'images'"),
    (lambda path: member(path, b'not an array'), "key 'images'"),
    (lambda path: member(path, b''), "key 'images'"),
    (lambda path: member(path, header((10**15, ))), "key 'images'"),
    (lambda path: member(path, header((3, ))), "key 'images'"),
    (lambda path: member(path, header('(')), "key 'images'"),
    (lambda path: member(path, header((4, ), version=b'\x09\x00')),
     "key 'images'"),
    (lambda path: member(path, header((4, )), zipfile.ZIP_BZIP2),
     "key 'images'"),
])
def test_damaged_archive_is_refused_when_opened(path, refused, damage, where):
    damage(path)
    with refused(where):
        NpzArchive(path)
    assert not (path.parent / 'pwned').exists()


@pytest.mark.parametrize(('save', 'use'), [
    (np.savez, 'read'), (np.savez, 'iter_rows'),
    (np.savez_compressed, 'read'), (np.savez_compressed, 'iter_rows'),
    (np.savez_compressed, 'memory_map'),  # stored: mapped without reading
])
def test_wrong_bytes_show_in_the_checksum(tmp_path, refused, save, use):
    path = tmp_path / 'a.npz'
    # Long enough that reading the header does not reach the end.
    save(path, images=RNG.integers(0, 256, (100, 50, 50), np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    archive = NpzArchive(path)
    with refused("key 'images'"):
        for _ in getattr(archive, use)('images'):
            pass
