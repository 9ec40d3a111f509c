"""Figures beside closed forms."""
import numpy as np
import pytest

from mmpose_ext.direction.metric import (
    DirectionMetric,
    DirectionResults,
    direction_report,
    main_figures,
)


def rats(angles_deg, length=8.):
    """Straight rats: base, neck, head along a direction."""
    angle = np.radians(np.asarray(angles_deg, float))
    step = length * np.stack([np.cos(angle), np.sin(angle)], -1)
    base = np.full((len(angle), 2), 25.)
    return np.stack([base, base + step, base + 2 * step], 1)


def results(predicted, truth, **changes):
    count = len(truth)
    values = dict(
        rows=np.arange(count),
        points=predicted,
        truth=truth,
        scores=np.ones((count, 3)),
        angle_conf=np.ones(count),
        groups=np.arange(count).astype(str),
        ids={},
        size=50)
    return DirectionResults(**{**values, **changes})


def test_errors_are_wrapped():
    report = direction_report(results(rats([179, 10]), rats([-179, 10])))
    head = report['angles']['head']
    assert head['mae_deg'] == pytest.approx(1.)
    assert head['rmse_deg'] == pytest.approx(2**.5)
    assert head['median_deg'] == pytest.approx(1.)
    assert head['bias_deg'] == pytest.approx(-1.)


def test_flips_and_reversals():
    truth = rats([0, 0, 0, 0])
    head = direction_report(
        results(rats([0, 100, 160, -170]), truth))['angles']['head']
    assert head['flip_rate'] == .75
    assert head['reversal_rate'] == .5
    assert head['acc@5'] == .25


def test_undefined_and_hidden_vectors_are_counted_apart():
    truth = rats([0, 0, 0, 0])
    truth[1, 2] = np.nan
    predicted = rats([0, 0, 0, 20])
    predicted[2, 2] = predicted[2, 1] + .1
    head = direction_report(results(predicted, truth))['angles']['head']
    assert head['invalid_frac'] == .5
    assert head['mae_deg'] == pytest.approx(10.)


def test_points_in_pixels_and_in_the_published_loss():
    truth = rats([0, 90])
    predicted = truth + [3., 4.]
    report = direction_report(results(predicted, truth))
    assert report['points']['base']['mean_px'] == pytest.approx(5.)
    assert report['points']['base']['pck@3px'] == 0.
    # the length of the rat is 16 px
    assert report['points']['neck']['pck@0.2'] == 0.
    assert report['mse_norm'] == pytest.approx((9 + 16) / 2 / 25**2)


def test_trivial_predictor_on_all_orientations():
    truth = rats(np.arange(0, 360, 5))
    figures = main_figures(direction_report(results(truth, truth)))
    assert figures['head_mae_deg'] == pytest.approx(0.)
    truth = rats([0, 0, 90])
    figures = main_figures(direction_report(results(truth, truth)))
    # the mean rat looks along atan(1 / 2)
    lean = np.degrees(np.arctan2(1, 2))
    assert figures['head_mae_deg_trivial'] == pytest.approx(
        (2 * lean + 90 - lean) / 3)


def test_groups_and_calibration():
    truth = rats(np.arange(0, 360, 4))
    error = np.linspace(0, 60, 90)
    report = direction_report(
        results(
            rats(np.arange(0, 360, 4) + error),
            truth,
            angle_conf=np.linspace(1, 0, 90),
            ids=dict(animal=np.repeat(['a', 'b'], 45))))
    animals = report['groups']['animal']
    assert animals['a'] == pytest.approx(error[:45].mean())
    assert animals['b'] == pytest.approx(error[45:].mean())
    assert len(report['groups']['orientation']) == 12
    calibration = report['calibration']
    assert calibration['worst_rise_deg'] == 0.
    assert calibration['mae_deg_at_90'] == pytest.approx(error[:81].mean())


def sample(row, predicted, truth):
    return dict(
        img_id=row,
        input_size=(50, 50),
        pred_instances=dict(
            keypoints=predicted[None], keypoint_scores=np.ones((1, 3))),
        gt_instances=dict(
            keypoints=truth[None], keypoints_visible=np.ones((1, 3))))


def test_padding_of_the_last_batch_counts_once():
    truth, predicted = rats([0, 0]), rats([0, 30])
    metric = DirectionMetric()
    metric.process(None, [sample(i % 2, predicted[i % 2], truth[i % 2])
                          for i in (0, 1, 1, 1)])
    figures = metric.evaluate(size=2)
    assert figures['dir/head_mae_deg'] == pytest.approx(15.)
    assert metric.report['count'] == 2
