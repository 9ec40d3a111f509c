"""MANO's own model files, read without running what they hold.

The files are licensed and everybody gets their own from the authors; what
needs none of them works without. ``MANO_RIGHT.pkl`` and ``MANO_LEFT.pkl``
are pickles of Python 2 with arrays of chumpy and matrices of SciPy: here
both become plain arrays, neither package is needed, and a file that asks for
anything else is refused. An .npz with the same arrays is read too.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    check_array,
    check_file,
    check_keys,
)
from mmpose_ext.storage.checks import StrPath
from mmpose_ext.storage.pickled_npy import PlainUnpickler

Array = np.ndarray

VERTICES = 778
JOINTS = 16
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)

SOURCE = ('register at https://mano.is.tue.mpg.de, download the models and '
          'name MANO_RIGHT.pkl or MANO_LEFT.pkl; everything but MANO works '
          'without them')
_SHAPES: dict[str, tuple[int | None, ...]] = dict(
    v_template=(VERTICES, 3), shapedirs=(VERTICES, 3, 10),
    posedirs=(VERTICES, 3, 9 * (JOINTS - 1)),
    J_regressor=(JOINTS, VERTICES), weights=(VERTICES, JOINTS),
    hands_components=(45, 45), hands_mean=(45, ))


@dataclass(frozen=True, eq=False)
class ManoArrays:
    """One hand of MANO.

    Attributes:
        v_template: (778, 3) m, the mean hand at rest.
        shapedirs: (778, 3, 10) m, displacement by shape.
        posedirs: (778, 3, 135) m, displacement by rotation matrices less I.
        joint_regressor: (16, 778).
        weights: (778, 16) of the skin, rows sum to 1.
        components: (45, 45) principal components of the fingers, in rows.
        hands_mean: (45, ) mean of the fingers' axis-angles.
        faces: (F, 3) vertices of the triangles.
    """

    v_template: Array
    shapedirs: Array
    posedirs: Array
    joint_regressor: Array
    weights: Array
    components: Array
    hands_mean: Array
    faces: Array


def read_mano(path: StrPath, side: str) -> ManoArrays:
    """Read a model file.

    Args:
        path (str | Path): ``MANO_RIGHT.pkl``, ``MANO_LEFT.pkl``, or an .npz
            with the same keys.
        side (str): ``right`` or ``left``; a file whose name tells the other
            one is refused.

    Returns:
        ManoArrays: All float64, faces int64.

    Raises:
        DataError: If it is missing, damaged, of another model or side, or
            asks for more than arrays.
    """
    if side not in SIDES:
        raise DataError('config', 'side', ' or '.join(SIDES), repr(side))
    path = check_file(path, ['.pkl', '.npz'], SOURCE)
    other = SIDES[1 - SIDES.index(side)]
    if other in path.stem.lower() and side not in path.stem.lower():
        raise DataError(path, 'file', f'the {side} hand',
                        f'a name that tells the {other} one', SOURCE)
    found = (_read_npz(path) if path.suffix.lower() == '.npz'
             else _read_pickle(path))
    check_keys(found, [*_SHAPES, 'kintree_table', 'f'], path,
               'a model of MANO v1.2')
    arrays = {
        name: check_array(_plain(found[name], path, name), path,
                          f'key {name!r}', 'fiu', shape,
                          finite=True).astype(np.float64)
        for name, shape in _SHAPES.items()}
    _check_tree(found['kintree_table'], path)
    _check_weights(arrays['weights'], path)
    return ManoArrays(
        faces=_faces(found['f'], path),
        joint_regressor=arrays.pop('J_regressor'),
        components=arrays.pop('hands_components'), **arrays)


def _check_tree(table: Any, path: Path) -> None:
    table = check_array(_plain(table, path, 'kintree_table'), path,
                        "key 'kintree_table'", 'iuf', (2, JOINTS))
    # the root's parent is the largest number of its type
    parents = (-1, *(int(parent) for parent in table[0, 1:]))
    if parents != PARENTS:
        raise DataError(path, "key 'kintree_table'",
                        f"MANO's joints, {list(PARENTS)}", str(list(parents)))


def _check_weights(weights: Array, path: Path) -> None:
    sums = weights.sum(1)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > 1e-3:
        raise DataError(path, "key 'weights'", 'rows that sum to 1',
                        f'{sums[worst]:.4g} in row {worst}')


def _faces(faces: Any, path: Path) -> Array:
    faces = check_array(_plain(faces, path, 'f'), path, "key 'f'", 'iu',
                        (None, 3)).astype(np.int64)
    if faces.size and not 0 <= faces.min() <= faces.max() < VERTICES:
        raise DataError(path, "key 'f'", f'vertices 0 to {VERTICES - 1}',
                        f'{faces.min()} to {faces.max()}')
    return faces


def _read_npz(path: Path) -> dict[str, Any]:
    archive = NpzArchive(path)
    return {name: archive.read(name) for name in archive.names
            if name in {*_SHAPES, 'kintree_table', 'f'}}


def _read_pickle(path: Path) -> dict[str, Any]:
    with path.open('rb') as stream:
        try:
            found = _ManoUnpickler(stream, path).load()
        except DataError:
            raise
        # A damaged pickle may ask for anything of anything.
        except Exception as error:
            raise DataError(path, 'file', 'a model file of MANO',
                            str(error) or type(error).__name__,
                            SOURCE) from error
    if not isinstance(found, dict):
        raise DataError(path, 'file', 'a dictionary of arrays',
                        type(found).__name__, SOURCE)
    return found


class _Shell:
    """What stands for an object of another package: its state alone."""

    # some pickles make objects without __init__
    state: Mapping[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ValueError(f'a state that is {type(state).__name__}')
        self.state = state


class _Ch(_Shell):
    """An array of chumpy."""

    def array(self) -> Array:
        return np.asarray(_unwrapped(self.state['x']))


class _Select(_Shell):
    """Elements of another array of chumpy."""

    def array(self) -> Array:
        values = np.asarray(_unwrapped(self.state['a'])).ravel()
        chosen = values[np.asarray(self.state['idxs'])]
        return chosen.reshape(self.state.get('preferred_shape', -1))


class _Compressed(_Shell):
    """A sparse matrix of SciPy, by columns."""

    by_columns = True

    def array(self) -> Array:
        rows, columns = (int(length) for length in self.state['_shape'])
        if not 0 < rows * columns <= 1 << 24:
            raise ValueError(f'a matrix of {rows} x {columns}')
        data, indices, pointers = (
            np.asarray(self.state[key])
            for key in ('data', 'indices', 'indptr'))
        major, minor = ((columns, rows) if self.by_columns
                        else (rows, columns))
        matrix = np.zeros((major, minor))
        lines = np.repeat(np.arange(major), np.diff(pointers))
        # entries that are there twice count together
        np.add.at(matrix, (lines, indices), data)
        return matrix.T if self.by_columns else matrix


class _CompressedRows(_Compressed):
    by_columns = False


def _unwrapped(value: Any) -> Any:
    return value.array() if isinstance(value, _Ch | _Select) else value


def _plain(value: Any, path: Path, name: str) -> Any:
    """The array that a value of the file stands for."""
    if not isinstance(value, _Ch | _Select | _Compressed):
        return value
    try:
        return value.array()
    except (KeyError, IndexError, ValueError, TypeError,
            RecursionError) as error:
        raise DataError(path, f'key {name!r}', 'an array',
                        f'a damaged one: {error}') from error


def _rebuild(kind: Any, base: Any, state: Any) -> Any:
    """By this older pickles make objects."""
    if not (isinstance(kind, type) and issubclass(kind, _Shell)):
        raise ValueError(f'an object of {kind!r}')
    return kind()


def _scalar(dtype: np.dtype, data: Any) -> Any:
    """A number, whose bytes are text in pickles of Python 2."""
    if isinstance(data, str):
        data = data.encode('latin-1')
    if dtype.hasobject or not isinstance(data, bytes):
        raise ValueError(f'a number of {dtype}')
    return np.frombuffer(data, dtype, 1)[0]


class _ManoUnpickler(PlainUnpickler):
    """Makes arrays, and shells of what chumpy and SciPy would be."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        super().__init__(stream, path, 'latin1')  # as Python 2 wrote it

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle names, if it is harmless.

        Raises:
            DataError: If it is not.
        """
        module = module.replace('numpy._core', 'numpy.core')
        known = _ALLOWED.get((module, name))
        return known or super().find_class(module, name)


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('chumpy.ch', 'Ch'): _Ch,
    ('chumpy.reordering', 'Select'): _Select,
    ('copy_reg', '_reconstructor'): _rebuild,
    ('copyreg', '_reconstructor'): _rebuild,
    ('__builtin__', 'object'): object,
    ('builtins', 'object'): object,
    ('__builtin__', 'set'): set,
    ('builtins', 'set'): set,
    **{(f'scipy.sparse.{module}', name): kind
       for name, kind in (('csc_matrix', _Compressed),
                          ('csr_matrix', _CompressedRows))
       for module in (name[:3], f'_{name[:3]}')},
}
