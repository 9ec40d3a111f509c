"""What another animal's model knows reaches the horse's, point by point."""
from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import nn

from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.transfer import (
    ANIMALPOSE_NAMES,
    AP10K_NAMES,
    HorseTransferHook,
    expand_rows,
    match_points,
    point_names,
    transfer_weights,
)
from mmpose_ext.registry import DATASETS, HOOKS
from mmpose_ext.storage import DataError

_counter = itertools.count()

# Written down from the two data sets' own lists of points.
AP10K_ROWS = dict(
    nose=2, l_eye=0, r_eye=1, neck=3, tail_base=4, l_elbow=6, r_elbow=9,
    lf_hoof=7, rf_hoof=10, l_hip=11, r_hip=14, l_hock=12, r_hock=15,
    lh_hoof=13, rh_hoof=16)
ANIMALPOSE_ROWS = dict(
    nose=4, l_eye=0, r_eye=1, l_ear=2, r_ear=3, neck=5, withers=7,
    tail_base=6, l_elbow=8, r_elbow=9, l_knee=12, r_knee=13, l_hip=10,
    r_hip=11, l_hock=14, r_hock=15, lf_hoof=16, rf_hoof=17, lh_hoof=18,
    rh_hoof=19)

RTM_HEAD = dict(
    type='RTMCCHead', in_channels=64, input_size=(64, 64),
    in_featuremap_size=(2, 2), simcc_split_ratio=2.,
    final_layer_kernel_size=7,
    gau_cfg=dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.,
                 drop_path=0., act_fn='SiLU', use_rel_bias=False,
                 pos_enc=False),
    loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10.,
              label_softmax=True),
    decoder=dict(type='SimCCLabel', input_size=(64, 64), sigma=(2., 2.),
                 simcc_split_ratio=2., normalize=False, use_dark=False))
CSPNEXT = dict(
    type='CSPNeXt', expand_ratio=.5, deepen_factor=.33, widen_factor=.0625,
    out_indices=(4, ), norm_cfg=dict(type='BN'))


def branches(block: str, *channels: int) -> dict:
    return dict(num_modules=1, num_branches=len(channels), block=block,
                num_blocks=(1, ) * len(channels), num_channels=channels)


HRNET = dict(type='HRNet', extra=dict(
    stage1=branches('BOTTLENECK', 4), stage2=branches('BASIC', 4, 8),
    stage3=branches('BASIC', 4, 8, 16),
    stage4=branches('BASIC', 4, 8, 16, 32)))
HEAT_HEAD = dict(
    type='HeatmapHead', in_channels=4, deconv_out_channels=None,
    loss=dict(type='KeypointMSELoss', use_target_weight=True),
    decoder=dict(type='MSRAHeatmap', input_size=(64, 64),
                 heatmap_size=(16, 16), sigma=2.))
PARTS = dict(rtmpose=(CSPNEXT, dict(RTM_HEAD, in_channels=64)),
             hrnet=(HRNET, HEAT_HEAD))


def estimator(kind: str, points: int) -> dict:
    backbone, head = PARTS[kind]
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=backbone, head=dict(head, out_channels=points))


