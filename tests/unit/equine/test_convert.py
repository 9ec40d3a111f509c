from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from xtcocotools.coco import COCO

from mmpose_ext.equine.convert import CONVERTERS
from mmpose_ext.equine.horse26 import NAMES, SKELETON
from mmpose_ext.equine.transfer import AP10K_NAMES
from tests.unit.equine.label_files import (
    SIZE,
    WRITERS,
    Truth,
    convert,
    draw_picture,
    make_truth,
    part_of,
    read_labels,
    read_parts,
    write_coco,
    write_dlc,
)


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return make_truth(tmp_path / 'pictures')


def write(tmp_path: Path, truth: Truth, kind: str) -> tuple[str, Path]:
    name, file, writer = WRITERS[kind]
    return name, writer(tmp_path / 'pictures' / file, truth)


@pytest.mark.parametrize('kind', sorted(WRITERS))
def test_every_source_gives_the_same_labels(tmp_path: Path, truth: Truth,
                                            kind: str) -> None:
    source, file = write(tmp_path, truth, kind)
    out = tmp_path / 'new' / 'set'
    assert convert(source, file, '--out', out) == 0
    labels = read_labels(out)
    assert sorted(labels) == truth.names
    for i, name in enumerate(truth.names):
        [annotation] = labels[name]
        triples = np.array(annotation['keypoints']).reshape(26, 3)
        np.testing.assert_array_equal(triples[:, 2], truth.visibility[i])
        np.testing.assert_allclose(triples[:, :2], truth.points[i],
                                   atol=6e-4)
        assert annotation['num_keypoints'] == (truth.visibility[i] > 0).sum()
        # the box by its definition
        seen = truth.points[i][truth.visibility[i] > 0]
        pad = .1 * np.ptp(seen, 0).max()
        low = np.maximum(seen.min(0) - pad, 0)
        high = np.minimum(seen.max(0) + pad, SIZE)
        np.testing.assert_allclose(annotation['bbox'],
                                   [*low, *(high - low)], atol=2e-3)
        assert annotation['area'] == pytest.approx(
            .53 * np.prod(high - low), rel=1e-4)


def test_project_gives_the_same_labels(tmp_path: Path) -> None:
    truth = make_truth(tmp_path / 'pictures', occluded=False)
    project = write_dlc(tmp_path / 'project', truth, tmp_path / 'pictures')
    out = tmp_path / 'o'
    assert convert('dlc', project, '--out', out) == 0
    labels = read_labels(out)
    for i, name in enumerate(truth.names):
        triples = np.array(labels[f'clip_{name}'][0]['keypoints']).reshape(
            26, 3)
        np.testing.assert_array_equal(triples[:, 2], truth.visibility[i])
        np.testing.assert_allclose(triples[:, :2], truth.points[i])
    # frames of one clip stay together
    assert len(set(part_of(out).values())) == 1


def test_layout_is_the_documented_one(tmp_path: Path, truth: Truth,
                                      capsys) -> None:
    source, file = write(tmp_path, truth, 'coco')
    out = tmp_path / 'o'
    assert convert(source, file, '--out', out) == 0
    contents = read_parts(out)
    for part, content in contents.items():
        [category] = content['categories']
        assert (category['id'], category['name']) == (1, 'horse')
        assert category['keypoints'] == list(NAMES)
        assert category['skeleton'] == [[a + 1, b + 1] for a, b in SKELETON]
        for image in content['images']:
            pixels = cv2.imread(str(out / part / image['file_name']))
            assert pixels.shape[1::-1] == (image['width'], image['height'])
        COCO(out / 'annotations' / f'horse_{part}.json')
    for key in ('images', 'annotations'):
        ids = [each['id'] for content in contents.values()
               for each in content[key]]
        assert sorted(ids) == list(range(1, 4))
    assert (out / 'README.txt').read_text().strip() in capsys.readouterr().out
    assert cv2.imread(str(out / 'contact_sheet.png')).std() > 10
    record = json.loads((out / 'split.json').read_text())
    assert record['seed'] == 42 and sum(record['counts'].values()) == 3
    assert len(next(iter(record['inputs'].values()))) == 64


