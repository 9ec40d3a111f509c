from __future__ import annotations

from pathlib import Path

from mmpose_ext.storage import LabelSet, read_cvat_images


def read(folder: Path, content: str) -> LabelSet:
    (folder / 'x.png').touch()
    path = folder / 'labels.xml'
    path.write_text(
        '<annotations><image id="0" name="sub/x.png" width="200" '
        f'height="100">{content}</image><image id="1" name="y.png" '
        'width="9" height="9"/></annotations>')
    return read_cvat_images(path)


def points(name: str, x: float, y: float, more: str = '') -> str:
    return f'<points label="{name}" points="{x},{y}" {more}/>'


def box(more: str = '') -> str:
    return f'<box label="horse" xtl="1" ytl="2" xbr="11" ybr="22" {more}/>'


def test_flags_become_visibilities(tmp_path: Path) -> None:
    labels = read(tmp_path, '<skeleton label="horse">' + points('a', 1, 2)
                  + points('b', 3, 4, 'occluded="1"')
                  + points('c', 5, 6, 'outside="1"') + '</skeleton>')
    [image] = labels.images
    assert labels.names == ('a', 'b', 'c')
    assert image.size == (200, 100) and image.file == tmp_path / 'x.png'
    assert image.instances[0].visibility.tolist() == [2, 1, 0]
    assert image.instances[0].points.tolist() == [
        [.5, 1.5], [2.5, 3.5], [0, 0]]
    assert labels.left_out == {'pictures without points': 1}


def test_each_skeleton_is_an_animal(tmp_path: Path) -> None:
    part = f'<skeleton label="horse">{points("a", 1, 2)}</skeleton>'
    assert len(read(tmp_path, part * 2).images[0].instances) == 2


def test_groups_tell_animals_apart(tmp_path: Path) -> None:
    first, second = read(
        tmp_path, points('a', 1, 2, 'group_id="1"')
        + points('a', 3, 4, 'group_id="2"') + box('group_id="2"')
    ).images[0].instances
    assert first.box is None
    assert second.points.tolist() == [[2.5, 3.5]]
    assert second.box.tolist() == [1, 2, 10, 20]


def test_the_only_box_is_the_only_animals(tmp_path: Path) -> None:
    [animal] = read(tmp_path, points('a', 1, 2) + box()).images[0].instances
    assert animal.box.tolist() == [1, 2, 10, 20]
    turned = box('rotation="30"')
    [animal] = read(tmp_path, points('a', 1, 2) + turned).images[0].instances
    assert animal.box is None
