"""Figures of poses beside closed forms and plain loops."""
import json

import numpy as np
import pytest

from mmpose_ext.equine.horse26 import (
    ANATOMICAL_SIGMAS,
    GROUPS,
    NAMES,
    PAIRS,
    SIGMAS,
)
from mmpose_ext.equine.keypoint_scores import (
    PoseResults,
    find_swaps,
    keypoint_report,
    point_errors,
    read_mean_pose,
    visibility_figures,
)
from mmpose_ext.storage import DataError

SIGMA = np.array(SIGMAS)
BOX = np.array([100., 50., 400., 300.])


def poses(count, seed=0, error=20., missing=.2):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 500, (count, 2)),
                            rng.uniform(100, 400, (count, 2))], -1)
    truth = boxes[:, None, :2] + rng.random((count, 26, 2)) * boxes[:, None,
                                                                    2:]
    truth[rng.random((count, 26)) < missing] = np.nan
    points = np.nan_to_num(truth) + rng.normal(0, error, truth.shape)
    return PoseResults(
        images=np.arange(count),
        points=points,
        scores=rng.random((count, 26)),
        truth=truth,
        boxes=boxes,
        areas=rng.uniform(.3, 1, count) * boxes[:, 2:].prod(-1))


def one_horse(truth, points):
    return PoseResults(
        images=np.array([7]), points=points[None], truth=truth[None],
        scores=np.full((1, 26), .5), boxes=BOX[None],
        areas=np.array([.53 * 400 * 300]))


def test_figures_of_a_known_error():
    rng = np.random.default_rng(1)
    truth = BOX[:2] + rng.random((26, 2)) * BOX[2:]
    truth[NAMES.index('withers')] = 200, 100
    truth[NAMES.index('tail_base')] = 320, 190  # 150 px apart
    truth[3] = np.nan
    row = keypoint_report(one_horse(truth, truth + [18, 24]), SIGMA)
    figures = row['keypoints']['lf_hoof']
    assert figures['EPE'] == pytest.approx(30)
    assert figures['NE'] == pytest.approx(30 / (400 * 300)**.5)
    assert figures['NE_body'] == pytest.approx(30 / 150)
    # 7.5 % of the longer side
    assert [figures[f'PCK@{t}'] for t in (.05, .1, .2)] == [0, 1, 1]
    assert figures['OKS'] == pytest.approx(
        np.exp(-900 / (2 * .53 * 400 * 300 * (2 * .107)**2)))
    assert (figures['count'], figures['score']) == (1, .5)
    assert row['keypoints']['l_ear']['count'] == 0
    assert np.isnan(row['keypoints']['l_ear']['EPE'])
    assert row['all']['count'] == 25 and row['count'] == 1
    assert row['groups']['head']['count'] == 4
    assert np.isnan(row['intervals']['EPE']).all()  # one photograph


def test_means_over_parts_are_those_of_a_loop_over_labelled_points():
    results = poses(30)
    report = keypoint_report(results, SIGMA)
    for part, members in {**GROUPS, 'all': range(26)}.items():
        values = [np.hypot(*(results.points[n, k] - results.truth[n, k]))
                  for n in range(30) for k in members
                  if np.isfinite(results.truth[n, k, 0])]
        rows = report['all'] if part == 'all' else report['groups'][part]
        assert rows['EPE'] == pytest.approx(np.mean(values))
        assert rows['count'] == len(values)
    low, high = report['intervals']['EPE']
    assert low < report['all']['EPE'] < high
    assert high - low < 5  # 30 horses of about 21 points, deviation 13 px


def test_oks_of_a_horse_is_that_of_cocoeval():
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval
    results = poses(8)
    for sigmas in (SIGMA, np.array(ANATOMICAL_SIGMAS)):
        found = np.nanmean(
            point_errors(results, results.points, sigmas)['OKS'], 1)
        truth, predicted = COCO(), []
        annotations = []
        for n in range(8):
            seen = np.isfinite(results.truth[n, :, :1])
            annotations.append(dict(
                id=n + 1, image_id=n, category_id=1, iscrowd=0,
                bbox=results.boxes[n].tolist(), area=results.areas[n],
                num_keypoints=int(seen.sum()),
                keypoints=np.concatenate(
                    [np.nan_to_num(results.truth[n]), 2 * seen],
                    1).ravel().tolist()))
            predicted.append(dict(
                image_id=n, category_id=1, score=1.,
                keypoints=np.concatenate(
                    [results.points[n], np.ones((26, 1))],
                    1).ravel().tolist()))
        truth.dataset = dict(
            images=[dict(id=n, width=999, height=999) for n in range(8)],
            categories=[dict(id=1, name='horse')], annotations=annotations)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(predicted), 'keypoints',
                         sigmas)
        judge.evaluate()
        for n in range(8):
            assert found[n] == pytest.approx(judge.ious[n, 1][0, 0],
                                             abs=1e-9)