def test_conversion_is_the_same_to_the_byte(tmp_path: Path,
                                            truth: Truth) -> None:
    source, file = write(tmp_path, truth, 'coco')
    for name in 'ab':
        assert convert(source, file, '--out', tmp_path / name) == 0
    files = sorted(path.relative_to(tmp_path / 'a')
                   for path in (tmp_path / 'a').rglob('*') if path.is_file())
    assert len(files) == 9
    for path in files:
        assert (tmp_path / 'a' / path).read_bytes() == (
            tmp_path / 'b' / path).read_bytes()


def test_more_data_leave_the_old_where_they_are(tmp_path: Path) -> None:
    pictures = tmp_path / 'pictures'
    few = make_truth(pictures, 12)
    file = write_coco(pictures / 'few.json', few)
    out = tmp_path / 'few'
    assert convert('coco', file, '--out', out) == 0
    before = part_of(out)
    assert len(set(before.values())) == 3
    many = make_truth(pictures, 40)
    file = write_coco(pictures / 'many.json', many)
    assert convert('coco', file, '--out', tmp_path / 'many') == 0
    assert before.items() <= part_of(tmp_path / 'many').items()
    # and from the older split, even where it is not what would be drawn
    record = json.loads((out / 'split.json').read_text())
    for name, picture in record['pictures'].items():
        before[name] = picture['part'] = record['groups'][name] = {
            'train': 'val', 'val': 'test', 'test': 'train'}[before[name]]
    (out / 'split.json').write_text(json.dumps(record))
    assert convert('coco', file, '--out', out, '--overwrite') == 0
    assert before.items() <= part_of(out).items()
    assert len(part_of(out)) == 40


def test_seed_and_shares_decide_the_split(tmp_path: Path) -> None:
    truth = make_truth(tmp_path / 'pictures', 40)
    file = write_coco(tmp_path / 'pictures' / 'l.json', truth)
    found = []
    for i, words in enumerate(([], ['--seed', 1], ['--split', '0,1,0'])):
        assert convert('coco', file, '--out', tmp_path / str(i), *words) == 0
        found.append(part_of(tmp_path / str(i)))
    assert found[0] != found[1]
    assert set(found[2].values()) == {'val'}


def test_near_duplicates_stay_together(tmp_path: Path, capsys) -> None:
    pictures = tmp_path / 'pictures'
    truth = make_truth(pictures, 20)
    # each odd picture is a brighter, recompressed copy of the one before
    for even, odd in zip(truth.names[::2], truth.names[1::2], strict=True):
        image = cv2.imread(str(pictures / even))
        cv2.imwrite(str(pictures / odd),
                    cv2.convertScaleAbs(image, alpha=.9, beta=8))
    file = write_coco(pictures / 'l.json', truth)
    pairs = list(zip(truth.names[::2], truth.names[1::2], strict=True))
    assert convert('coco', file, '--out', tmp_path / 'o') == 0
    parts = part_of(tmp_path / 'o')
    assert all(parts[a] == parts[b] for a, b in pairs)
    assert '10 pictures are near-duplicates' in capsys.readouterr().out
    assert convert('coco', file, '--out', tmp_path / 'p',
                   '--no-near-duplicates') == 0
    parts = part_of(tmp_path / 'p')
    assert any(parts[a] != parts[b] for a, b in pairs)