def build(kind: str, points: int = 26, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmpose'):
        return MODELS.build(estimator(kind, points))


def checkpoint_of(model: nn.Module, old: bool = False) -> dict:
    return dict(state_dict={
        f'keypoint_{name}' if old and name.startswith('head.') else name:
        value.clone() for name, value in model.state_dict().items()})


@pytest.mark.parametrize('names, expected', [
    (AP10K_NAMES, AP10K_ROWS), (ANIMALPOSE_NAMES, ANIMALPOSE_ROWS),
    (NAMES, {name: number for number, name in enumerate(NAMES)})])
def test_points_are_matched_by_what_they_are(names, expected) -> None:
    assert {name: row for name, row in zip(NAMES, match_points(names),
                                           strict=True)
            if row is not None} == expected


@pytest.mark.parametrize('name, ours', [('ap10k', AP10K_NAMES),
                                        ('animalpose', ANIMALPOSE_NAMES)])
def test_names_are_those_of_mmpose(name, ours) -> None:
    import mmpose
    path = (Path(mmpose.__file__).parent / '.mim' / 'configs' / '_base_' /
            'datasets' / f'{name}.py')
    info = Config.fromfile(path).dataset_info.keypoint_info
    assert tuple(info[number]['name'] for number in range(len(info))) == ours


def test_names_in_a_checkpoint_count_more_than_their_number() -> None:
    names = [f'p{number}' for number in range(16)] + ['withers']
    meta = dict(dataset_meta=dict(keypoint_id2name=dict(enumerate(names))))
    assert point_names(dict(meta=meta), 17) == tuple(names)
    assert match_points(names)[6] == 16
    assert point_names({}, 17) == AP10K_NAMES
    assert point_names(dict(meta=meta), 20) == ANIMALPOSE_NAMES
    assert point_names({}, 5) == ()


def test_unknown_rows_are_the_mean_of_their_neighbours() -> None:
    given = torch.arange(17.)[:, None].repeat(1, 1000)
    rows = expand_rows(given, match_points(AP10K_NAMES))
    for name, row in AP10K_ROWS.items():
        assert (rows[NAMES.index(name)] == row).all()
    # by hand, over the links of the skeleton: an ear hangs at its eye, the
    # withers between neck and elbows, the back between tail and hips; a knee
    # at its elbow, a fetlock at hoof and hock
    means = dict(l_ear=0, r_ear=1, withers=(3 + 6 + 9) / 3,
                 back=(4 + 11 + 14) / 3, tail_end=4, l_knee=6, r_knee=9,
                 lf_fetlock=7, rf_fetlock=10, lh_fetlock=(12 + 13) / 2,
                 rh_fetlock=(15 + 16) / 2)
    assert {*means, *AP10K_ROWS} == set(NAMES)
    for name, mean in means.items():
        noise = rows[NAMES.index(name)] - mean
        assert abs(noise.mean()) < 2e-4
        assert .8e-3 < noise.std() < 1.2e-3
    again = expand_rows(given, match_points(AP10K_NAMES))
    assert torch.equal(rows, again)


def test_row_far_from_all_known_ones_is_filled_too() -> None:
    rows = expand_rows(torch.full((1, 4), 5.), match_points(['tail_end']))
    assert rows.shape == (26, 4)
    assert (rows - 5).abs().max() < .02


@pytest.mark.parametrize('kind', ['rtmpose', 'hrnet'])
@pytest.mark.parametrize('points, rows, old', [
    (17, AP10K_ROWS, False), (17, AP10K_ROWS, True),
    (20, ANIMALPOSE_ROWS, True)])
def test_whole_model_is_carried_over(kind, points, rows, old) -> None:
    source, target = build(kind, points), build(kind, seed=1)
    report = transfer_weights(target, checkpoint_of(source, old), 'a.pth')
    given, found = source.state_dict(), target.state_dict()
    rest = [name for name in found if not name.startswith('head.final_layer')]
    assert all(torch.equal(given[name], found[name]) for name in rest)
    for part in ('weight', 'bias'):
        layer = f'head.final_layer.{part}'
        assert found[layer].shape == (26, *given[layer].shape[1:])
        for name, row in rows.items():
            assert torch.equal(found[layer][NAMES.index(name)],
                               given[layer][row])
    assert f'head.final_layer: {len(rows)} points by name' in report
    assert '100%' in report and 'skipped' not in report


def test_horse_model_is_copied_bit_by_bit() -> None:
    source, target = build('hrnet'), build('hrnet', seed=1)
    transfer_weights(target, checkpoint_of(source), 'a.pth')
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name]), name


def test_backbone_alone_leaves_the_head_as_it_was() -> None:
    source, target = build('rtmpose', 17), build('rtmpose', seed=1)
    before = {name: value.clone() for name, value in
              target.head.state_dict().items()}
    report = transfer_weights(target, checkpoint_of(source), 'a.pth',
                              ('backbone', ))
    for name, value in target.head.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(target.backbone.stem[0].conv.weight,
                       source.backbone.stem[0].conv.weight)
    assert 'head' not in report


def test_points_that_no_one_names_leave_the_last_layer_new() -> None:
    source, target = build('rtmpose', 5), build('rtmpose', seed=1)
    before = target.head.final_layer.weight.clone()
    report = transfer_weights(target, checkpoint_of(source), 'a.pth')
    assert torch.equal(target.head.final_layer.weight, before)
    assert torch.equal(target.head.cls_x.weight, source.head.cls_x.weight)
    assert ('skipped, of another shape: head.final_layer.weight '
            '(5, 64, 7, 7) for (26, 64, 7, 7)') in report


def test_foreign_backbone_is_refused_and_changes_nothing() -> None:
    target = build('hrnet')
    before = {n: v.clone() for n, v in target.state_dict().items()}
    with pytest.raises(DataError, match='a.pth: the backbone') as caught:
        transfer_weights(target, checkpoint_of(build('rtmpose')), 'a.pth')
    assert caught.value.found.startswith('0 of ')
    assert all(torch.equal(value, before[name])
               for name, value in target.state_dict().items())


def test_backbone_file_without_its_prefix_is_refused_with_the_cure() -> None:
    target = build('hrnet')
    state = {name.removeprefix('backbone.'): value
             for name, value in target.state_dict().items()}
    with pytest.raises(DataError) as caught:
        transfer_weights(target, dict(state_dict=state), 'a.pth')
    assert 'the file holds backbone alone' in caught.value.hint


@pytest.mark.parametrize('parts', [('neck', ), ()])
def test_parts_that_do_not_exist_are_refused(parts) -> None:
    with pytest.raises(DataError, match='backbone, head'):
        HorseTransferHook(parts)


