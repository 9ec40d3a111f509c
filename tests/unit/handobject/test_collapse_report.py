"""The report tells a collapsed network from one that sees."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmpose_ext.commands import run_command
from mmpose_ext.handobject.collapse_report import (
    make_report,
    render,
    verdict,
)
from mmpose_ext.handobject.score_records import collect_samples
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

from .jointed_hand import jointed_hand
from .small_run import write_run

FLIP = np.array([-1., 1., 1.])


def make_records(predict, count: int = 40) -> list[dict]:
    """Hands that bend at random, every second one a left one.

    Args:
        predict (Callable): Answer (21, 3) to a hand, right or left.
        count (int): Hands.
    """
    rng = np.random.default_rng(0)
    records = []
    for row in range(count):
        left = row % 2
        bends = rng.uniform(0, 80, 3)
        joints = jointed_hand(*bends) @ np.diag(FLIP if left else [1, 1, 1])
        joints = joints + rng.normal(0, .2, 3) + [0, 0, .8]
        records.append(dict(
            id=row, side=left, mirrored=bool(left), hand_valid=True,
            truth=joints, points=predict(joints, left), visible=np.ones(21),
            box=np.array([0., 0, 100, 100]), camera_matrix=np.eye(3),
            box_source='ground truth', subject='a', serial='b',
            grasped_class=-1, classes=np.zeros(0, int)))
    return records


def mean_hand(joints, left):
    """One hand for all, put where the wrist is."""
    pose = jointed_hand(40, 40, 40)
    return joints[:1] + (pose - pose[:1]) * (FLIP if left else 1)


def report_of(predict, features=None, **more):
    samples = collect_samples(make_records(predict))
    if features is None:
        features = np.random.default_rng(0).normal(size=(40, 6))
    return make_report(samples, features, **more)


def test_a_network_that_sees_is_well():
    report = report_of(lambda joints, left: joints + .001)
    assert report['spread_ratio'] == pytest.approx(1)
    assert report['verdict'].startswith('well')
    assert report['MPJPE'] < 1e-6 and report['MPJPE_trivial'] > 10
    assert report['baseline'] == 'mean of these samples'
    assert list(report['joints'])[:2] == ['thumb_mcp', 'thumb_pip']
    assert len(report['joints']) == 20


def test_one_hand_for_all_is_a_collapse():
    """Though its positions in space vary as true ones do."""
    report = report_of(mean_hand)
    assert report['spread_ratio'] == pytest.approx(0, abs=1e-9)
    assert report['verdict'].startswith('collapsed')
    assert all(part['spread_mm'] < 1e-9
               for part in report['joints'].values())
    assert report['spectra']['predicted']['effective_rank'] <= 20
    assert report['spectra']['true']['effective_rank'] > 2


def test_figures_by_joint_are_those_of_a_loop():
    report = report_of(lambda joints, left: joints[:1] + (
        joints - joints[:1]) * .3)
    assert report['spread_ratio'] == pytest.approx(.3)
    relative = np.stack([
        (record['truth'][8] - record['truth'][0])
        * (FLIP if record['side'] else 1)
        for record in make_records(mean_hand)])
    part = report['joints']['index_tip']
    assert part['true_spread_mm'] == pytest.approx(
        1e3 * np.sqrt(relative.var(0).sum()))
    assert part['ratio'] == pytest.approx(.3)


def test_features_have_a_spectrum_of_their_own():
    line = np.arange(40.)[:, None] * [1., 2., 3.]
    report = report_of(mean_hand, line)
    found = report['spectra']['features']
    assert found['effective_rank'] == pytest.approx(1, abs=1e-6)
    assert found['values'][0] == 1 and len(found['values']) == 3


def test_another_baseline_may_be_given():
    records = make_records(mean_hand)
    truth = np.stack([record['truth'] for record in records])
    report = report_of(mean_hand, mean_pose=truth + .01)
    assert report['MPJPE_trivial'] == pytest.approx(0, abs=1e-6)
    assert report['baseline'] == 'mean of the training data'


@pytest.mark.parametrize('ratio, error, trivial, word', [
    (1., np.nan, 20., 'not finite'), (1., np.inf, 20., 'not finite'),
    (.05, 9., 20., 'collapsed'), (.8, 19.5, 20., 'no better'),
    (.4, 9., 20., 'narrow'), (.8, 9., 20., 'well'),
    (.8, 9., np.nan, 'well')])
def test_verdicts(ratio, error, trivial, word):
    assert word in verdict(ratio, error, trivial)


def test_too_few_hands_are_told():
    samples = collect_samples(make_records(mean_hand, 1))
    with pytest.raises(DataError) as caught:
        make_report(samples, np.zeros((1, 2)))
    assert caught.value.where == 'labelled hands'
    assert caught.value.found == '1'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and weights that nobody trained."""
    folder = tmp_path_factory.mktemp('collapse')
    config = write_run(folder)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               folder / 'weights.pth')
    return config, folder / 'weights.pth'


def test_the_front_door(trained, tmp_path, capsys):
    config, weights = trained
    assert run_command('collapse_report', 'text', [
        str(config), str(weights), '--out', str(tmp_path / 'out'),
        '--split', 'train', '--limit', '9']) == 0
    said = capsys.readouterr().out
    assert 'index_tip' in said and 'effective ranks' in said
    report = json.loads((tmp_path / 'out/collapse_report.json').read_text())
    assert report['hands'] == 9 and report['split'] == 'train'
    assert report['baseline'] == 'mean of the training data'
    assert len(report['spectra']['features']['values']) == 9
    assert render(report).splitlines()[-1] == report['verdict']
    picture = cv2.imread(str(tmp_path / 'out/collapse_report.png'))
    assert picture.shape[1] > 1000 and picture.std() > 10


def test_what_cannot_be_done_is_told(trained, capsys):
    config, weights = trained
    assert run_command('collapse_report', 'text', [
        str(config), str(weights), '--limit', '1']) == 1
    assert '--limit: expected at least 2' in capsys.readouterr().err
    assert run_command('collapse_report', 'text', [
        str(config), str(weights), '--out', str(weights)]) == 1
    assert '--out: expected a folder or nothing, found a file' in (
        capsys.readouterr().err)
    assert run_command('collapse_report', 'text', [
        str(config), 'missing.pth']) == 1
    assert 'missing.pth: file: expected a checkpoint' in (
        capsys.readouterr().err)
