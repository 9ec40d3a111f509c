from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import mmpose_ext
from mmpose_ext import commands

ZEBRA = '''
import json
from pathlib import Path
from mmpose_ext.commands import Converter
from mmpose_ext.storage import DataError

def add_arguments(parser):
    parser.add_argument('--stripes', type=int, default=1)
    parser.add_argument('--herd')
    parser.add_argument('--wild', action='store_true')

def run(config, arguments):
    if arguments.stripes == 0:
        raise DataError('zebra.bin', 'stripes', 'some', 'none')
    print('zebra', arguments.stripes, config.get('coat'))

def accepts(path):
    return path.suffix == '.zebra'

def run_file(path, arguments):
    print('zebra file', path.name, arguments.stripes)
    return 0

def add(parser):
    parser.add_argument('--size', default='zebra size')

def convert(arguments):
    print('zebra converts', arguments.size, arguments.out)

CONVERTERS = dict(dlc=Converter('stripes', accepts, add, convert))
'''


@pytest.fixture
def zebra(tmp_path: Path, monkeypatch):
    """A second family with every plug, and a config of it."""
    folder = tmp_path / 'zebra'
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    for name in ('predict', 'verify_dataset', 'convert'):
        (folder / f'{name}.py').write_text(ZEBRA)
    monkeypatch.setattr(mmpose_ext, '__path__',
                        [*mmpose_ext.__path__, str(tmp_path)])
    config = tmp_path / 'zebra_config.py'
    config.write_text(
        "custom_imports = dict(imports=['mmpose_ext.zebra'])\n")
    yield config
    for name in [name for name in sys.modules if '.zebra' in name]:
        del sys.modules[name]


def test_family_of_the_config_does_the_work(zebra: Path, capsys) -> None:
    assert commands.run_command('predict', '', [
        str(zebra), '--stripes', '7', '--cfg-options', 'coat=thick']) == 0
    assert capsys.readouterr().out == 'zebra 7 thick\n'


def test_bad_data_is_one_line_and_exit_code_1(zebra: Path, capsys) -> None:
    words = [str(zebra), '--stripes', '0']
    assert commands.run_command('predict', '', words) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        'error: zebra.bin: stripes: expected some, found none\n')


def test_options_before_the_config(zebra: Path, capsys) -> None:
    assert commands.run_command('predict', '',
                                ['--stripes', '3', str(zebra)]) == 0
    assert capsys.readouterr().out == 'zebra 3 None\n'


@pytest.mark.parametrize('words', [
    [], ['nothing.txt'], ['missing.py'], ['CONFIG', '--unknown'],
    ['CONFIG', 'another']])
def test_wrong_usage_is_exit_code_2(zebra: Path, words: list[str]) -> None:
    words = [str(zebra) if word == 'CONFIG' else word for word in words]
    with pytest.raises(SystemExit) as caught:
        commands.run_command('predict', '', words)
    assert caught.value.code == commands.USAGE_ERROR


