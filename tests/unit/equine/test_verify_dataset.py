from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_ext.commands import run_command, run_verify
from mmpose_ext.equine.checks_annotations import (
    inspect_annotations,
)
from mmpose_ext.equine.horse26 import METAINFO_FILE, NAMES
from mmpose_ext.equine.verify_dataset import accepts
from tests.unit.equine.labelled_horses import coco_content, write_split

CONFIG = """
custom_imports = dict(imports=['mmpose_ext.equine'])
default_scope = 'mmpose'
model = dict(head=dict(out_channels={outputs}))
train_dataloader = dict(dataset=dict(
    type='mmpose_ext.HorsePoseDataset', data_root={root!r},
    ann_file='annotations/horse_train.json', data_prefix=dict(img='train/')))
val_dataloader = dict(dataset=dict(
    type='RepeatDataset', times=2, dataset=dict(
        type='CocoDataset', metainfo=dict(from_file={metainfo!r}),
        data_root={root!r}, ann_file='annotations/horse_val.json',
        data_prefix=dict(img='val/'))))
test_dataloader = val_dataloader
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_split(tmp_path, 'train', count=6)
    write_split(tmp_path, 'val', count=4, seed=1, start=100)
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(tmp_path), outputs=26,
                                  metainfo=METAINFO_FILE))
    return path


def verify(*words: object) -> int:
    return run_verify('', [str(word) for word in words])


def train_file(config: Path) -> Path:
    return config.parent / 'annotations' / 'horse_train.json'


def lines_of(capsys: pytest.CaptureFixture[str], kind: str) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines()
            if line.startswith(f'{kind}: ')]


def test_statistics_are_printed(config: Path, capsys) -> None:
    content = json.loads(train_file(config).read_text())
    entry = content['annotations'][0]
    nose = 3 * NAMES.index('nose')
    entry['keypoints'][nose:nose + 3] = [0, 0, 0]
    entry['num_keypoints'] -= 1
    content['annotations'][1]['keypoints'][nose + 2] = 1
    train_file(config).write_text(json.dumps(content))
    assert verify('--ann-file', train_file(config)) == 0
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[1] == '6 images, 6 annotations, 1 categories'
    assert ('category horse: 26 keypoints (nose, l_eye, r_eye, l_ear, r_ear, '
            '...), 25 links') in lines
    assert 'width: 320 to 320 px, mean 320.0' in lines
    row, = [line.split() for line in lines if line.startswith('nose ')]
    assert row == ['nose', '4', '1', '1', '66.7']
    counts = [sum(v > 0 for v in one['keypoints'][2::3])
              for one in content['annotations']]
    span, = [line for line in lines if line.startswith('num_keypoints')]
    assert span == (f'num_keypoints: {min(counts)} to {max(counts)}, mean '
                    f'{np.mean(counts):.1f}')
    assert lines[-1] == 'no problems'


def test_statistics_and_findings_as_json(config: Path, capsys) -> None:
    content = json.loads(train_file(config).read_text())
    for entry in content['annotations'][:4]:
        entry['num_keypoints'] = 1
    train_file(config).write_text(json.dumps(content))
    assert verify('--ann-file', train_file(config), '--json') == 1
    found = json.loads(capsys.readouterr().out)
    problem, = found['problems']
    assert problem['count'] == len(problem['places']) == 4
    assert problem['places'][3]['name'] == 'annotation 4 (horse_004.jpg)'
    part = found['parts'][str(train_file(config))]
    visible = sum(value == 2 for entry in content['annotations']
                  for value in entry['keypoints'][2::3])
    assert part['visibility']['2'] == visible
    assert part['annotations'] == 6 and part['width'] == [320, 320, 320]


def test_a_fault_of_many_is_one_line_with_five_named(tmp_path: Path,
                                                     capsys) -> None:
    content = coco_content(30)
    for entry in content['annotations']:
        entry['bbox'][3] = 0
    path = write_split(tmp_path, 'train', content)
    assert verify('--ann-file', path) == 1
    line, = lines_of(capsys, 'error')
    assert '30 in all' in line
    assert [f'annotation {i} ' in line for i in (1, 5, 6)] == [
        True, True, False]


def test_config_with_sound_data_passes(config: Path, capsys) -> None:
    assert verify(config) == 0
    out = capsys.readouterr().out
    assert 'horse_train.json:' in out and 'horse_val.json:' in out
    warning, = [line for line in out.splitlines()
                if line.startswith('warning: ')]
    assert 'test_dataloader' in warning and 'split of its own' in warning


def test_every_loader_of_a_config_is_checked(config: Path, capsys) -> None:
    path = config.parent / 'annotations' / 'horse_val.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'][2] = -1
    path.write_text(json.dumps(content))
    train_file(config).write_text('{')
    assert verify(config) == 1
    lines = lines_of(capsys, 'error')
    assert ['horse_train.json: file' in lines[0],
            'horse_val.json: annotation 100' in lines[1]] == [True, True]
    assert len(lines) == 2


def test_head_must_have_an_output_for_each_point(config: Path,
                                                 capsys) -> None:
    config.write_text(config.read_text().replace('out_channels=26',
                                                 'out_channels=17'))
    assert verify(config) == 1
    lines = lines_of(capsys, 'error')
    assert all('model.head.out_channels' in line and 'found 17' in line
               for line in lines)


def test_config_without_data_is_one_error(tmp_path: Path, capsys) -> None:
    config = tmp_path / 'c.py'
    config.write_text("custom_imports = dict(imports=['mmpose_ext.equine'])")
    assert verify(config) == 1
    assert 'a data set with an ann_file' in capsys.readouterr().err


@pytest.mark.parametrize(('words', 'text'), [
    (('--images', '.'), '--ann-file'),
    (('--render', '3'), '--out-dir'),
])
def test_wrong_usage_is_exit_code_2(config: Path, capsys, words,
                                    text) -> None:
    assert verify(config, *words) == 2
    assert text in capsys.readouterr().err


def test_unknown_option_is_exit_code_2(config: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        verify('--ann-file', train_file(config), '--strickt')
    assert caught.value.code == 2


def test_near_duplicates_within_a_split(config: Path, capsys) -> None:
    image = cv2.imread(str(config.parent / 'train' / 'horse_002.jpg'))
    cv2.imwrite(str(config.parent / 'train' / 'horse_004.jpg'),
                cv2.convertScaleAbs(image, alpha=.97, beta=3))
    assert verify('--ann-file', train_file(config)) == 0
    line, = lines_of(capsys, 'warning')
    assert 'image 4 (horse_004.jpg)' in line
    assert 'nearly that of horse_002.jpg' in line


def test_near_duplicates_across_splits(config: Path, capsys) -> None:
    shutil.copy(config.parent / 'train' / 'horse_002.jpg',
                config.parent / 'val' / 'horse_101.jpg')
    val = config.parent / 'annotations' / 'horse_val.json'
    assert verify('--ann-file', val, '--against', train_file(config)) == 0
    line, = lines_of(capsys, 'warning')
    assert 'horse_val.json: image 101' in line
    assert 'horse_002.jpg of horse_train.json' in line
    assert verify('--ann-file', val, '--against', train_file(config),
                  '--strict') == 1
    capsys.readouterr()
    assert verify(config) == 0
    assert any('horse_002.jpg of horse_train.json' in line
               for line in lines_of(capsys, 'warning'))


def test_same_ids_in_two_splits_are_named(config: Path, capsys) -> None:
    write_split(config.parent, 'val', count=4, seed=1, start=3)
    val = config.parent / 'annotations' / 'horse_val.json'
    assert verify('--ann-file', val, '--against', train_file(config)) == 0
    line, = lines_of(capsys, 'warning')
    assert 'annotation 3' in line and 'horse_train.json' in line
    assert '4 in all' in line


def test_worst_annotations_are_drawn(config: Path, tmp_path: Path,
                                     capsys) -> None:
    content = json.loads(train_file(config).read_text())
    content['annotations'][1]['bbox'][2] = 0
    content['annotations'][3]['area'] = 10
    content['annotations'][4]['keypoints'][4] = float('nan')
    (config.parent / 'train' / 'horse_006.jpg').unlink()
    train_file(config).write_text(json.dumps(content))
    out = tmp_path / 'sheets'
    verify('--ann-file', train_file(config), '--render', 9, '--out-dir', out)
    sheet = cv2.imread(str(out / 'horse_train_worst.png'))
    # four samples in two rows of three
    rows = sheet.shape[0] // 240
    assert rows == 2 and 1000 < sheet.shape[1] < 1200
    assert [path.name for path in out.iterdir()] == ['horse_train_worst.png']
    frames = (np.abs(sheet.astype(int) - (60, 60, 230)).max(-1) < 9).sum()
    assert frames > 3 * 3 * 600  # three errors framed in red


def test_sound_data_draw_nothing(config: Path, tmp_path: Path) -> None:
    assert verify('--ann-file', train_file(config), '--render', 3,
                  '--out-dir', tmp_path / 'sheets') == 0
    assert not (tmp_path / 'sheets').exists()


def test_accepts_what_is_or_was_meant_to_be_coco(config: Path) -> None:
    folder = config.parent
    assert accepts(train_file(config))
    (folder / 'broken.json').write_text('{"images": [')
    (folder / 'other.json').write_text('{"points": 3}')
    assert accepts(folder / 'broken.json')
    assert not accepts(folder / 'other.json')
    assert not accepts(config)
    assert not accepts(folder / 'none.json')


def test_sound_labels_come_as_arrays(tmp_path: Path) -> None:
    content = coco_content(5)
    content['annotations'][1]['keypoints'].pop()
    content['annotations'][2]['iscrowd'] = 1
    metainfo = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
    findings, labels = inspect_annotations(tmp_path / 'a.json', content,
                                           metainfo)
    assert [item.field for item in findings] == ['keypoints']
    assert labels.rows.tolist() == labels.image_rows.tolist() == [0, 3, 4]
    last = np.reshape(content['annotations'][4]['keypoints'], (26, 3))
    np.testing.assert_array_equal(labels.points[2], last[:, :2])
    np.testing.assert_array_equal(labels.visibility[2], last[:, 2])
    np.testing.assert_array_equal(labels.boxes[2],
                                  content['annotations'][4]['bbox'])


def test_help_names_the_options(config: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        run_command('verify_dataset', '', [str(config), '--help'])
    out = capsys.readouterr().out
    for option in ('--strict', '--against', '--render', '--out-dir'):
        assert option in out
