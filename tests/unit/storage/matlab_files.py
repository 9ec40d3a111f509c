"""Label3D content and a writer of MATLAB's version 7.3, for tests."""
from __future__ import annotations

import itertools

import h5py
import numpy as np
from scipy import io

_names = itertools.count()


class Cell(list):
    """A cell array; `upright` makes it N x 1."""

    def __init__(self, parts, upright=True):
        super().__init__(parts)
        self.upright = upright


def save_v5(path, content):
    """Write a file of version 5 through SciPy."""
    io.savemat(path, {key: _for_scipy(value)
                      for key, value in content.items()})
    return path


def save_v73(path, content):
    """Write a file as MATLAB does with -v7.3."""
    with h5py.File(path, 'w', userblock_size=512) as file:
        for key, value in content.items():
            _put(file, file, key, value)
    head = b'MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: today'
    with path.open('r+b') as stream:
        stream.write(head.ljust(116) + bytes(8) + b'\x00\x02IM')
    return path


def _for_scipy(value):
    if isinstance(value, Cell):
        array = np.empty((len(value), 1), object)
        for i, part in enumerate(value):
            array[i, 0] = _for_scipy(part)
        return array if value.upright else array.T
    if isinstance(value, dict):
        return {key: _for_scipy(part) for key, part in value.items()}
    return value


def _put(file, group, key, value):
    if isinstance(value, dict):
        made = group.create_group(key)
        made.attrs['MATLAB_class'] = np.bytes_('struct')
        for name, part in value.items():
            _put(file, made, name, part)
        return made
    if isinstance(value, Cell):
        store = file.require_group('#refs#')
        references = []
        for part in value:
            name = f'p{next(_names)}'
            _put(file, store, name, part)
            references.append(store[name].ref)
        shape = (1, len(value)) if value.upright else (len(value), 1)
        made = group.create_dataset(key, shape, h5py.ref_dtype)
        made[...] = np.array(references, object).reshape(shape)
        made.attrs['MATLAB_class'] = np.bytes_('cell')
        return made
    if isinstance(value, str):
        made = group.create_dataset(
            key, data=np.array([[ord(letter)] for letter in value], 'u2'))
        made.attrs['MATLAB_class'] = np.bytes_('char')
        return made
    array = np.asarray(value)
    if not array.size:
        made = group.create_dataset(key, data=np.array(array.shape, 'u8'))
        made.attrs['MATLAB_empty'] = np.uint8(1)
    else:
        made = group.create_dataset(key, data=array.T)
    made.attrs['MATLAB_class'] = np.bytes_(str(array.dtype).replace(
        'float64', 'double'))
    return made


def turned(seed):
    """A random rotation."""
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(
        size=(3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix))


def label3d_content(views=3, points=4, sync=30, labelled=(3, 7, 20)):
    """A Label3D file; frames of view v are v behind, ids are 10 f + 1."""
    rng = np.random.default_rng(7)
    rows = np.array(labelled)
    every = np.arange(sync)
    space = rng.normal(size=(len(rows), 3 * points)) * 40
    return {
        'camnames': Cell([f'Camera{i + 1}' for i in range(views)], False),
        'params': Cell([{
            'K': np.array([[900., 0, 0], [-2., 905, 0], [320, 240, 1]]),
            'r': turned(i), 't': np.array([[5., 9., 400. + i]]),
            'RDistort': np.array([[-.1, .05]]),
            'TDistort': np.zeros((1, 2), np.uint8),
        } for i in range(views)]),
        'sync': Cell([{
            'data_2d': np.zeros((sync, 4), np.uint8),
            'data_3d': np.zeros((sync, 6), np.uint8),
            'data_frame': (every - i)[:, None],
            'data_sampleID': (10 * every + 1)[:, None],
        } for i in range(views)]),
        'labelData': Cell([{
            'data_2d': rng.normal(size=(len(rows), 2 * points)) * 9 + 300,
            'data_3d': space,
            'data_frame': (rows - i)[None].astype(np.int32),
            'data_sampleID': (10 * rows + 1)[None].astype(np.uint16),
        } for i in range(views)]),
    }
