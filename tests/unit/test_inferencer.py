"""One object for every family, which plugs in by two modules."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

import mmpose_ext
from mmpose_ext import Inferencer
from mmpose_ext.families import family_module, family_names
from mmpose_ext.inferencer import find_config, iterate_some
from mmpose_ext.storage import DataError

INFERENCER = '''
import torch
from mmpose.structures import PoseDataSample

class Counter:
    def __init__(self, config, checkpoint, device, stripes):
        self.model, self.device = torch.nn.Identity(), device
        self.stripes = stripes

    def __call__(self, inputs, batch_size=None, *, wild=False):
        return (PoseDataSample(metainfo=dict(
            value=item, stripes=self.stripes, wild=wild, size=batch_size))
            for item in inputs)

def load(config, checkpoint, device, *, stripes=1):
    return Counter(config, checkpoint, device, stripes)
'''
PREDICT = '''
from pathlib import Path
from mmpose_ext.storage import DataError

def add_arguments(parser):
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('input', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--stripes', type=int, default=1)
    parser.add_argument('--from-side', choices=('left', 'right'))
    parser.add_argument('--wild', action='store_true')
    parser.add_argument('--box', type=float, nargs=4)
    parser.add_argument('--device', default='auto')

def run(config, arguments):
    if arguments.stripes == 0:
        raise DataError(arguments.input, 'stripes', 'some', 'none')
    arguments.out.write_text(repr(sorted(vars(arguments).items())))
    return int(arguments.stripes == 7)
'''


@pytest.fixture
def zebra(tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkpoint of a family of its own."""
    folder = tmp_path / 'zebra'
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    (folder / 'inferencer.py').write_text(INFERENCER)
    (folder / 'predict.py').write_text(PREDICT)
    monkeypatch.setattr(mmpose_ext, '__path__',
                        [*mmpose_ext.__path__, str(tmp_path)])
    path = tmp_path / 'zebra.pth'
    text = "custom_imports = dict(imports=['mmpose_ext.zebra'])\ncoat = 3\n"
    torch.save(dict(meta=dict(cfg=text)), path)
    (tmp_path / 'zebra_config.py').write_text(text)
    yield path
    for name in [name for name in sys.modules if '.zebra' in name]:
        del sys.modules[name]


def arguments_of(path: Path) -> dict[str, Any]:
    paths = dict(PosixPath=str, WindowsPath=str)
    return dict(eval(path.read_text(), paths))  # our own text


def test_checkpoint_alone_is_enough(zebra: Path) -> None:
    inferencer = Inferencer(zebra, device='cpu', stripes=5)
    assert inferencer.family == 'zebra'
    assert inferencer.config.coat == 3
    assert inferencer.checkpoint == zebra
    assert inferencer.device == torch.device('cpu')
    assert isinstance(inferencer.model, torch.nn.Module)
    sample, = inferencer(['a'], batch_size=2, wild=True)
    assert (sample.value, sample.stripes, sample.wild, sample.size) == (
        'a', 5, True, 2)


def test_config_may_be_given_in_every_form(zebra: Path) -> None:
    file = zebra.with_name('zebra_config.py')
    for config in (file, str(file), Config.fromfile(file)):
        assert Inferencer(zebra, config).config.coat == 3
    name = 'direction-cnn_tiny_synthetic'
    assert Path(find_config(name).filename).stem == name


@pytest.mark.parametrize(('config', 'found'), [
    ('direction-cnn_tiny_synthetik', 'did you mean direction-cnn_tiny_'),
    ('nothing_like_it', 'neither'), ('nowhere.py', 'nowhere.py')])
def test_config_that_there_is_not(config: str, found: str) -> None:
    with pytest.raises(DataError, match=found):
        find_config(config)


def test_given_config_of_no_family_and_one_that_is_broken(
        zebra: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='custom_imports'):
        Inferencer(zebra, Config(dict(a=1)))
    (tmp_path / 'broken.py').write_text('a = (')
    with pytest.raises(DataError, match='broken.py'):
        Inferencer(zebra, tmp_path / 'broken.py')


def test_unknown_option_names_those_that_there_are(zebra: Path) -> None:
    with pytest.raises(TypeError, match='no option dots; there are stripes'):
        Inferencer(zebra, dots=1)
    inferencer = Inferencer(zebra)
    with pytest.raises(TypeError, match='no option tame; there are wild'):
        inferencer([1], tame=1)
    with pytest.raises(TypeError, match='no option tame; there are box, dev'):
        inferencer.write('in', 'out', tame=1)
    with pytest.raises(ValueError, match='at least 1'):
        inferencer([1], 0)


def test_device_that_there_is_not(zebra: Path) -> None:
    for device in ('cuda:99', 'toaster'):
        with pytest.raises(DataError, match=device):
            Inferencer(zebra, device=device)


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='none.pth'):
        Inferencer(tmp_path / 'none.pth')


def test_writing_gives_the_command_its_arguments(zebra: Path,
                                                 tmp_path: Path) -> None:
    inferencer = Inferencer(zebra, device='cpu', stripes=2)
    out = inferencer.write('-in', tmp_path / '-o', from_side='left',
                           wild=True, box=(-1, 2.5, 3, 4))
    assert out == tmp_path / '-o'
    assert arguments_of(out) == dict(
        checkpoint=str(zebra), input='-in', out=str(out), stripes=2,
        from_side='left', wild=True, box=[-1, 2.5, 3, 4], device='cpu')
    inferencer.write('in', out, stripes=3, wild=False, from_side=None)
    assert arguments_of(out)['stripes'] == 3
    assert not arguments_of(out)['wild']


@pytest.mark.parametrize(('options', 'error'), [
    (dict(stripes='many'), 'invalid int'), (dict(from_side='up'), 'choice'),
    (dict(wild=3), 'True or False'), (dict(box=[1, 2]), 'expected 4'),
    (dict(stripes=0), 'stripes'), (dict(stripes=7), 'exit code 1')])
def test_what_the_command_refuses_is_an_exception(
        zebra: Path, tmp_path: Path, options: dict[str, Any],
        error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Inferencer(zebra).write('in', tmp_path / 'out', **options)


def test_an_endless_input_is_read_item_by_item(zebra: Path) -> None:
    def endless() -> Iterator[int]:
        yield from range(3)
        raise AssertionError('read ahead')

    samples = Inferencer(zebra)(endless())
    assert [next(samples).value for _ in range(3)] == [0, 1, 2]


def test_some_is_at_least_one() -> None:
    assert list(iterate_some(iter('ab'))) == ['a', 'b']
    for nothing in ([], iter(()), 3):
        with pytest.raises(DataError, match='inputs'):
            list(iterate_some(nothing))


@pytest.mark.parametrize('family', family_names())
def test_every_family_has_an_inferencer(family: str) -> None:
    module = family_module(family, 'inferencer')
    assert module is not None and callable(module.load)


def test_importing_the_package_imports_no_model() -> None:
    code = ('import sys, mmpose_ext; assert "mmpose.models" not in '
            'sys.modules; assert "mmpose_ext.inferencer" not in sys.modules; '
            'assert not hasattr(mmpose_ext, "Nothing")')
    subprocess.run([sys.executable, '-c', code], check=True)
