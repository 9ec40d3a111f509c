"""Damaged annotation files and pictures: one clear line and exit code each."""
from __future__ import annotations

import copy
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from PIL import Image

from mmpose_ext.commands import run_verify
from mmpose_ext.equine.checks_annotations import (
    check_annotations,
    read_annotations,
)
from mmpose_ext.equine.horse26 import METAINFO_FILE, NAMES, SKELETON
from mmpose_ext.storage import DataError
from tests.unit.equine.labelled_horses import coco_content, write_split

Content = dict[str, Any]


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('sound')
    write_split(folder, 'train', count=6)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / 'horse'))


def verify(path: Path, capsys: pytest.CaptureFixture[str],
           *words: str) -> tuple[int, list[dict], list[dict]]:
    """Exit code, errors and warnings."""
    code = run_verify('', ['--ann-file', str(path), '--json', *words])
    found = json.loads(capsys.readouterr().out)
    return code, found['problems'], found['warnings']


def put(*keys: Any) -> Callable[[Content], None]:
    """Set an entry of the file: ``put('images', 0, 'width', 3)``."""
    *path, last, value = keys

    def change(content: Content) -> None:
        place: Any = content
        for key in path:
            place = place[key]
        place[last] = value

    return change


def drop(*keys: Any) -> Callable[[Content], None]:
    *path, last = keys

    def change(content: Content) -> None:
        place: Any = content
        for key in path:
            place = place[key]
        del place[last]

    return change


def annotation(key: str, value: Any) -> Callable[[Content], None]:
    return put('annotations', 2, key, value)


def point(position: int, value: Any) -> Callable[[Content], None]:
    return put('annotations', 2, 'keypoints', position, value)


def all_annotations(change: Callable[[dict], None]
                    ) -> Callable[[Content], None]:
    def apply(content: Content) -> None:
        for entry in content['annotations']:
            change(entry)

    return apply


def to_17_points(content: Content) -> None:
    content['categories'][0]['keypoints'] = [
        'L_Eye', 'R_Eye', 'Nose', 'Neck', 'Root of tail', 'L_Shoulder',
        'L_Elbow', 'L_F_Paw', 'R_Shoulder', 'R_Elbow', 'R_F_Paw', 'L_Hip',
        'L_Knee', 'L_B_Paw', 'R_Hip', 'R_Knee', 'R_B_Paw']
    content['categories'][0]['skeleton'] = [[1, 2]]
    for entry in content['annotations']:
        entry['keypoints'] = entry['keypoints'][:51]
        entry['num_keypoints'] = sum(v > 0 for v in entry['keypoints'][2::3])


def reorder(content: Content) -> None:
    names = content['categories'][0]['keypoints']
    names[1], names[2] = names[2], names[1]


def no_annotations(content: Content) -> None:
    content['annotations'] = []


def nested(entry: dict) -> None:
    values = entry['keypoints']
    entry['keypoints'] = [values[i:i + 3] for i in range(0, 78, 3)]


