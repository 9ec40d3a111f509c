"""Embeddings come back from the disk as they were, or with one error."""
from __future__ import annotations

from pathlib import Path

import h5netcdf
import numpy as np
import pytest
import xarray

from mmpose_ext.behavior.embedding_files import (
    find_embeddings,
    read_attributes,
    read_embedding,
    read_embeddings,
    read_number_table,
    write_embedding,
    write_number_table,
)
from mmpose_ext.storage import DataError

VALUES = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


def write(path: Path, values: np.ndarray = VALUES, **kwargs: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_embedding(path, [values[:7], values[7:]],
                    np.arange(len(values)), **kwargs)
    return path


def test_blocks_come_back_joined_with_what_was_noted(tmp_path: Path) -> None:
    path = write(tmp_path / 'embedding.nc', fps=30.,
                 attributes=dict(mode='exact', stride=1, note=None,
                                 keypoints=['nose', 'tail']))
    found = read_embedding(path, 'a/b')
    assert np.array_equal(found.values, VALUES)
    assert (found.record, found.fps) == ('a/b', 30.)
    assert found.attributes == dict(mode='exact', stride=1,
                                    keypoints=['nose', 'tail'])
    assert read_attributes(path)['fps'] == 30.


def test_xarray_reads_them(tmp_path: Path) -> None:
    with xarray.open_dataset(write(tmp_path / 'embedding.nc')) as data:
        assert data.embedding.dims == ('time', 'feature')
        assert np.array_equal(data.embedding, VALUES)


def test_half_precision_is_half_the_size_and_read_by_xarray(
        tmp_path: Path) -> None:
    large = np.repeat(VALUES, 200, 0)
    whole = write(tmp_path / 'whole.nc', large)
    half = write(tmp_path / 'half.nc', large, half=True)
    assert half.stat().st_size < .6 * whole.stat().st_size
    assert read_embedding(half).values.dtype == np.float32
    assert np.allclose(read_embedding(half).values, large, atol=2e-3)
    with xarray.open_dataset(half, engine='h5netcdf') as data:
        assert data.embedding.dtype == np.float16


@pytest.mark.parametrize('blocks, where', [
    ([VALUES[:10]], '50 frames'),
    ([np.full((50, 4), np.nan)], 'finite'),
    ([VALUES.astype(int)], 'dtype'),
])
def test_wrong_blocks_leave_nothing_behind(tmp_path: Path, blocks: list,
                                           where: str) -> None:
    with pytest.raises(DataError, match=where):
        write_embedding(tmp_path / 'embedding.nc', blocks, np.arange(50))
    assert not list(tmp_path.iterdir())


def test_tables_are_laid_out_as_the_original_has_them(
        tmp_path: Path) -> None:
    path = tmp_path / 'features_lisbet_embedding.csv'
    write_number_table(path, ['0', '1', '2', '3'], VALUES)
    lines = path.read_text().splitlines()
    assert lines[0] == ',0,1,2,3'
    assert lines[3].startswith('2,')
    assert len(lines) == 51
    assert np.allclose(read_embedding(path).values, VALUES, rtol=1e-6)


def test_names_with_commas_survive_a_table(tmp_path: Path) -> None:
    names = ('a, b', 'say "c"')
    write_number_table(tmp_path / 'x.csv', names, np.eye(2, dtype=np.uint8))
    assert read_number_table(tmp_path / 'x.csv')[0] == names


@pytest.mark.parametrize('text', [
    ',0,1\n0,1\n', ',0,1\n0,1,x\n', ',0,1\n', 'index\n0\n',
    ',0,1\n0,1,2\n1,2\n', b'\xff\xfe\x00'])
def test_damaged_tables_are_refused(tmp_path: Path,
                                    text: str | bytes) -> None:
    path = tmp_path / 'features_lisbet_embedding.csv'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError):
        read_embedding(path)


def test_table_with_unknown_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'features_lisbet_embedding.csv'
    path.write_text(',0,1\n0,1,nan\n')
    with pytest.raises(DataError, match='finite'):
        read_embedding(path)


def test_netcdf_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'embedding.nc'
    with h5netcdf.File(path, 'w') as file:
        file.dimensions = dict(time=3)
        file.create_variable('position', ('time', ), float,
                             data=np.zeros(3))
    with pytest.raises(DataError, match="key 'embedding'"):
        read_embedding(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError):
        read_embedding(path)


def test_records_are_found_in_order_netcdf_before_table(
        tmp_path: Path) -> None:
    for record in ('b/two', 'a'):
        write(tmp_path / record / 'embedding.nc')
        write_number_table(
            tmp_path / record / 'features_lisbet_embedding.csv',
            list('0123'), VALUES)
    found = find_embeddings(tmp_path)
    assert list(found) == ['a', 'b/two']
    assert {path.suffix for path in found.values()} == {'.nc'}
    assert [one.record for one in read_embeddings(tmp_path)] == ['a', 'b/two']


def test_two_tables_of_one_record_are_refused(tmp_path: Path) -> None:
    for name in ('lisbet', 'other'):
        write_number_table(tmp_path / f'features_{name}_embedding.csv',
                           list('0123'), VALUES)
    with pytest.raises(DataError, match='one file of embeddings a record'):
        find_embeddings(tmp_path)


def test_records_of_two_models_are_refused(tmp_path: Path) -> None:
    write(tmp_path / 'a' / 'embedding.nc')
    write(tmp_path / 'b' / 'embedding.nc', VALUES[:, :3])
    with pytest.raises(DataError, match='4 features'):
        read_embeddings(tmp_path)


@pytest.mark.parametrize('name', ['', 'nowhere'])
def test_folder_without_embeddings_is_refused(tmp_path: Path,
                                              name: str) -> None:
    with pytest.raises(DataError, match=r'predict\.py'):
        read_embeddings(tmp_path / name)