@DATASETS.register_module(force=True)
class GreyHorses(torch.utils.data.Dataset):
    """Two empty pictures, for a run that only has to start."""

    metainfo = dict(dataset_name='horse26')

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict:
        from mmengine.structures import InstanceData, PixelData
        from mmpose.structures import PoseDataSample
        sample = PoseDataSample(metainfo=dict(input_size=(64, 64)))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.ones(1, 26))
        sample.gt_fields = PixelData(
            heatmaps=torch.zeros(26, 16, 16, dtype=torch.float32))
        return dict(inputs=torch.zeros(3, 64, 64, dtype=torch.uint8),
                    data_samples=sample)


@HOOKS.register_module(force=True)
class PeekHook(Hook):
    """Notes a weight after hooks of the start, and the first average."""

    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        self.start = runner.model.head.final_layer.weight.detach().clone()


def runner_for(folder: Path, pretrained: str | None, **changes) -> Runner:
    config = dict(
        model=estimator('hrnet', 26), work_dir=str(folder),
        train_dataloader=dict(
            batch_size=2, num_workers=0,
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='mmpose_ext.GreyHorses')),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-9)),
        custom_hooks=[dict(type='mmpose_ext.HorseTransferHook'),
                      dict(type='mmpose_ext.AutoEMAHook'),
                      dict(type='mmpose_ext.PeekHook')],
        default_hooks=dict(checkpoint=dict(
            type='mmpose_ext.ResumableCheckpointHook', interval=1)),
        visualizer=dict(type='Visualizer', vis_backends=[]),
        log_level='WARNING', default_scope='mmpose', pretrained=pretrained,
        experiment_name=f'transfer{next(_counter)}')
    config.update(changes)
    return Runner.from_cfg(Config(
        {key: value for key, value in config.items() if value != 'absent'}))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A checkpoint of an AP-10K model."""
    path = tmp_path / 'ap10k.pth'
    torch.save(checkpoint_of(build('hrnet', 17, seed=5), old=True), path)
    return str(path)


def peek(runner: Runner) -> np.ndarray:
    return next(hook for hook in runner.hooks
                if isinstance(hook, PeekHook)).start.numpy()


def test_training_and_its_average_start_from_the_file(tmp_path, file) -> None:
    nose = torch.load(file)['state_dict'][
        'keypoint_head.final_layer.weight'][2].numpy()
    runner = runner_for(tmp_path / 'run', file)
    runner.train()
    np.testing.assert_array_equal(peek(runner)[0], nose)
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)
    for part, prefix in (('state_dict', ''), ('ema_state_dict', 'module.')):
        layer = saved[part][f'{prefix}head.final_layer.weight']
        np.testing.assert_allclose(layer[0], nose, atol=1e-6)


def test_resumed_run_keeps_its_weights(tmp_path, file) -> None:
    runner_for(tmp_path / 'run', None).train()
    own = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)
    runner = runner_for(tmp_path / 'run', file, resume=True,
                        train_cfg=dict(by_epoch=True, max_epochs=2))
    runner.train()
    np.testing.assert_array_equal(
        peek(runner), own['ema_state_dict']['module.head.final_layer.weight'])


def test_resume_with_nothing_to_resume_starts_from_the_file(
        tmp_path, file) -> None:
    runner = runner_for(tmp_path / 'run', file, resume=True)
    runner.train()
    fresh = runner_for(tmp_path / 'other', file)
    fresh.train()
    np.testing.assert_array_equal(peek(runner), peek(fresh))


def test_load_from_takes_the_place_of_pretrained(tmp_path, file) -> None:
    own = build('hrnet', seed=9)
    torch.save(checkpoint_of(own), tmp_path / 'own.pth')
    runner = runner_for(tmp_path / 'run', file,
                        load_from=str(tmp_path / 'own.pth'))
    runner.train()
    np.testing.assert_array_equal(
        peek(runner), own.head.final_layer.weight.detach())


def test_missing_file_names_both_ways_out(tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        runner_for(tmp_path / 'run', 'checkpoints/hrnet_w32_ap10k_256x256-'
                   '18aac840_20211029.pth').train()
    assert ('python tools/download_checkpoints.py --only hrnet-w32-ap10k`'
            in caught.value.hint)
    assert 'pretrained=None' in caught.value.hint


def test_frozen_random_weights_are_named(tmp_path, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(MMLogger, 'warning',
                        lambda self, text, *_: said.append(text))
    freeze = dict(type='mmpose_ext.FreezeHook', patterns=['stem', 'layer1'])
    hooks = [dict(type='mmpose_ext.HorseTransferHook'), freeze]
    runner_for(tmp_path / 'run', None, custom_hooks=hooks).train()
    assert [text for text in said if 'random' in text] == [
        'stem, layer1 stay frozen with random weights; to train them: '
        '--cfg-options custom_hooks.1.patterns=[]']


def test_config_that_does_not_say_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match='pretrained'):
        runner_for(tmp_path / 'run', 'absent').train()
