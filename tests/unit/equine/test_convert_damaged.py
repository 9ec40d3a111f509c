"""Every damaged source ends in one line, with nothing written."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.equine.label_files import (
    convert,
    draw_picture,
    make_truth,
    write_coco,
    write_csv,
    write_cvat,
    write_dlc,
    write_json_min,
    write_label_studio,
)

Damage = Callable[[Any], object]


def put(*path: Any) -> Damage:
    """Set a value in nested lists and objects; the last one is the value."""
    def change(content: Any) -> None:
        for key in path[:-2]:
            content = content[key]
        content[path[-2]] = path[-1]
    return change


def remove(*path: Any) -> Damage:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]
    return change


def add(*path: Any) -> Damage:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content.append(path[-1](content))
    return change


def check(folder: Path, capsys, parts: tuple[str, ...],
          *words: object) -> None:
    """One line with these parts, exit code 1, and nothing left behind."""
    before = sorted(folder.rglob('*'))
    capsys.readouterr()
    assert convert(*words, '--out', folder / 'o') == 1
    assert sorted(folder.rglob('*')) == before
    errors = [line for line in capsys.readouterr().err.splitlines()
              if line.startswith('error: ')]
    assert len(errors) == 1
    for part in parts:
        assert part in errors[0]


COCO: dict[str, tuple[Damage, tuple[str, ...]]] = {
    'no annotations': (remove('annotations'), ("key 'annotations'", )),
    'nothing labelled': (put('annotations', []), ("'horse'", 'none')),
    'no category': (put('categories', []), ('one category', 'none')),
    'two categories': (
        lambda c: c.update(categories=[
            dict(c['categories'][0], name='a'),
            dict(c['categories'][0], id=8, name='b')]),
        ('one category', 'a, b')),
    'names without a meaning': (
        put('categories', 0, 'keypoints', [f'p{i}' for i in range(26)]),
        ('names of points of a horse', )),
    'a name twice': (
        put('categories', 0, 'keypoints', 1, 'nose'), ('once', 'nose')),
    'two names for one point': (
        put('categories', 0, 'keypoints', 25, 'left_eye'),
        ('one name for l_eye', )),
    'too few numbers': (
        remove('annotations', 0, 'keypoints', 0), ('78 numbers', '77')),
    'visibility 3': (
        put('annotations', 1, 'keypoints', 2, 3), ('annotation 11', )),
    'not a number': (
        put('annotations', 0, 'keypoints', 0, float('nan')), ('finite', )),
    'text for a number': (
        put('annotations', 0, 'keypoints', 0, '1'), ('78 numbers', )),
    'no such image': (
        put('annotations', 0, 'image_id', 99), ('image_id 99', )),
    'an id twice': (put('annotations', 1, 'id', 10), ('annotation 10', )),
    'a picture twice with other labels': (
        add('images', lambda images: dict(images[0], id=9)), ()),
    'missing picture': (
        put('images', 0, 'file_name', 'gone.png'), ('gone.png', )),
    'no file name': (put('images', 0, 'file_name', 7), ('file_name', '7')),
    'box without a width': (
        put('annotations', 0, 'bbox', [1, 1, 0, 5]), ('bbox', )),
    'box off the picture': (
        put('annotations', 0, 'bbox', [500, 500, 9, 9]),
        ('annotation 10, box', '160x120')),
    'size of another shape': (
        put('images', 0, 'width', 400), ('160x120', '400x120')),
    'no size': (put('images', 0, 'width', 0), ('width and height', )),
}


@pytest.mark.parametrize('damage', sorted(COCO))
def test_coco(tmp_path: Path, capsys, damage: str) -> None:
    truth = make_truth(tmp_path, 2)
    file = write_coco(tmp_path / 'l.json', truth)
    content = json.loads(file.read_text())
    change, parts = COCO[damage]
    change(content)
    if damage == 'a picture twice with other labels':
        content['annotations'][1]['image_id'] = 9
        parts = ('one labelling', 'horse0_000.png')
    file.write_text(json.dumps(content))
    check(tmp_path, capsys, parts, 'coco', file, '--family', 'equine')


@pytest.mark.parametrize('content, part', [
    (b'', 'an empty file'), (b'{"images"', 'expected JSON'),
    (b'[]', 'a JSON object'), (b'[' * 100000, 'expected JSON'),
    (b'\xff\xfe\x00', 'expected JSON')])
@pytest.mark.parametrize('source', ['coco', 'labelstudio'])
def test_no_json(tmp_path: Path, capsys, source: str, content: bytes,
                 part: str) -> None:
    file = tmp_path / 'l.json'
    file.write_bytes(content)
    if source == 'labelstudio' and content == b'[]':
        part = 'keypointlabels'
    check(tmp_path, capsys, (part, ), source, file)


@pytest.mark.parametrize('content', [b'', b'no picture', None])
def test_pictures_that_cannot_be_loaded(tmp_path: Path, capsys,
                                        content: bytes | None) -> None:
    truth = make_truth(tmp_path, 1)
    picture = tmp_path / truth.names[0]
    picture.write_bytes(
        picture.read_bytes()[:200] if content is None else content)
    check(tmp_path, capsys, (truth.names[0], 'can be loaded'), 'coco',
          write_coco(tmp_path / 'l.json', truth))


def test_nothing_is_left(tmp_path: Path, capsys) -> None:
    truth = make_truth(tmp_path, 2)
    truth.visibility[:, 4:] = 0
    check(tmp_path, capsys, ('2 horses with fewer than 5 points', ), 'coco',
          write_coco(tmp_path / 'l.json', truth))


ANNOTATION = (0, 'annotations', 0)
FIRST = (*ANNOTATION, 'result', 0)
STUDIO: dict[str, tuple[Damage, tuple[str, ...]]] = {
    'an object': (lambda c: c[0].pop('annotations'), ("'annotations'", )),
    'per cent above 100': (
        put(*FIRST, 'value', 'x', 100.5), ("'nose', x", '100.5')),
    'negative per cent': (put(*FIRST, 'value', 'y', -1), ("'nose', y", )),
    'no per cent': (put(*FIRST, 'value', 'x', None), ('a number', )),
    'infinity': (put(*FIRST, 'value', 'x', float('inf')), ('finite', )),
    'no size': (remove(*FIRST, 'original_width'), ('original_width', )),
    'two sizes': (
        put(*FIRST, 'original_width', 99), ('one original size', )),
    'two labels': (
        put(*FIRST, 'value', 'keypointlabels', ['a', 'b']), ('one name', )),
    'a point twice': (
        add(*ANNOTATION, 'result', lambda items: items[0]),
        ("task 0, point 'nose'", 'once')),
    'no result': (put(*ANNOTATION, 'result', None), ("key 'result'", )),
    'no picture': (put(0, 'data', {}), ('task 0', 'one picture')),
    'two pictures': (
        put(0, 'data', {'a': 'x.png', 'b': 'y.png'}), ('x.png, y.png', )),
    'missing picture': (
        put(0, 'data', {'image': '/data/upload/1/gone.png'}),
        ('gone.png', 'none')),
    'a picture twice with other labels': (
        put(1, 'data', {'image': 'horse0_000.png'}), ('one labelling', )),
    'labels of unknown names only': (
        lambda c: [item['value'].update(keypointlabels=[f'p{i}'])
                   for task in c
                   for i, item in enumerate(task['annotations'][0]['result'])],
        ('names of points of a horse', )),
    'all cancelled': (
        lambda c: [task['annotations'][0].update(was_cancelled=True)
                   for task in c], ('keypointlabels', 'none')),
}


@pytest.mark.parametrize('damage', sorted(STUDIO))
def test_label_studio(tmp_path: Path, capsys, damage: str) -> None:
    file = write_label_studio(tmp_path / 'l.json', make_truth(tmp_path, 2))
    content = json.loads(file.read_text())
    change, parts = STUDIO[damage]
    change(content)
    file.write_text(json.dumps(content))
    check(tmp_path, capsys, parts, 'labelstudio', file)


def test_json_min_with_bad_per_cent(tmp_path: Path, capsys) -> None:
    file = write_json_min(tmp_path / 'l.json', make_truth(tmp_path, 1))
    content = json.loads(file.read_text())
    content[0]['kp'][3]['x'] = 640
    file.write_text(json.dumps(content))
    check(tmp_path, capsys, ('task 0', '0 and 100', '640'), 'labelstudio',
          file)


def test_a_base_name_that_several_pictures_have(tmp_path: Path,
                                                capsys) -> None:
    truth = make_truth(tmp_path / 'a', 1)
    draw_picture(tmp_path / 'b' / truth.names[0], 9)
    file = write_label_studio(tmp_path / 'l.json', truth)
    check(tmp_path, capsys, ('one picture', 'a/horse0', 'b/horse0'),
          'labelstudio', file)


BOMB = ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
        '<!ENTITY b "&a;&a;&a;&a;">]><annotations>&b;</annotations>')


@pytest.mark.parametrize('old, new, parts', [
    ('<annotations>', '<annotations', ('expected XML', )),
    ('annotations>', 'labels>', ('element annotations', 'labels')),
    ('</annotations>', '<track id="0"/></annotations>',
     ('tracks of a video', '1.1')),
    ('width="160"', '', ('width', 'a number')),
    ('width="160"', 'width="0"', ('positive size', )),
    ('label="nose"', '', ('no label', )),
    ('label="l_eye"', 'label="nose"', ("point 'nose'", 'once')),
    ('points="', 'points="1,2;', ('one place x,y', )),
    ('points="', 'points="x', ('a number', )),
    ('outside="0"', 'outside="no"', ('outside', "'no'")),
    ('</skeleton>', '</skeleton><box xtl="5" ytl="5" xbr="1" ybr="9"/>',
     ('box', 'positive')),
    ('name="horse0_000.png"', 'name="gone.png"', ("'gone.png'", )),
    ('skeleton', 'polygon', ('labelled points', 'none')),
])
def test_cvat(tmp_path: Path, capsys, old: str, new: str,
              parts: tuple[str, ...]) -> None:
    file = write_cvat(tmp_path / 'l.xml', make_truth(tmp_path, 1))
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    check(tmp_path, capsys, parts, 'cvat', file)


def test_xml_that_could_fill_the_memory(tmp_path: Path, capsys) -> None:
    file = tmp_path / 'l.xml'
    file.write_text(BOMB)
    check(tmp_path, capsys, ('DOCTYPE', ), 'cvat', file)


@pytest.mark.parametrize('old, new, parts', [
    ('file,name,x,y,v\n', '', ('header', 'file, name, x, y')),
    ('file,name,x,y,v\n', '\n', ('header', 'an empty line')),
    ('file,name', 'file,label', ('header', 'label')),
    ('nose', '', ('line 2, column name', )),
    ('l_eye', 'nose', ('line 3', 'once')),
    (',nose,', ',nose,x', ('line 2, column x', 'a number')),
    (',nose,', ',nose,nan,', ('line 2', )),
    (',2\n', ',7\n', ('column v', "'7'")),
    (',2\n', '\n', ('5 cells', '4')),
    ('horse0_000.png', 'gone.png', ('gone.png', )),
    ('horse0_000.png', '../horse0_000.png\0', ('line', )),
    ('file,name,x,y,v', '"file,name', ('CSV text', )),
])
def test_csv(tmp_path: Path, capsys, old: str, new: str,
             parts: tuple[str, ...]) -> None:
    file = write_csv(tmp_path / 'l.csv', make_truth(tmp_path, 1))
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    check(tmp_path, capsys, parts, 'csv', file)


def test_a_project_without_its_pictures(tmp_path: Path, capsys) -> None:
    truth = make_truth(tmp_path / 'pictures', 2)
    project = write_dlc(tmp_path / 'p', truth, tmp_path / 'pictures')
    (project / 'labeled-data' / 'clip' / truth.names[1]).unlink()
    check(tmp_path, capsys, (truth.names[1], '1 missing'), 'dlc', project)


def test_an_earlier_split_that_is_damaged(tmp_path: Path, capsys) -> None:
    file = write_csv(tmp_path / 'l.csv', make_truth(tmp_path, 1))
    assert convert('csv', file, '--out', tmp_path / 'o') == 0
    (tmp_path / 'o' / 'split.json').write_text('{"groups": {"a": "b"}}')
    check(tmp_path, capsys, ('split.json', 'earlier conversion'), 'csv',
          file, '--overwrite')
    (tmp_path / 'o' / 'split.json').unlink()
    check(tmp_path, capsys, ('nothing there', '--overwrite'), 'csv', file)


def test_folders_that_do_not_fit_the_files(tmp_path: Path, capsys) -> None:
    file = write_coco(tmp_path / 'l.json', make_truth(tmp_path, 1))
    check(tmp_path, capsys, ('--images-root', ), 'coco', file,
          '--images-root', tmp_path, tmp_path)
    check(tmp_path, capsys, ('a folder', 'nothing'), 'csv',
          write_csv(tmp_path / 'l.csv', make_truth(tmp_path, 1)),
          '--images-root', tmp_path / 'none')


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch) -> None:
    """An error while writing leaves the older folder as it was."""
    file = write_csv(tmp_path / 'l.csv', make_truth(tmp_path, 2))
    out = tmp_path / 'o'
    assert convert('csv', file, '--out', out) == 0
    before = {path: path.read_bytes() for path in out.rglob('*')
              if path.is_file()}

    def fail(*_: object) -> None:
        raise OSError('no space left')

    monkeypatch.setattr(shutil, 'copyfile', fail)
    with pytest.raises(OSError, match='no space'):
        convert('csv', file, '--out', out, '--overwrite')
    assert {path: path.read_bytes() for path in out.rglob('*')
            if path.is_file()} == before
    assert not list(tmp_path.glob('.o*'))


@pytest.mark.parametrize('words', [
    ['--split', '0.5,0.5'], ['--split', '1,1,1'], ['--split', 'x'],
    ['--group-by', 'clip'], ['--min-keypoints', '0'], ['--bbox-pad', '-1'],
    ['--area', 'mask'], ['--near-side', 'far']])
def test_wrong_options_are_exit_code_2(tmp_path: Path,
                                       words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        convert('csv', tmp_path / 'x.csv', '--out', tmp_path / 'o', *words)
    assert caught.value.code == 2