def test_other_names_are_mapped_and_the_rest_listed(tmp_path: Path,
                                                    capsys) -> None:
    pictures = tmp_path / 'pictures'
    truth = make_truth(pictures, 1)
    truth.points = truth.points[:, :17] + 1
    truth.visibility = np.full((1, 17), 2)
    file = write_coco(pictures / 'l.json', truth, AP10K_NAMES)
    assert convert('coco', file, '--out', tmp_path / 'o') == 0
    [annotation] = read_labels(tmp_path / 'o')[truth.names[0]]
    triples = np.array(annotation['keypoints']).reshape(26, 3)
    hock = triples[NAMES.index('l_hock')]
    np.testing.assert_allclose(
        hock[:2], truth.points[0, AP10K_NAMES.index('L_Knee')])
    assert triples[NAMES.index('l_knee'), 2] == 0
    assert annotation['num_keypoints'] == 15
    assert 'left out: L_Shoulder, R_Shoulder' in capsys.readouterr().out


def test_files_are_merged(tmp_path: Path) -> None:
    one = make_truth(tmp_path / 'a', 2)
    other = make_truth(tmp_path / 'b', 2)
    for i, name in enumerate(other.names):
        draw_picture(tmp_path / 'b' / name, 500 + i)
    first = write_coco(tmp_path / 'a' / 'l.json', one)
    second = write_coco(tmp_path / 'b' / 'l.json', other)
    assert convert('coco', first, '--also', second, '--out',
                   tmp_path / 'o') == 0
    # four pictures of two names: none replaces another
    assert len(part_of(tmp_path / 'o')) == 4
    assert all((tmp_path / 'o' / part / name).is_file()
               for name, part in part_of(tmp_path / 'o').items())


def test_copies_with_the_same_labels_count_once(tmp_path: Path,
                                                truth: Truth, capsys) -> None:
    file = write_coco(tmp_path / 'pictures' / 'l.json', truth)
    assert convert('coco', file, '--also', file, '--out', tmp_path / 'o') == 0
    assert len(part_of(tmp_path / 'o')) == 3
    assert '3 copies of a picture' in capsys.readouterr().out


def test_other_species_and_crowds_are_left_out(tmp_path: Path, truth: Truth,
                                               capsys) -> None:
    file = write_coco(tmp_path / 'pictures' / 'l.json', truth)
    content = json.loads(file.read_text())
    content['categories'].append(
        dict(id=8, name='Zebra', keypoints=list(NAMES)))
    content['annotations'][1]['category_id'] = 8
    content['annotations'][2]['iscrowd'] = 1
    file.write_text(json.dumps(content))
    assert convert('coco', file, '--out', tmp_path / 'o') == 0
    assert list(read_labels(tmp_path / 'o')) == truth.names[:1]
    assert '1 annotations of other categories, 1 crowds' in (
        capsys.readouterr().out)
    assert convert('coco', file, '--out', tmp_path / 'z', '--category',
                   'zebra') == 0
    assert list(read_labels(tmp_path / 'z')) == truth.names[1:2]


def test_box_of_the_source_is_kept_and_clipped(tmp_path: Path,
                                               truth: Truth) -> None:
    file = write_coco(tmp_path / 'pictures' / 'l.json', truth)
    content = json.loads(file.read_text())
    content['annotations'][0]['bbox'] = [-20, 10, 400, 50]
    file.write_text(json.dumps(content))
    assert convert('coco', file, '--out', tmp_path / 'o', '--area',
                   'bbox') == 0
    [annotation] = read_labels(tmp_path / 'o')[truth.names[0]]
    assert annotation['bbox'] == [0, 10, 160, 50]
    assert annotation['area'] == 160 * 50


@pytest.mark.parametrize('orientation, turn', [
    (6, cv2.ROTATE_90_CLOCKWISE), (8, cv2.ROTATE_90_COUNTERCLOCKWISE)])