# name: (what happens to a sound file, field of the error, in the line)
ERRORS: dict[str, tuple[Callable[[Content], Any], str, str]] = {
    'no images': (drop('images'), "key 'images'", 'images'),
    'no list of annotations': (drop('annotations'), "key 'annotations'", ''),
    'misspelt key': (lambda c: c.update(categorys=c.pop('categories')),
                     "key 'categories'", "'categorys' looks like"),
    'images in an object': (put('images', {}), "key 'images'", 'a dict'),
    'null annotations': (put('annotations', None), "key 'annotations'",
                         'NoneType'),
    'nothing annotated': (no_annotations, 'annotations', 'none'),
    'category missing': (put('categories', []), 'categories', 'none'),
    'no names': (drop('categories', 0, 'keypoints'), 'keypoints', 'nothing'),
    'names of another type': (put('categories', 0, 'keypoints', [1, 2]),
                              'keypoints', '[1, 2]'),
    '17 points for a head of 26': (to_17_points, 'keypoints',
                                   'tools/convert_dataset.py'),
    'names in another order': (reorder, 'keypoints',
                               "'r_eye' where 'l_eye' belongs"),
    'one name unknown': (put('categories', 0, 'keypoints', 9, 'tail_tip'),
                         'keypoints', 'tail_end not among them'),
    'too few numbers': (lambda c: c['annotations'][2]['keypoints'].pop(),
                        'keypoints', '77'),
    'too few, 4 times': (all_annotations(
        lambda entry: entry['keypoints'].pop()), 'keypoints', '6 in all'),
    'no keypoints': (drop('annotations', 2, 'keypoints'), 'keypoints',
                     'nothing'),
    'keypoints as text': (annotation('keypoints', 'nose'), 'keypoints',
                          "'nose'"),
    'nested keypoints': (all_annotations(nested), 'keypoints',
                         'lists in a list'),
    'a number as text': (point(3, '12'), 'keypoints', "'12' for x of l_eye"),
    'a null': (point(4, None), 'keypoints', 'nothing for y of l_eye'),
    'a boolean': (point(5, True), 'keypoints', 'True for v of l_eye'),
    'NaN': (point(0, float('nan')), 'keypoints', 'nan for x of nose'),
    'infinity': (point(1, float('inf')), 'keypoints', 'inf for y of nose'),
    'huge number': (point(0, 1e300), 'keypoints', '1e+300'),
    'huge whole number': (point(0, 10**400), 'keypoints', 'digits'),
    'visibility 3': (point(2, 3), 'keypoints', '3 for nose'),
    'visibility as score': (point(2, .87), 'keypoints', 'is a score'),
    'visibility below 0': (point(2, -1), 'keypoints', '-1 for nose'),
    'wrong num_keypoints': (annotation('num_keypoints', 3), 'num_keypoints',
                            '3 where'),
    'num_keypoints as text': (annotation('num_keypoints', '26'),
                              'num_keypoints', "'26'"),
    'box of no width': (put('annotations', 2, 'bbox', 2, 0), 'bbox',
                        'above 0'),
    'box of negative height': (put('annotations', 2, 'bbox', 3, -5), 'bbox',
                               '-5'),
    'box off the image': (annotation('bbox', [400, 10, 50, 50]), 'bbox',
                          '320x240'),
    'box of three numbers': (annotation('bbox', [1, 2, 3]), 'bbox', '3'),
    'no box': (drop('annotations', 2, 'bbox'), 'bbox', 'nothing'),
    'box with NaN': (put('annotations', 2, 'bbox', 0, float('nan')), 'bbox',
                     'nan for x'),
    'area 0': (annotation('area', 0), 'area', 'above 0'),
    'area NaN': (annotation('area', float('nan')), 'area', 'nan'),
    'area as text': (annotation('area', 'large'), 'area', "'large'"),
    'unknown image': (annotation('image_id', 99), 'image_id', '99'),
    'image_id as text': (annotation('image_id', '3'), 'image_id', "'3'"),
    'image_id as list': (annotation('image_id', [3]), 'image_id', '[3]'),
    'unknown category': (annotation('category_id', 2), 'category_id', '2'),
    'annotation id twice': (annotation('id', 1), 'id', 'used before'),
    'annotation id as text': (annotation('id', 'a'), 'id', "'a'"),
    'annotation as list': (put('annotations', 2, []), 'id', '[]'),
    'crowd as text': (annotation('iscrowd', 'no'), 'iscrowd', "'no'"),
    'width as text': (put('images', 2, 'width', '320'), 'width', "'320'"),
    'height 0': (put('images', 2, 'height', 0), 'height', '0'),
    'huge width': (put('images', 2, 'width', 10**30), 'width', 'digits'),
    'no height': (drop('images', 2, 'height'), 'height', 'nothing'),
    'no file name': (drop('images', 2, 'file_name'), 'file_name', 'nothing'),
    'file name a number': (put('images', 2, 'file_name', 7), 'file_name',
                           '7'),
    'file name of no letters': (put('images', 2, 'file_name', '\ud800.jpg'),
                                'file_name', 'ud800'),
    'size of another picture': (put('images', 2, 'width', 640),
                                'width and height', '320x240'),
    'missing picture': (put('images', 2, 'file_name', 'gone.jpg'),
                        'image file', 'no such file'),
    'missing picture with accents': (
        put('images', 2, 'file_name', 'čeština ü.jpg'), 'image file',
        'čeština'),
    'absolute path of nothing': (
        put('images', 2, 'file_name', '/nowhere/a.jpg'), 'image file',
        '/nowhere/a.jpg'),
}


