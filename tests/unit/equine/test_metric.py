"""The metrics as MMEngine runs them, and AP beside one written by hand."""
import csv
import json
import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpose.evaluation.metrics import CocoMetric

from mmpose_ext.equine.horse26 import (
    ANATOMICAL_SIGMAS,
    METAINFO_FILE,
    NAMES,
    SIGMAS,
)
from mmpose_ext.equine.metric import (
    HorseCocoMetric,
    HorseKeypointMetric,
    main_figures,
)
from mmpose_ext.registry import METRICS
from mmpose_ext.storage import DataError

META = dict(
    dataset_name='horse_of_this_test',
    from_file=METAINFO_FILE,
    sigmas=np.array(SIGMAS, np.float32),
    num_keypoints=26,
    CLASSES=[dict(id=1, name='horse')])


def samples(count, seed=0, error=20.):
    """What a data set and a network hand to a metric."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(count):
        box = np.concatenate([rng.uniform(0, 300, 2),
                              rng.uniform(100, 400, 2)])
        points = box[:2] + rng.random((26, 2)) * box[2:]
        visible = rng.choice([0, 1, 2], 26, p=[.2, .2, .6])
        label = dict(
            id=100 + n, image_id=n, category_id=1, iscrowd=0,
            bbox=box.tolist(), area=float(.53 * box[2] * box[3]),
            num_keypoints=int((visible > 0).sum()),
            keypoints=np.concatenate([
                points * (visible > 0)[:, None], visible[:, None]
            ], 1).ravel().tolist())
        spread = error * rng.uniform(.1, 2)
        corners = np.concatenate([box[:2], box[:2] + box[2:]])[None]
        made.append(dict(
            id=100 + n, img_id=n, category_id=1, ori_shape=(800, 800),
            raw_ann_info=label,
            pred_instances=dict(
                keypoints=(points + rng.normal(0, spread, (26, 2)))[None],
                keypoint_scores=rng.uniform(.1, 1, (1, 26)),
                bboxes=corners, bbox_scores=np.ones(1)),
            gt_instances=dict(bbox_scores=np.ones(1),
                              bbox_scales=box[None, 2:])))
    return made


def evaluate(metric, data, size=None):
    metric.dataset_meta = dict(META)
    for start in range(0, len(data), 8):
        metric.process(None, data[start:start + 8])
    return metric.evaluate(size or len(data))


def average_precision(data, sigmas):
    """AP of one horse a picture, from its definition."""
    scores, oks = [], []
    for sample in data:
        label = sample['raw_ann_info']
        truth = np.reshape(label['keypoints'], (26, 3))
        predicted = sample['pred_instances']
        known = truth[:, 2] > 0
        squares = np.square(
            predicted['keypoints'][0] - truth[:, :2]).sum(1)[known]
        variances = (2 * np.array(sigmas)[known])**2
        oks.append(np.exp(-squares / 2 / variances / label['area']).mean())
        confident = predicted['keypoint_scores'][0]
        scores.append(confident[confident > .2].mean())
    hits = np.array(oks)[np.argsort(-np.array(scores), kind='stable')]
    values = []
    for limit in np.linspace(.5, .95, 10):
        found = np.cumsum(hits >= limit)
        precision = found / np.arange(1, len(hits) + 1)
        recall = found / len(hits)
        values.append(np.mean([
            precision[recall >= r].max(initial=0)
            for r in np.linspace(0, 1, 101)
        ]))
    return np.mean(values), values[0], values[5]


@pytest.mark.parametrize('sigmas', ['anatomical', 'horse26', 'own'])
def test_average_precision_is_that_of_its_definition(sigmas):
    numbers = dict(anatomical=ANATOMICAL_SIGMAS, horse26=SIGMAS,
                   own=np.linspace(.03, .15, 26))[sigmas]
    data = samples(40)
    given = sigmas if sigmas != 'own' else numbers.tolist()
    figures = evaluate(HorseCocoMetric(given), data)
    expected = average_precision(data, numbers)
    assert .1 < expected[0] < .9
    for name, value in zip(('AP', 'AP .5', 'AP .75'), expected, strict=True):
        assert figures[f'coco_{sigmas}/{name}'] == pytest.approx(
            value, abs=1e-6)


def test_two_precisions_stand_beside_each_other(capsys):
    data = samples(30)
    stock = evaluate(CocoMetric(), data)
    assert 'Average Precision' in capsys.readouterr().out
    same = evaluate(HorseCocoMetric('horse26'), data)
    other = evaluate(HorseCocoMetric(), data)
    assert stock['coco/AP'] == pytest.approx(same['coco_horse26/AP'])
    assert other['coco_anatomical/AP'] != pytest.approx(stock['coco/AP'])
    assert 'Average Precision' not in capsys.readouterr().out
    shared = dict(META)
    HorseCocoMetric().dataset_meta = shared
    np.testing.assert_array_equal(shared['sigmas'], META['sigmas'])


@pytest.mark.parametrize('sigmas', ['ap10k', [.1] * 17, [0.] * 26])
def test_sigmas_of_other_keypoints_are_refused(sigmas):
    with pytest.raises(ValueError, match='26 numbers above 0'):
        HorseCocoMetric(sigmas)


@pytest.fixture
def train_labels(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(annotations=[
        sample['raw_ann_info'] for sample in samples(50, seed=9)])))
    return str(path)


def test_figures_of_a_run_have_their_names(tmp_path, train_labels):
    metric = METRICS.build(
        dict(type='mmpose_ext.HorseKeypointMetric',
             mean_pose_from=train_labels, out_dir=str(tmp_path)))
    figures = evaluate(metric, samples(20, error=5.))
    assert all(isinstance(value, float) for value in figures.values())
    for name in ('EPE', 'NE', 'NE_body', 'PCK@0.05', 'PCK@0.1', 'PCK@0.2',
                 'OKS'):
        value, low, high, trivial = (
            figures[f'horse/{name}{ending}']
            for ending in ('', '_low', '_high', '_trivial'))
        assert low <= value <= high
        # a random cloud is far from its mean
        assert (value > trivial) == (name[0] in 'PO')
    for part in ('head', 'trunk', 'fore', 'hind', *NAMES):
        assert 0 <= figures[f'horse/PCK@0.2/{part}'] <= 1
        assert figures[f'horse/PCK@0.1/{part}'] <= figures[
            f'horse/PCK@0.2/{part}']
    assert {'horse/swap_rate', 'horse/visible_precision',
            'horse/visible_recall'} <= set(figures)


def test_occluded_points_count_and_absent_ones_do_not():
    data = samples(1, error=0.)
    predicted = data[0]['pred_instances']['keypoints'][0]
    visible = np.reshape(data[0]['raw_ann_info']['keypoints'], (26, 3))[:, 2]
    predicted[visible == 0] += 1000
    predicted[visible == 1] += [3, 4]
    report = keypoint_metric_report(data)
    assert report['all']['count'] == (visible > 0).sum()
    assert report['all']['EPE'] == pytest.approx(
        5 * (visible == 1).sum() / (visible > 0).sum())
    absent = [NAMES[k] for k in np.flatnonzero(visible == 0)]
    assert not {f'PCK@0.2/{name}' for name in absent} & set(
        main_figures(report))


def keypoint_metric_report(data):
    metric = HorseKeypointMetric()
    evaluate(metric, data)
    return metric.report


def test_samples_that_pad_the_last_batch_count_once():
    data = samples(10)
    padded = [*data, *data[:3]]
    metric = HorseKeypointMetric()
    assert evaluate(metric, padded, 13) == pytest.approx(
        evaluate(HorseKeypointMetric(), data), nan_ok=True)
    assert len(metric.results_.images) == 10


def test_an_area_that_is_missing_is_that_of_mmpose():
    data = samples(5)
    expected = keypoint_metric_report(data)['all']['OKS']
    for sample in data:
        del sample['raw_ann_info']['area']
    assert keypoint_metric_report(data)['all']['OKS'] == pytest.approx(
        expected)


def test_files_hold_all_figures(tmp_path, train_labels):
    data = samples(6)
    for sample in data:
        sample['raw_ann_info']['keypoints'][3 * 9 + 2] = 0  # tail_end
    metric = HorseKeypointMetric(train_labels, out_dir=str(tmp_path))
    evaluate(metric, data)
    report = json.loads((tmp_path / 'keypoints.json').read_text())
    assert report['all']['EPE'] == pytest.approx(metric.report['all']['EPE'])
    assert report['keypoints']['tail_end']['EPE'] is None
    assert set(report) == {'count', 'all', 'groups', 'keypoints',
                           'intervals', 'swaps', 'visibility', 'trivial'}
    with (tmp_path / 'keypoints.csv').open(newline='') as stream:
        rows = {row['name']: row for row in csv.DictReader(stream)}
    assert list(rows) == [*NAMES, 'head', 'trunk', 'fore', 'hind', 'all']
    assert float(rows['lf_hoof']['PCK@0.2']) == pytest.approx(
        metric.report['keypoints']['lf_hoof']['PCK@0.2'])
    assert rows['tail_end']['EPE'] == '' and rows['tail_end']['count'] == '0'


def test_a_run_finds_table_and_files_beside_its_log(tmp_path, train_labels):
    (tmp_path / 'stamp').mkdir()
    logger = MMLogger.get_instance(
        'horse_metric_test', log_file=str(tmp_path / 'stamp' / 'run.log'))
    try:
        evaluate(HorseKeypointMetric(train_labels), samples(6))
    finally:
        for handler in logger.handlers:
            handler.close()
        del MMLogger._instance_dict['horse_metric_test']
    log = (tmp_path / 'stamp' / 'run.log').read_text()
    line = next(row for row in log.splitlines()
                if row.lstrip().startswith('rh_hoof'))
    assert len(line.split()) == 11
    assert 'left and right exchanged' in log
    assert (tmp_path / 'stamp' / 'keypoints.csv').is_file()


def test_a_report_that_cannot_be_written_does_not_end_a_training(
        tmp_path, caplog):
    (tmp_path / 'file').touch()
    metric = HorseKeypointMetric(out_dir=str(tmp_path / 'file' / 'below'))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING):
            assert 'horse/EPE' in evaluate(metric, samples(3))
    finally:
        logger.removeHandler(caplog.handler)
    assert 'not written' in caplog.text


def test_boxes_without_annotation_and_missing_labels_are_refused(tmp_path):
    data = samples(1)
    del data[0]['raw_ann_info']
    with pytest.raises(ValueError, match='boxes of a detector'):
        HorseKeypointMetric().process(None, data)
    with pytest.raises(DataError, match='missing.json'):
        HorseKeypointMetric(str(tmp_path / 'missing.json'))