@pytest.mark.parametrize('stored', [False, True])
def test_labels_are_on_the_picture_as_it_is_loaded(
        tmp_path: Path, orientation: int, turn: int, stored: bool) -> None:
    """Placed on the upright or on the stored pixels of a turned picture."""
    pictures = tmp_path / 'pictures'
    truth = make_truth(pictures, 1)
    dots = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    spots = np.array([[20, 15], [140, 30], [60, 100], [33, 44], [90, 70],
                      [120, 90]])
    for x, y in spots:
        cv2.circle(dots, (int(x), int(y)), 3, (255, 255, 255), -1)
    truth.names = ['x.jpg']
    truth.points[0], truth.visibility[0] = 0, 0
    truth.points[0, :6], truth.visibility[0, :6] = spots, 2
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(dots).save(pictures / 'x.jpg', quality=95, exif=exif)
    shown = cv2.rotate(dots, turn)
    if not stored:  # the same spots where the turned picture shows them
        x, y = spots.T
        truth.points[0, :6] = np.stack(
            [SIZE[1] - 1 - y, x] if orientation == 6 else
            [y, SIZE[0] - 1 - x], -1)
    file = write_coco(pictures / 'l.json', truth)
    if not stored:
        file.write_text(file.read_text().replace(
            '"width": 160, "height": 120', '"width": 120, "height": 160'))
    assert convert('coco', file, '--out', tmp_path / 'o') == 0
    [(name, [annotation])] = read_labels(tmp_path / 'o').items()
    part = part_of(tmp_path / 'o')[name]
    loaded = cv2.imread(str(tmp_path / 'o' / part / name))
    assert loaded.shape == shown.shape
    for x, y, _ in np.array(annotation['keypoints']).reshape(26, 3)[:6]:
        assert loaded[int(y), int(x)].min() > 200


def test_labels_of_another_size_are_scaled(tmp_path: Path,
                                           truth: Truth) -> None:
    source, file = write(tmp_path, truth, 'label studio')
    draw_picture(tmp_path / 'pictures' / truth.names[0], 1, (320, 240))
    assert convert(source, file, '--out', tmp_path / 'o') == 0
    [annotation] = read_labels(tmp_path / 'o')[truth.names[0]]
    np.testing.assert_allclose(
        np.array(annotation['keypoints']).reshape(26, 3)[:, :2],
        np.where(truth.visibility[0, :, None] > 0,
                 2 * truth.points[0] + .5, 0), atol=1e-3)


@pytest.mark.parametrize('way', ['copy', 'symlink', 'none'])
def test_pictures_come_as_asked(tmp_path: Path, truth: Truth,
                                way: str) -> None:
    source, file = write(tmp_path, truth, 'csv')
    assert convert(source, file, '--out', tmp_path / 'o', '--images',
                   way) == 0
    for name, part in part_of(tmp_path / 'o').items():
        path = tmp_path / 'o' / part / name
        assert path.is_symlink() == (way == 'symlink')
        assert Path(path).is_relative_to(tmp_path / 'pictures') == (
            way == 'none')
        assert cv2.imread(str(path)) is not None


def test_horses_with_few_points_are_left_out(tmp_path: Path, truth: Truth,
                                             capsys) -> None:
    truth.visibility[0, 4:] = 0
    source, file = write(tmp_path, truth, 'cvat')
    assert convert(source, file, '--out', tmp_path / 'o') == 0
    assert truth.names[0] not in part_of(tmp_path / 'o')
    assert '1 horses with fewer than 5 points' in capsys.readouterr().out
    assert convert(source, file, '--out', tmp_path / 'p', '--min-keypoints',
                   4) == 0
    assert truth.names[0] in part_of(tmp_path / 'p')