@pytest.mark.parametrize('name', ERRORS)
def test_damaged_annotations_are_one_error(folder: Path, capsys,
                                           name: str) -> None:
    damage, field, text = ERRORS[name]
    path = folder / 'annotations' / 'horse_train.json'
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    before = sorted(folder.rglob('*'))
    assert run_verify('', ['--ann-file', str(path)]) == 1
    line, = [line for line in capsys.readouterr().out.splitlines()
             if line.startswith('error: ')]
    assert line.startswith(f'error: {path}: ')
    assert f'{field}: expected ' in line and text in line
    assert sorted(folder.rglob('*')) == before


PICTURES = ('size of another picture', 'missing picture',
            'missing picture with accents', 'absolute path of nothing')


@pytest.mark.parametrize('name', [name for name in ERRORS
                                  if name not in PICTURES])
def test_training_is_refused_for_the_same(tmp_path: Path, name: str) -> None:
    damage, field, _ = ERRORS[name]
    content = copy.deepcopy(coco_content(6))
    damage(content)
    metainfo = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
    with pytest.raises(DataError) as caught:
        check_annotations(tmp_path / 'a.json', content, metainfo)
    assert caught.value.where.endswith(field)
    assert str(caught.value).count('\n') == 0


def test_a_huge_whole_number_gives_no_traceback_in_training(
        tmp_path: Path) -> None:
    content = coco_content(3)
    content['annotations'][0]['bbox'][0] = 10**400
    metainfo = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
    with pytest.raises(DataError, match='more than 20 digits'):
        check_annotations(tmp_path / 'a.json', content, metainfo)


# --- the JSON file as such ------------------------------------------------


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


# name: (what happens to a sound file, where of the error)
FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    'broken JSON': (lambda p: p.write_text(p.read_text()[:-100]), 'file'),
    'no bytes': (lambda p: p.write_bytes(b''), 'file'),
    'missing': (lambda p: p.unlink(), 'file'),
    'a folder': (_as_folder, 'file'),
    'not text': (lambda p: p.write_bytes(b'\xff\xfe\x00\x01' * 9), 'file'),
    'a mark before the text': (
        lambda p: p.write_bytes(b'\xef\xbb\xbf' + p.read_bytes()), 'file'),
    'Latin letters': (lambda p: p.write_bytes(
        p.read_text().replace('horse_001', 'pferd_ü').encode('latin-1')),
        'file'),
    'endless nesting': (lambda p: p.write_text('[' * 100_000), 'file'),
}


@pytest.mark.parametrize('name', FILES)
def test_damaged_file_is_one_error(folder: Path, capsys, name: str) -> None:
    damage, where = FILES[name]
    path = folder / 'annotations' / 'horse_train.json'
    damage(path)
    code = run_verify('', ['--ann-file', str(path)])
    out = ''.join(capsys.readouterr())
    lines = [line for line in out.splitlines() if 'error: ' in line]
    assert code == 1
    assert len(lines) == 1 and f'{path}: {where}: ' in lines[0]
    with pytest.raises(DataError):
        read_annotations(path)


def test_a_list_is_no_data_of_any_family(tmp_path: Path, capsys) -> None:
    (tmp_path / 'a.json').write_text('[]')
    assert run_verify('', ['--ann-file', str(tmp_path / 'a.json')]) == 1
    assert 'another format' in capsys.readouterr().err
    assert run_verify('', ['--ann-file', str(tmp_path / 'a.json'),
                           '--family', 'equine']) == 1
    assert 'a JSON object' in capsys.readouterr().out


# --- pictures -------------------------------------------------------------

PICTURE = 'horse_003.jpg'


