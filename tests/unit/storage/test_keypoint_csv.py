from __future__ import annotations

from pathlib import Path

import pytest

from mmpose_ext.storage import DataError, read_keypoint_csv


def test_columns_in_any_order_and_empty_visibility(tmp_path: Path) -> None:
    for name in ('x.png', 'y.png'):
        (tmp_path / name).touch()
    path = tmp_path / 'l.csv'
    path.write_text('\ufeffv,Y,X,name,file,who\n'
                    ',2,1,nose,x.png,me\n1,4,3,tail,x.png,me\n'
                    '\n0,,,nose,y.png,me\n2,6,5.5,tail,y.png,me\n',
                    encoding='utf-8')
    labels = read_keypoint_csv(path)
    assert labels.names == ('nose', 'tail')
    first, second = (image.instances[0] for image in labels.images)
    assert first.points.tolist() == [[1, 2], [3, 4]]
    assert first.visibility.tolist() == [2, 1]
    assert second.points.tolist() == [[0, 0], [5.5, 6]]
    assert second.visibility.tolist() == [0, 2]


def test_visibility_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / 'pictures').mkdir()
    (tmp_path / 'pictures' / 'x.png').touch()
    path = tmp_path / 'l.csv'
    path.write_text('file,name,x,y\nx.png,nose,1,2\n')
    [image] = read_keypoint_csv(path, tmp_path / 'pictures').images
    assert image.instances[0].visibility.tolist() == [2]
    assert image.size is None


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'l.csv'
    for content in ('\ufeff', '\n'):
        path.write_text(content, encoding='utf-8')
        with pytest.raises(DataError, match='header'):
            read_keypoint_csv(path)
