"""From pictures to files that others read."""
from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.commands import run_command
from mmpose_ext.equine import prediction_files
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.inference import Poses
from mmpose_ext.equine.prediction_files import COLUMNS, open_predictions
from mmpose_ext.equine.sources import Picture
from mmpose_ext.storage import DataError
from tests.unit.equine.trained_files import (
    ROOT,
    save_checkpoint,
    write_coco,
    write_folder,
)

CONFIG = str(ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_checkpoint(tmp_path_factory.mktemp('model') / 'm.pth'))


def predict(*words: object) -> int:
    return run_command('predict', '', [CONFIG, *map(str, words)])


def some_poses(number: int, horses: int = 2) -> Poses:
    generator = np.random.default_rng(number)
    boxes = np.array([[1, 2, 41, 32], [5, 6, 25, 26]], np.float32)[:horses]
    return Poses(
        Picture(f'p{number}.png', number, Path(f'p{number}.png'),
                boxes=boxes, box_scores=np.array([1, .5])[:horses]),
        np.zeros((4, 4, 3), np.uint8),
        generator.uniform(0, 99, (horses, 26, 2)).astype(np.float32),
        generator.uniform(0, 1, (horses, 26)).astype(np.float32))


def test_coco_results_give_the_metric_of_mmposes_test(
        checkpoint: str, tmp_path: Path) -> None:
    """The file is what CocoMetric writes in a run of tools/test.py."""
    from mmengine.config import Config
    from mmengine.evaluator import Evaluator
    from mmengine.runner import Runner

    from mmpose_ext.equine.inference import load_model
    from mmpose_ext.registry import DATASETS
    path = write_coco(tmp_path / 'coco', 4)
    assert predict(checkpoint, path, '--out', tmp_path / 'r.json',
                   '--batch-size', 3) == 0
    config = Config.fromfile(CONFIG)
    loader = config.test_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.dataset.update(data_root='', ann_file=str(path),
                          data_prefix=dict(img=str(path.parent)))
    metric = Evaluator([dict(
        type='CocoMetric', ann_file=str(path), format_only=True,
        nms_mode='none', outfile_prefix=str(tmp_path / 'mmpose'))])
    metric.dataset_meta = DATASETS.build(loader.dataset).metainfo
    model = load_model(config, checkpoint)
    loaded = Runner.build_dataloader(loader)
    for batch in loaded:
        metric.process([sample.to_dict() for sample in
                        model.test_step(batch)])
    metric.evaluate(len(loaded.dataset))
    wanted = json.loads((tmp_path / 'mmpose.keypoints.json').read_text())
    found = json.loads((tmp_path / 'r.json').read_text())
    assert len(found) == len(wanted) == 5
    for one in wanted:
        # two horses of a picture are told apart by their points
        gap, same = min(
            ((np.abs(np.subtract(other['keypoints'],
                                 one['keypoints'])).max(), other)
             for other in found if other['image_id'] == one['image_id']),
            key=lambda pair: pair[0])
        assert gap < 1e-3
        assert same['category_id'] == one['category_id']
        assert same['score'] == pytest.approx(one['score'], abs=1e-4)


def test_csv_has_a_line_a_point(checkpoint: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    assert predict(checkpoint, folder, '--out', tmp_path / 'r.csv') == 0
    with (tmp_path / 'r.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 3 * 26
    assert [row['keypoint'] for row in rows[26:52]] == list(NAMES)
    assert {row['image'] for row in rows} == {'B1.PNG', 'a0.png',
                                              'deep/c2.jpg'}
    first = rows[0]
    assert [float(first[key]) for key in
            ('box_x', 'box_y', 'box_w', 'box_h')] == [0, 0, 120, 100]


def test_both_formats_hold_the_same_numbers(tmp_path: Path) -> None:
    for name in ('r.csv', 'r.json'):
        with open_predictions(tmp_path / name) as write:
            for number in (1, 2):
                write(some_poses(number))
    with (tmp_path / 'r.csv').open(newline='') as file:
        rows = [[float(row[key]) for key in ('x', 'y', 'score')]
                for row in csv.DictReader(file)]
    records = json.loads((tmp_path / 'r.json').read_text())
    np.testing.assert_allclose(
        np.reshape([record['keypoints'] for record in records], (-1, 3)),
        rows)
    assert records[1]['bbox'] == [5, 6, 20, 20]
    wanted = some_poses(1).scores[1]
    assert records[1]['score'] == pytest.approx(
        .5 * wanted[wanted > .2].mean(), abs=1e-5)


def test_a_horse_without_a_sure_point_scores_nothing() -> None:
    poses = some_poses(1)
    poses.scores[:] = .1
    assert prediction_files.instance_scores(poses).tolist() == [0, 0]


def test_writing_takes_no_more_memory_for_more_pictures(
        tmp_path: Path) -> None:
    poses = some_poses(1)
    peaks = []
    for count in (100, 2000):
        tracemalloc.start()
        with open_predictions(tmp_path / 'r.json') as write:
            for _ in range(count):
                write(poses)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert len(json.loads((tmp_path / 'r.json').read_text())) == 4000


def test_no_horse_is_an_empty_list(tmp_path: Path) -> None:
    with open_predictions(tmp_path / 'r.json') as write:
        write(some_poses(1, horses=0))
    assert json.loads((tmp_path / 'r.json').read_text()) == []


def test_an_interrupted_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_predictions(
            tmp_path / 'r.csv') as write:
        write(some_poses(1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_picture_stops_or_is_counted(
        checkpoint: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / 'in')
    (folder / 'a0.png').write_bytes(b'nothing')
    words = (checkpoint, folder, '--out', tmp_path / 'r.csv')
    assert predict(*words) == 1
    assert 'a0.png' in capsys.readouterr().err
    assert not (tmp_path / 'r.csv').exists()
    assert predict(*words, '--skip-unreadable') == 0
    out = capsys.readouterr().out
    assert 'unreadable      1, the first' in out
    assert 'horses          2' in out


def test_a_wrong_name_is_refused_before_any_work(tmp_path: Path) -> None:
    for name in ('r.txt', 'none/r.json'):
        with pytest.raises(DataError, match='--out'):
            prediction_files.check_output(tmp_path / name)


def test_the_labels_are_never_overwritten(checkpoint: str,
                                          tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco')
    before = path.read_bytes()
    assert predict(checkpoint, path, '--out', path) == 1
    assert path.read_bytes() == before


def test_pictures_may_be_named_by_their_whole_path(checkpoint: str,
                                                   tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco')
    for i in range(3):
        path.write_text(path.read_text().replace(
            f'"{i}.png"', f'"{tmp_path}/coco/{i}.png"'))
    path = path.rename(tmp_path / 'horse_val.json')
    (tmp_path / 'val').mkdir()
    assert predict(checkpoint, path, '--out', tmp_path / 'r.json',
                   '--image-root', tmp_path / 'val') == 0
    found = json.loads((tmp_path / 'r.json').read_text())
    assert len({one['file_name'] for one in found}) == 3
    assert not any('/' in one['file_name'] for one in found)