def _as_pillow(change: Callable[[Image.Image], Image.Image],
               kind: str = 'JPEG', **options: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        image = change(Image.open(io.BytesIO(path.read_bytes())))
        image.save(path, kind, **options)

    return damage


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif.tobytes()


def _deep_picture(factor: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        image = cv2.imread(str(path)).astype(np.float64) * factor
        path.write_bytes(cv2.imencode('.png', image.astype(np.uint16))[1])

    return damage


# name: (what happens to a sound picture, field, in the line, is an error)
PIXELS: dict[str, tuple[Callable[[Path], Any], str, str, bool]] = {
    'truncated JPEG': (lambda p: p.write_bytes(p.read_bytes()[:-900]),
                       'image file', 'truncated', True),
    'JPEG without its end': (lambda p: p.write_bytes(p.read_bytes()[:-2]),
                             'image file', 'truncated', True),
    'no bytes': (lambda p: p.write_bytes(b''), 'image file', 'empty', True),
    'text': (lambda p: p.write_text('a horse'), 'image file', 'no picture',
             True),
    'folder': (_as_folder, 'image file', 'a folder', True),
    'missing': (lambda p: p.unlink(), 'image file', 'no such file', True),
    'EXIF turned': (_as_pillow(lambda i: i.transpose(
        Image.Transpose.ROTATE_90).crop((0, 0, 240, 320)), exif=_exif(6)),
        '', '', True),
    'EXIF turned, labels not': (_as_pillow(lambda i: i, exif=_exif(6)),
                                'EXIF orientation', 'turned by 90', True),
    'EXIF upside down': (_as_pillow(lambda i: i, exif=_exif(3)),
                         'EXIF orientation', '180', False),
    'EXIF upright': (_as_pillow(lambda i: i, exif=_exif(1)), '', '', True),
    'grey': (_as_pillow(lambda i: i.convert('L')), '', '', True),
    'palette': (_as_pillow(lambda i: i.convert('P'), 'PNG'), '', '', True),
    'transparent': (_as_pillow(lambda i: i.convert('RGBA'), 'PNG'), '', '',
                    True),
    'CMYK': (_as_pillow(lambda i: i.convert('CMYK')), 'colours', 'CMYK',
             False),
    '12 bits in 16': (_deep_picture(16), 'depth', 'levels are left', True),
    '16 bits': (_deep_picture(257), 'depth', 'upper 8 bits', False),
    'one brightness': (lambda p: cv2.imwrite(
        str(p), np.full((240, 320, 3), 90, np.uint8)), 'image file',
        'one brightness', False),
    'another size': (lambda p: cv2.imwrite(
        str(p), cv2.resize(cv2.imread(str(p)), (640, 480))),
        'width and height', 'the file has 640x480', True),
}


@pytest.mark.parametrize('name', PIXELS)
def test_damaged_picture_is_one_line(folder: Path, capsys, name: str) -> None:
    damage, field, text, is_error = PIXELS[name]
    damage(folder / 'train' / PICTURE)
    path = folder / 'annotations' / 'horse_train.json'
    code, errors, warnings = verify(path, capsys)
    found = errors if is_error else warnings
    if not field:
        assert (code, errors, warnings) == (0, [], [])
        return
    assert [item['field'] for item in found] == [field]
    assert PICTURE in found[0]['where']
    assert text in found[0]['found'] + found[0]['hint']
    assert not (warnings if is_error else errors)
    assert code == int(is_error)


@pytest.mark.parametrize(('name', 'line'), [
    ('grey', '1 grey: the loader repeats the channel'),
    ('transparent', '1 with transparency, which the loader drops'),
    ('EXIF turned', '1 turned by the loader after their EXIF tag'),
])
def test_what_the_loader_makes_of_it_is_said(folder: Path, capsys, name: str,
                                             line: str) -> None:
    PIXELS[name][0](folder / 'train' / PICTURE)
    path = folder / 'annotations' / 'horse_train.json'
    assert run_verify('', ['--ann-file', str(path)]) == 0
    assert f'  {line}' in capsys.readouterr().out.splitlines()


def test_no_picture_found_asks_for_the_folder(folder: Path, capsys) -> None:
    shutil.move(folder / 'train', folder / 'elsewhere')
    path = folder / 'annotations' / 'horse_train.json'
    code, errors, _ = verify(path, capsys)
    assert code == 1 and '--images' in errors[0]['hint']
    assert errors[0]['count'] == 6
    assert verify(path, capsys, '--images', str(folder / 'elsewhere')
                  )[:2] == (0, [])


# --- warnings -------------------------------------------------------------


def zero_based(content: Content) -> None:
    content['categories'][0]['skeleton'] = [list(link) for link in SKELETON]


def never_visible(entry: dict) -> None:
    entry['keypoints'][3 * NAMES.index('lf_hoof') + 2] = 1


# name: (what happens to a sound file, field of the warning, in the line)
WARNINGS: dict[str, tuple[Callable[[Content], Any], str, str]] = {
    'skeleton counted from 0': (zero_based, 'skeleton', 'counted from 0'),
    'no skeleton': (put('categories', 0, 'skeleton', []), 'skeleton', '[]'),
    'skeleton of text': (put('categories', 0, 'skeleton', [['a', 'b']]),
                         'skeleton', "'a'"),
    'skeleton beyond the points': (
        put('categories', 0, 'skeleton', [[1, 27]]), 'skeleton', '1 to 27'),
    'point at the origin': (lambda c: c['annotations'][2]['keypoints']
                            .__setitem__(slice(0, 3), [0, 0, 2]),
                            'keypoints', 'nose at (0, 0)'),
    'point off the image': (point(0, -30), 'keypoints', 'nose at (-30'),
    'point off the box': (
        lambda c: c['annotations'][2]['bbox'].__setitem__(
            slice(2, 4), [25, 25]), 'keypoints', 'enlarged by 25 %'),
    'box leaving the image': (
        lambda c: c['annotations'][2].update(bbox=[1, 1, 400, 230]), 'bbox',
        '320x240'),
    'small area': (annotation('area', 900), 'area', '900'),
    'no area': (drop('annotations', 2, 'area'), 'area', '0.53'),
    'no iscrowd': (drop('annotations', 2, 'iscrowd'), 'iscrowd', 'COCO'),
    'no num_keypoints': (drop('annotations', 2, 'num_keypoints'),
                         'num_keypoints', 'guesses'),
    'bare image': (lambda c: c['annotations'].pop(), 'annotations',
                   'horse_006.jpg'),
    'few points': (lambda c: c['annotations'][2].update(
        keypoints=c['annotations'][2]['keypoints'][:9] + [0] * 69,
        num_keypoints=sum(v > 0 for v in
                          c['annotations'][2]['keypoints'][2:9:3])),
        'num_keypoints', 'at least 10'),
    'point never visible': (all_annotations(never_visible), 'keypoints',
                            'lf_hoof never visible'),
}


@pytest.mark.parametrize('name', WARNINGS)
def test_odd_annotations_are_one_warning(folder: Path, capsys,
                                         name: str) -> None:
    damage, field, text = WARNINGS[name]
    path = folder / 'annotations' / 'horse_train.json'
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    assert run_verify('', ['--ann-file', str(path)]) == 0
    out = capsys.readouterr().out.splitlines()
    line, = [line for line in out if line.startswith('warning: ')]
    assert f'{field}: expected ' in line and text in line
    assert out[-1].startswith('no errors, ')


def test_absolute_path_elsewhere_is_a_warning(folder: Path, capsys) -> None:
    path = folder / 'annotations' / 'horse_train.json'
    content = json.loads(path.read_text())
    outside = folder.parent / 'outside.jpg'
    shutil.move(folder / 'train' / PICTURE, outside)
    content['images'][2]['file_name'] = str(outside)
    path.write_text(json.dumps(content))
    code, errors, warnings = verify(path, capsys)
    assert (code, errors) == (0, [])
    assert [item['field'] for item in warnings] == ['file_name']
    assert 'below the folder' in warnings[0]['expected']


def test_same_file_labelled_twice_is_a_warning(folder: Path, capsys) -> None:
    path = folder / 'annotations' / 'horse_train.json'
    content = json.loads(path.read_text())
    content['images'][2]['file_name'] = content['images'][1]['file_name']
    path.write_text(json.dumps(content))
    code, errors, warnings = verify(path, capsys)
    assert (code, errors) == (0, [])
    assert 'file_name' in [item['field'] for item in warnings]


def test_ids_of_several_faults_stay_apart(folder: Path, capsys) -> None:
    path = folder / 'annotations' / 'horse_train.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'][2] = 0
    content['annotations'][1]['keypoints'].pop()
    content['annotations'][3]['num_keypoints'] = 1
    path.write_text(json.dumps(content))
    _, errors, _ = verify(path, capsys)
    assert {error['field']: error['where'].split(' (')[0] for error in errors
            } == {'bbox': 'annotation 1', 'keypoints': 'annotation 2',
                  'num_keypoints': 'annotation 4'}