def test_exchanged_sides_are_found():
    assert len(PAIRS) == 10
    truth = poses(5, missing=0).truth
    points = truth.copy()
    hooves = [NAMES.index(name) for name in ('lf_hoof', 'rf_hoof')]
    points[2, hooves] = truth[2, hooves[::-1]]
    truth[4, 1] = np.nan  # left eye
    swaps = find_swaps(points, truth)
    pair = PAIRS.index(tuple(hooves))
    assert np.isnan(swaps[4, PAIRS.index((1, 2))])
    assert np.nansum(swaps) == 1 and swaps[2, pair] == 1
    rates = keypoint_report(
        PoseResults(np.arange(5), points, np.ones((5, 26)), truth,
                    np.tile(BOX, (5, 1)), np.ones(5)), SIGMA)['swaps']
    assert rates['rate'] == pytest.approx(1 / 49)
    assert rates['pairs']['lf_hoof/rf_hoof'] == pytest.approx(.2)


def test_scores_tell_visible_points():
    scores = np.array([[.9, .8, .3, .2, .1]])
    labelled = np.array([[True, False, True, True, False]])
    figures = visibility_figures(scores, labelled, .3)
    assert figures == dict(
        score_thr=.3, true_positives=2, false_positives=1,
        false_negatives=1, true_negatives=1,
        precision=pytest.approx(2 / 3), recall=pytest.approx(2 / 3))
    assert np.isnan(visibility_figures(scores, labelled, 1.)['precision'])


def write_labels(path, keypoints, boxes):
    path.write_text(json.dumps(dict(annotations=[
        dict(keypoints=np.asarray(points).ravel().tolist(),
             bbox=np.asarray(box).tolist())
        for points, box in zip(keypoints, boxes, strict=True)])))
    return path


def test_the_mean_pose_fills_each_box(tmp_path):
    points = np.zeros((3, 26, 3))
    points[0] = 300, 200, 2   # the middle of the box
    points[1] = 100, 350, 1   # its lower left corner, occluded
    points[:, 5] = 0          # never labelled
    points[2, 0] = 600, 600, 2
    boxes = [BOX, BOX, [0, 0, 0, 0]]
    mean = read_mean_pose(write_labels(tmp_path / 'a.json', points, boxes))
    np.testing.assert_allclose(mean[0], [.25, .75])
    assert np.isnan(mean[5]).all() and np.isfinite(np.delete(mean, 5, 0)).all()

    truth = np.full((26, 2), (200., 275.))
    report = keypoint_report(one_horse(truth, truth), SIGMA, mean_pose=mean)
    assert report['trivial']['all']['EPE'] == pytest.approx(0)
    assert report['trivial']['keypoints']['nose']['PCK@0.05'] == 1
    assert np.isnan(report['trivial']['keypoints']['neck']['EPE'])
    wide = one_horse(truth + [40, 30], truth)
    report = keypoint_report(wide, SIGMA, mean_pose=mean)
    assert report['trivial']['all']['EPE'] == pytest.approx(50)


@pytest.mark.parametrize('content', [
    '{', '[]', '{"annotations": 3}', '{"annotations": [{"bbox": [1]}]}',
    '{"annotations": [{"keypoints": [1, 2], "bbox": [0, 0, 1, 1]}]}'])
def test_damaged_training_labels_are_named(tmp_path, content):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(DataError, match='26 keypoints and a box each'):
        read_mean_pose(tmp_path / 'a.json')
    with pytest.raises(DataError, match='mean_pose_from=None'):
        read_mean_pose(tmp_path / 'missing.json')
