"""What can be looked at, in which order, and where the horses are."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmpose_ext.equine.box_files import BoxFile
from mmpose_ext.equine.sources import open_source, read_image
from mmpose_ext.storage import DataError, VideoWriter
from tests.unit.equine.trained_files import picture, write_coco, write_folder


def test_a_folder_is_read_with_its_subfolders_and_any_case(
        tmp_path: Path) -> None:
    source = open_source(write_folder(tmp_path / 'in'))
    seen = list(source)
    assert [one.name for one, _ in seen] == ['B1.PNG', 'a0.png', 'deep/c2.jpg']
    assert len(source) == 3
    for one, image in seen:
        np.testing.assert_array_equal(
            one.boxes, [[0, 0, image.shape[1], image.shape[0]]])
    np.testing.assert_array_equal(seen[1][1], picture(0))


def test_frames_of_a_video_are_pictures(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 10, (120, 90)) as video:
        for _ in range(4):
            video.write(picture(0))
    source = open_source(tmp_path / 'v.mp4')
    assert [(one.frame, one.image_id) for one, _ in source] == [
        (0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_coco_file_gives_boxes_truth_and_its_own_ids(
        tmp_path: Path) -> None:
    source = open_source(write_coco(tmp_path / 'coco'))
    pictures = [one for one, _ in source]
    assert [one.image_id for one in pictures] == [10, 11, 12]
    np.testing.assert_array_equal(pictures[1].boxes, [[11, 12, 91, 72]])
    assert pictures[2].boxes.shape == (2, 4)
    truth = pictures[0].truth
    np.testing.assert_allclose(truth[0, 0], (10, 12))
    assert np.isnan(truth[0, 25]).all() and np.isfinite(truth[0, :25]).all()


def test_the_config_tells_where_the_pictures_of_its_coco_file_lie(
        tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'stable')
    moved = tmp_path / 'horses.json'
    path.rename(moved)
    with pytest.raises(DataError, match='image'):
        open_source(moved)
    dataset = dict(data_root=str(tmp_path), ann_file='horses.json',
                   data_prefix=dict(img='stable'))
    config = Config(dict(val_dataloader=dict(dataset=dataset)))
    assert len(open_source(moved, config)) == 3
    assert len(open_source(moved, image_root=tmp_path / 'stable')) == 3


def test_other_points_in_a_coco_file_are_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco')
    path.write_text(path.read_text().replace('"withers"', '"shoulder"'))
    with pytest.raises(DataError, match='withers'):
        open_source(path)


def test_a_picture_is_turned_as_its_exif_tag_says(tmp_path: Path) -> None:
    image = Image.fromarray(picture(0))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / 'a.jpg', exif=exif)
    assert read_image(tmp_path / 'a.jpg').shape == (120, 90, 3)


def test_damaged_pictures_stop_or_are_counted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    (folder / 'B1.PNG').write_bytes(b'\x89PNG nothing')
    with pytest.raises(DataError, match='B1.PNG'):
        list(open_source(folder))
    source = open_source(folder, skip_unreadable=True)
    assert [one.name for one, _ in source] == ['a0.png', 'deep/c2.jpg']
    assert source.skipped == [folder / 'B1.PNG']


@pytest.mark.parametrize('name', ['nothing.png', 'a.txt', 'empty'])
def test_no_input_is_one_error(tmp_path: Path, name: str) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'a.txt').write_text('a')
    with pytest.raises(DataError):
        open_source(tmp_path / name)


def test_box_files_of_both_formats_say_the_same(tmp_path: Path) -> None:
    rows = [dict(image='deep/c2.jpg', bbox=[5, 6, 40, 30], score=.5),
            dict(image='B1.PNG', bbox=[1, 2, 30, 20]),
            dict(image='B1.PNG', bbox=[3, 4, 30, 20])]
    (tmp_path / 'b.json').write_text(json.dumps(rows))
    (tmp_path / 'b.csv').write_text(
        'image,x,y,w,h,score\ndeep/c2.jpg,5,6,40,30,.5\n'
        'B1.PNG,1,2,30,20,\nB1.PNG,3,4,30,20,1\n')
    folder = write_folder(tmp_path / 'in')
    for name in ('b.json', 'b.csv'):
        found = {one.name: one for one, _ in open_source(
            folder, box_file=tmp_path / name)}
        np.testing.assert_array_equal(
            found['B1.PNG'].boxes, [[1, 2, 31, 22], [3, 4, 33, 24]])
        np.testing.assert_array_equal(found['deep/c2.jpg'].boxes,
                                      [[5, 6, 45, 36]])
        np.testing.assert_array_equal(found['deep/c2.jpg'].box_scores, [.5])
        assert found['a0.png'].boxes.shape == (0, 4)


def test_coco_detections_are_a_box_file(tmp_path: Path) -> None:
    (tmp_path / 'b.json').write_text(json.dumps([
        dict(image_id=11, category_id=1, bbox=[5, 6, 40, 30], score=.25)]))
    pictures = open_source(write_coco(tmp_path / 'coco'),
                           box_file=tmp_path / 'b.json').pictures
    assert [len(one.boxes) for one in pictures] == [0, 1, 0]
    assert pictures[1].truth is None  # it belongs to other boxes


@pytest.mark.parametrize('text, words', [
    ('image,x,y,w\na,1,2,3\n', "'h'"),
    ('image,x,y,w,h\na,1,2,3,zwei\n', 'line 2'),
    ('image,x,y,w,h\na,1,2,0,5\n', 'positive width'),
    ('image,x,y,w,h\na,1,2,nan,5\n', 'finite'),
    ('image,x,y,w,h\na,1,2\n', 'line 2'),
    ('', 'empty'),
])
def test_damaged_box_files_are_one_error(tmp_path: Path, text: str,
                                         words: str) -> None:
    path = tmp_path / 'b.csv'
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        BoxFile(path)


def test_boxes_of_other_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'b.csv').write_text('image,x,y,w,h\nother.png,1,2,3,4\n')
    with pytest.raises(DataError, match='none for'):
        open_source(write_folder(tmp_path / 'in'),
                    box_file=tmp_path / 'b.csv')


def test_a_detector_goes_before_annotated_boxes(tmp_path: Path) -> None:
    def detect(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[1., 2, 30, 40]]), np.array([.75])

    source = open_source(write_coco(tmp_path / 'coco'), detector=detect)
    one, _ = next(iter(source))
    np.testing.assert_array_equal(one.boxes, [[1, 2, 30, 40]])
    np.testing.assert_array_equal(one.box_scores, [.75])


def test_read_image_is_bgr(tmp_path: Path) -> None:
    Image.new('RGB', (8, 8), (200, 100, 50)).save(tmp_path / 'a.png')
    assert read_image(tmp_path / 'a.png')[0, 0].tolist() == [50, 100, 200]
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((8, 8), 7, np.uint8))
    assert read_image(tmp_path / 'grey.png').shape == (8, 8, 3)


def rename(path: Path, names: list[str]) -> Path:
    """Give the pictures of a COCO file other names."""
    content = json.loads(path.read_text())
    for image, name in zip(content['images'], names, strict=True):
        image['file_name'] = name
    path.write_text(json.dumps(content))
    return path


def test_pictures_elsewhere_have_flat_names_each_once(tmp_path: Path) -> None:
    elsewhere = tmp_path / 'far' / 'off.png'
    elsewhere.parent.mkdir()
    flat = '_'.join(elsewhere.parts[1:])
    for file in (elsewhere, tmp_path / 'victim.png'):
        cv2.imwrite(str(file), picture(0))
    path = write_coco(tmp_path / 'coco', 6)
    cv2.imwrite(str(tmp_path / 'coco' / flat.upper()), picture(0))
    source = open_source(rename(path, [
        str(elsewhere), '../far/off.png', flat.upper(),
        str(tmp_path / 'coco' / '3.png'), '../coco/../victim.png', '5.png']),
        image_root=tmp_path / 'coco')
    up = '_'.join([*(tmp_path / 'coco').parts[1:], 'coco', 'victim.png'])
    assert [one.name for one in source.pictures] == [
        flat.replace('.png', '-10.png'),
        '_'.join([*(tmp_path / 'coco').parts[1:], 'far', 'off.png']),
        flat.upper(), '3.png', up, '5.png']
    np.testing.assert_array_equal(
        source.read(source.pictures[0]), picture(0))


def test_a_picture_elsewhere_has_its_boxes_by_path_or_bare_name(
        tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco')
    whole = [str(tmp_path / 'coco' / f'{i}.png') for i in range(3)]
    rename(path, whole)
    for name in (whole[1], '1.png'):
        (tmp_path / 'b.csv').write_text(f'image,x,y,w,h\n{name},1,2,3,4\n')
        (tmp_path / 'root').mkdir(exist_ok=True)
        pictures = open_source(path, image_root=tmp_path / 'root',
                               box_file=tmp_path / 'b.csv').pictures
        assert [len(one.boxes) for one in pictures] == [0, 1, 0]


def test_the_number_0_is_a_picture_and_a_score(tmp_path: Path) -> None:
    (tmp_path / 'b.json').write_text(json.dumps([
        dict(image_id=0, bbox=[5, 6, 40, 30], score=0.)]))
    boxes = BoxFile(tmp_path / 'b.json')
    found, scores = boxes.boxes_of('a.png', Path('a.png'), 0)
    np.testing.assert_array_equal(found, [[5, 6, 45, 36]])
    assert scores.tolist() == [0]
    assert not len(boxes.boxes_of('b.png', Path('b.png'), 1)[0])
