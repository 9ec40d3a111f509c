"""The command that makes grids of signed distances."""
from __future__ import annotations

from pathlib import Path

import pytest

from mmpose_ext import handobject
from mmpose_ext.handobject.build_distance_fields import main
from mmpose_ext.storage import NpzArchive
from tests.unit.handobject.object_meshes import write_solids


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solids(tmp_path_factory.mktemp('models'))


def test_command_writes_all_meshes_and_refuses(
        models_dir: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'fields.npz'
    arguments = [str(models_dir), '--out', str(out), '--resolution', '8']
    assert main(arguments) == 0
    assert '003_cracker_box' in capsys.readouterr().out
    assert NpzArchive(out).read('ids').tolist() == [2, 5, 13, 21]
    before = out.read_bytes()
    assert main(arguments) == 1
    assert '--overwrite replaces it' in capsys.readouterr().err
    assert main([*arguments, '--overwrite', '--ids', '3']) == 1
    assert '004_sugar_box' in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main([str(tmp_path), '--out', str(tmp_path / 'x.npz')]) == 1
    assert 'expected a mesh, found none' in capsys.readouterr().err
    for wrong, text in (
            (['--resolution', '4'], '--resolution: expected at least 8'),
            (['--out', 'fields.npy'], '--out: expected a name ending in')):
        assert main([*arguments, *wrong]) == 1
        assert text in capsys.readouterr().err


def test_the_package_leaves_it_to_python() -> None:
    """Else ``python -m`` warns of a module that is there already."""
    name = main.__module__.rpartition('.')[2]
    folder = Path(handobject.__file__).parent
    for path in folder.glob('*.py'):
        assert f'handobject.{name} import' not in path.read_text()