def test_published_horses_become_left_and_right(real_data: Path,
                                                tmp_path: Path) -> None:
    file = real_data / 'horse10' / 'test_horse10.json'
    assert convert('coco', file, '--out', tmp_path / 'o') == 0
    labels = read_labels(tmp_path / 'o')
    assert sorted(labels) == ['0244.png', '0292.png', '0465.png']
    source = {annotation['image_id']: annotation for annotation in
              json.loads(file.read_text())['annotations']}
    names = json.loads(file.read_text())['categories'][0]['keypoints']
    for ours, theirs in (('lf_hoof', 'Nearfrontfoot'), ('r_eye', 'Eye'),
                         ('rh_fetlock', 'Offhindfetlock'), ('r_hip', 'Hip')):
        triples = np.array(labels['0244.png'][0]['keypoints']).reshape(26, 3)
        given = np.array(source[100]['keypoints']).reshape(22, 3)
        np.testing.assert_allclose(triples[NAMES.index(ours)],
                                   given[names.index(theirs)], atol=1e-3)
    assert convert('coco', file, '--out', tmp_path / 'u', '--near-side',
                   'unknown') == 0
    # left are nose and withers, and eye, elbow and hip of the side in view
    [annotation] = read_labels(tmp_path / 'u')['0244.png']
    assert annotation['num_keypoints'] == 5


@pytest.mark.parametrize('words', [
    ('--seed', 1), ('--split', '.6,.2,.2'), ('--group-by', 'prefix')])
def test_an_older_split_does_not_override_other_settings(
        tmp_path: Path, truth: Truth, capsys, words: tuple) -> None:
    source, file = write(tmp_path, truth, 'csv')
    command = (source, file, '--out', tmp_path / 'o', '--overwrite')
    assert convert(*command) == 0
    old = (tmp_path / 'o' / 'split.json').read_bytes()
    capsys.readouterr()
    assert convert(*command, *words) == 1
    error = capsys.readouterr().err
    key = words[0][2:].replace('-', '_')
    assert f'made with {key}={json.loads(old)[key]} (remove it' in error
    assert (tmp_path / 'o' / 'split.json').read_bytes() == old
    (tmp_path / 'o' / 'split.json').unlink()
    assert convert(*command, *words) == 0


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob('*')
            if path.is_file()}


@pytest.mark.parametrize('out', ['pictures', '.'])
def test_the_folder_of_the_input_is_not_replaced(
        tmp_path: Path, truth: Truth, capsys, out: str) -> None:
    source, file = write(tmp_path, truth, 'csv')
    before = everything(tmp_path)
    assert convert(source, file, '--out', tmp_path / out, '--overwrite',
                   '--images', 'symlink') == 1
    assert 'which is read' in capsys.readouterr().err
    assert everything(tmp_path) == before


def test_no_other_source_is_replaced(tmp_path: Path, truth: Truth) -> None:
    """Another file of labels, the pictures, and a project."""
    inside, outside = tmp_path / 'pictures', tmp_path / 'labels'
    outside.mkdir()
    far = write_coco(outside / 'far.json', truth)
    near = write_coco(inside / 'near.json', truth)
    linked = tmp_path / 'linked'
    linked.mkdir()
    for name in truth.names:
        (linked / name).symlink_to(inside / name)
    project = write_dlc(tmp_path / 'project', truth, inside)
    before = everything(tmp_path)
    for words in (
            ('coco', far, '--images-root', inside),
            ('coco', far, '--images-root', linked),
            ('coco', far, '--also', near, '--images-root', linked, linked),
            ('dlc', project, '--out', project),
            ('dlc', project, '--out', project / 'labeled-data')):
        out = () if '--out' in words else ('--out', inside)
        assert convert(*words, *out, '--overwrite') == 1
    assert everything(tmp_path) == before


def test_a_data_set_is_made_again_from_an_input_outside(
        tmp_path: Path, truth: Truth) -> None:
    source, file = write(tmp_path, truth, 'csv')
    out = tmp_path / 'pictures' / 'o'
    words = (source, file, '--out', out, '--overwrite', '--images', 'symlink')
    assert convert(*words) == 0
    first = part_of(out)
    assert convert(*words) == 0
    assert part_of(out) == first and (out / 'train').is_dir()


def test_help_tells_which_table_of_a_project_is_read() -> None:
    assert '.csv is read, not the .h5' in CONVERTERS['dlc'].help