def test_command_that_a_family_lacks(zebra: Path, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.run_command('benchmark', '', [str(zebra)])
    assert caught.value.code == commands.USAGE_ERROR
    assert 'zebra has no command benchmark' in capsys.readouterr().err


def test_config_that_is_no_python(zebra: Path, capsys) -> None:
    zebra.write_text('a = (\n')
    with pytest.raises(SystemExit) as caught:
        commands.run_command('predict', '', [str(zebra)])
    assert caught.value.code == commands.USAGE_ERROR


def test_help_shows_the_options_of_the_family(zebra: Path, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.run_command('predict', 'About.', [str(zebra), '--help'])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert '--stripes' in text and 'About.' in text
    with pytest.raises(SystemExit):
        commands.run_command('predict', 'About.', ['--help'])
    assert 'family of CONFIG' in capsys.readouterr().out


def test_verify_finds_the_family_of_a_file(zebra: Path, capsys) -> None:
    path = zebra.with_name('herd.zebra')
    assert commands.run_verify(
        '', [f'--ann-file={path}', '--stripes', '2']) == 0
    assert capsys.readouterr().out == 'zebra file herd.zebra 2\n'
    assert commands.run_verify('', [str(zebra)]) == 0
    assert capsys.readouterr().out == 'zebra 1 None\n'


def test_verify_of_a_file_that_nobody_knows(zebra: Path, capsys) -> None:
    path = zebra.with_name('unknown.xyz')
    assert commands.run_verify('', ['--ann-file', str(path)]) == 1
    path.write_text('x')
    assert commands.run_verify('', ['--ann-file', str(path)]) == 1
    assert 'or zebra' in capsys.readouterr().err
    assert commands.run_verify(
        '', ['--ann-file', str(path), '--family', 'zebra']) == 0


def test_families_share_a_format(zebra: Path, tmp_path: Path,
                                 capsys) -> None:
    path = tmp_path / 'x.zebra'
    path.write_text('x')
    assert commands.run_convert(
        '', ['dlc', str(path), '--out', str(tmp_path / 'o')]) == 0
    assert capsys.readouterr().out == (
        f'zebra converts zebra size {tmp_path / "o"}\n')
    assert commands.run_convert('', [
        'dlc', str(tmp_path / 'none'), '--out', 'o', '--family', 'zebra']) == 0
    assert commands.run_convert('', [
        'dlc', str(tmp_path / 'none'), '--out', 'o',
        '--family=direction']) == 1


HORSE = ['nose', 'neck', 'tail_base', 'l_elbow', 'r_elbow', 'lf_hoof']
MOUSE = ['nose', 'left_ear', 'right_ear', 'neck', 'tail_base', 'tail_end']


def write_names(path: Path, names: list[str]) -> Path:
    path.write_text(json.dumps(dict(
        images=[], annotations=[],
        categories=[dict(id=1, name='animal', keypoints=names)])))
    return path


@pytest.mark.parametrize('names, ours, others', [
    (HORSE, '--near-side', '--crop-scale'),
    (MOUSE, '--crop-scale', '--near-side')])
def test_the_points_choose_the_family(tmp_path: Path, capsys,
                                      names: list[str], ours: str,
                                      others: str) -> None:
    path = write_names(tmp_path / 'l.json', names)
    with pytest.raises(SystemExit):
        commands.run_convert('', ['coco', str(path), '--help'])
    text = capsys.readouterr().out
    assert ours in text and others not in text
    # nothing is labelled in it
    assert commands.run_convert(
        '', ['coco', str(path), '--out', str(tmp_path / 'o')]) == 1


def test_what_is_not_there_is_named_before_a_family(capsys) -> None:
    assert commands.run_convert('', ['dlc', 'project', '--out', 'o']) == 1
    assert 'project: file: expected a file' in capsys.readouterr().err


@pytest.mark.parametrize('names, message', [
    (['wing', 'beak'], 'fit none of direction, equine'),
    # a mouse's landmarks, and five of a horse's points with hooves
    ([*MOUSE, 'left_hind_paw'], 'fit direction and equine')])
def test_a_family_is_asked_for_where_the_points_do_not_tell(
        tmp_path: Path, capsys, names: list[str], message: str) -> None:
    path = write_names(tmp_path / 'l.json', names)
    words = ['coco', str(path), '--out', str(tmp_path / 'o')]
    with pytest.raises(SystemExit) as caught:
        commands.run_convert('', words)
    assert caught.value.code == commands.USAGE_ERROR
    text = capsys.readouterr().err
    assert message in text and '--family' in text
    assert commands.run_convert('', [*words, '--family', 'equine']) == 1


def test_a_damaged_input_is_named_before_a_family(tmp_path: Path,
                                                  capsys) -> None:
    path = tmp_path / 'l.json'
    path.write_text('{"images": [')
    assert commands.run_convert(
        '', ['coco', str(path), '--out', str(tmp_path / 'o')]) == 1
    assert 'expected JSON' in capsys.readouterr().err


@pytest.mark.parametrize('words', [
    [], ['vhs', 'tape', '--out', 'o'], ['dlc', 'project'],
    ['dlc', 'project', '--out', 'o', '--family=direction', '--size', 'big'],
    ['dlc', 'project', '--out', 'o', '--family=direction', '--size', '3']])
def test_wrong_conversion_is_exit_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.run_convert('', words)
    assert caught.value.code == commands.USAGE_ERROR


def test_formats_are_listed(capsys) -> None:
    with pytest.raises(SystemExit):
        commands.run_convert('', ['--help'])
    text = capsys.readouterr().out
    assert all(name in text for name in ('dlc', 'sleap', 'coco', 'tracks'))


def test_worlds_are_written_where_asked(tmp_path: Path, monkeypatch,
                                        capsys) -> None:
    from mmpose_ext.synthesis import direction
    calls = []
    monkeypatch.setattr(direction, 'write_world',
                        lambda **words: calls.append(words), raising=False)
    monkeypatch.setenv('MMPOSE_EXT_DATA', str(tmp_path / 'disk'))
    assert commands.run_synthesize('', ['direction']) == 0
    assert commands.run_synthesize(
        '', ['direction', '--out', str(tmp_path), '--seed', '4', '--size',
             '9']) == 0
    assert calls == [
        dict(out=tmp_path / 'disk' / 'synthetic' / 'direction', seed=0),
        dict(out=tmp_path, seed=4, size=9)
    ]
    assert f'written: {tmp_path}' in capsys.readouterr().out


def test_unknown_world_is_exit_code_2(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.run_synthesize('', ['unicorn'])
    assert caught.value.code == commands.USAGE_ERROR
    assert 'direction' in capsys.readouterr().err


@pytest.mark.parametrize('words', [
    ['--herd', 'HERD', 'CONFIG'], ['--herd=HERD', 'CONFIG'],
    ['CONFIG', '--herd', 'HERD'], ['--wild', 'CONFIG', '--herd', 'HERD']])
def test_a_file_named_by_an_option_is_not_the_config(
        zebra: Path, tmp_path: Path, capsys, words: list[str]) -> None:
    herd = tmp_path / 'herd.py'
    herd.write_text(zebra.read_text() + "coat = 'of the herd'\n")
    words = [word.replace('HERD', str(herd)).replace('CONFIG', str(zebra))
             for word in words]
    assert commands.run_command('predict', '', words) == 0
    assert capsys.readouterr().out == 'zebra 1 None\n'


def test_a_config_that_cannot_be_told_is_wrong_usage(
        zebra: Path, tmp_path: Path, capsys) -> None:
    herd = tmp_path / 'herd.py'
    herd.write_text(zebra.read_text())
    with pytest.raises(SystemExit) as caught:
        commands.run_command('predict', '', [
            '--herd', str(herd), '--wild', str(zebra)])
    assert caught.value.code == commands.USAGE_ERROR
    assert f'{zebra}, first' in capsys.readouterr().err
