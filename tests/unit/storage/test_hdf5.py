from __future__ import annotations

import h5py
import numpy as np
import pytest

from mmpose_ext.storage.hdf5 import open_hdf5, read_dataset


@pytest.fixture
def path(tmp_path):
    table = np.zeros(3, [('x', 'f8'), ('y', 'f8')])
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        file['tracks'] = np.arange(6.0).reshape(2, 3)
        file['group/table'] = table
        file.create_dataset('zipped', data=np.arange(10_000),
                            compression='gzip', fletcher32=True)
    return tmp_path / 'a.h5'


def test_reads_a_checked_data_set(path):
    with open_hdf5(path) as file:
        read = read_dataset(file, 'tracks', path, dtype='f', shape=(2, None))
        assert np.array_equal(read, np.arange(6.0).reshape(2, 3))
        table = read_dataset(file['group'], 'table', path, ['x', 'y'])
        assert table['x'].tolist() == [0, 0, 0]


@pytest.mark.parametrize(('key', 'arguments'), [
    ('track', {}),
    ('group', {}),
    ('tracks', {'dtype': 'iu'}),
    ('tracks', {'shape': (2, 4)}),
    ('tracks', {'fields': ['x']}),
])
def test_refuses_what_does_not_fit(path, refused, key, arguments):
    with refused(f'key {key!r}'), open_hdf5(path) as file:
        read_dataset(file, key, path, **arguments)


def flip(path):
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        at = file['zipped'].id.get_chunk_info(0).byte_offset + 50
    content[at] ^= 0xff
    path.write_bytes(content)


@pytest.mark.parametrize('damage', [
    flip,
    lambda path: path.write_bytes(path.read_bytes()[:-100]),
    lambda path: path.write_bytes(b'text'),
])
def test_damage_shows_as_one_error(path, refused, damage):
    damage(path)
    with refused('file'), open_hdf5(path) as file:
        read_dataset(file, 'zipped', path)


@pytest.mark.parametrize('content', [
    bytes(16), b'\x01' + bytes(7) + b'\xff' * 8], ids=['free', 'text'])
def test_a_heap_without_end_is_refused(tmp_path, refused, content):
    """The library would loop for ever in it."""
    path = tmp_path / 'a.h5'
    with h5py.File(path, 'w') as file:
        file['names'] = ['one', 'two']
    damaged = bytearray(path.read_bytes())
    first = damaged.index(b'GCOL') + 16
    damaged[first:first + 16] = content
    path.write_bytes(damaged)
    with refused('file'), open_hdf5(path):
        pytest.fail('opened')


def test_more_than_the_memory_holds_is_refused(path, refused):
    with h5py.File(path, 'r+') as file:
        file.create_dataset('huge', (2**50, ), 'f8', chunks=(1, ))
    with refused('file'), open_hdf5(path) as file:
        read_dataset(file, 'huge', path)
