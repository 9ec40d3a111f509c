"""The whole model: everything learns, nothing is looked up."""
from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import mmpose_ext.handobject  # noqa: F401
from mmpose_ext.handobject.codec import project
from mmpose_ext.handobject.object_losses import HandObjectPenetrationLoss
from mmpose_ext.handobject.records import HandObjectTargets
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from tests.unit.handobject.batches import (
    LOSSES,
    SIZE,
    make_pictures,
    make_samples,
    model_config,
)
from tests.unit.handobject.mano_stand_in import write_mano


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope('mmpose')
    torch.manual_seed(0)


def total(results: dict) -> torch.Tensor:
    return torch.stack([value for name, value in results.items()
                        if name.startswith('loss')]).sum()


def test_gradient_reaches_every_parameter() -> None:
    model = MODELS.build(model_config()).train()
    samples = make_samples(6)
    # a joint that is thought outside the crop asks the token for outside
    with torch.no_grad():
        model.head.hand.locator.offset.last.bias.fill_(.5)
    total(model.loss(make_pictures(6), samples)).backward()
    without = [name for name, parameter in model.named_parameters()
               if parameter.grad is None or not parameter.grad.abs().sum()]
    assert without == []
    assert all(torch.isfinite(parameter.grad).all()
               for parameter in model.parameters())


def test_weighted_losses_are_of_one_order_at_the_start() -> None:
    """With the weights of configs/handobject/_base_/hot.py."""
    weights = dict(uv=5., dz=10., rel=10., limits=.1, spread=.05,
                   object_centre=5., presence=.2, grasp=.2, contact=.5)
    losses = {name: dict(LOSSES[name], loss_weight=weights.get(name, 1.))
              for name in LOSSES}
    config = model_config()
    config['head']['losses'] = losses
    results = MODELS.build(config).train().loss(make_pictures(6),
                                                make_samples(6))
    parts = sorted(results[f'loss_{name}'].item() for name in
                   ('uv', 'dz', 'rel', 'rho', 'object_centre',
                    'object_rotation'))
    assert parts[-1] < 20 * parts[0]


def test_prediction_looks_at_no_label() -> None:
    model = MODELS.build(model_config()).eval()
    pictures, samples = make_pictures(3), make_samples(3)
    others = make_samples(3, seed=1)
    for sample, other in zip(samples, others, strict=True):
        other.set_metainfo(copy.deepcopy(sample.metainfo))
    with torch.no_grad():
        first = model.predict(pictures, copy.deepcopy(samples))
        second = model.predict(pictures, others)
    for one, two in zip(first, second, strict=True):
        for name in one.pred_instances.keys():  # noqa: SIM118
            np.testing.assert_array_equal(one.pred_instances[name],
                                          two.pred_instances[name])


def test_the_crops_camera_is_heard() -> None:
    model = MODELS.build(model_config()).eval()
    samples = make_samples(1)
    with torch.no_grad():
        first = model.predict(make_pictures(1), copy.deepcopy(samples))[0]
        camera = samples[0].view_camera.copy()
        camera[:2, :2] *= 2
        samples[0].set_metainfo(dict(view_camera=camera))
        second = model.predict(make_pictures(1), samples)[0]
    ratio = (second.pred_instances.keypoints_cam[0, 0, 2]
             / first.pred_instances.keypoints_cam[0, 0, 2])
    assert 1.5 < ratio < 2.5


def test_pixels_and_space_say_the_same() -> None:
    model = MODELS.build(model_config()).eval()
    targets = HandObjectTargets.stack(make_samples(2), SIZE)
    with torch.no_grad():
        prediction = model.head(model.extract_feat(make_pictures(2)),
                                targets.view_camera)
    for hand in prediction.hands:
        torch.testing.assert_close(
            project(hand.joints, targets.view_camera), hand.pixels,
            atol=1e-3, rtol=0)
    objects = prediction.objects
    torch.testing.assert_close(
        project(objects.translations, targets.view_camera), objects.pixels,
        atol=1e-3, rtol=0)
    rotations = objects.rotations
    eye = torch.eye(3).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.mT, eye, atol=1e-5,
                               rtol=0)


def test_hands_alone() -> None:
    config = model_config(num_objects=0, predict_contact=False)
    config['head']['losses'] = {
        name: LOSSES[name] for name in ('uv', 'dz', 'rel', 'rho', 'spread')}
    config['head']['refiner'] = None
    model = MODELS.build(config)
    total(model.loss(make_pictures(2), make_samples(2))).backward()
    assert all(parameter.grad is not None
               for parameter in model.parameters())
    with torch.no_grad():
        found = model.eval().predict(make_pictures(2), make_samples(2))[0]
    assert 'object_rotations' not in found.pred_instances
    assert 'contact_scores' not in found.pred_instances
    assert found.pred_instances.keypoints_cam.shape == (1, 21, 3)


def test_eight_samples_are_learnt_by_heart() -> None:
    config = model_config()
    config['head']['losses'] = {
        name: dict(LOSSES[name], loss_weight=weight) for name, weight in
        dict(uv=5., dz=10., rel=30., rho=1.).items()}
    config['head'].update(num_objects=0, predict_contact=False, num_layers=1,
                          refiner=dict(steps=1), sigma_reparam=None)
    model = MODELS.build(config).train()
    pictures, samples = make_pictures(8), make_samples(8)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, 120)
    for _ in range(120):
        loss = total(model.loss(pictures, samples))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = model.eval().predict(pictures, copy.deepcopy(samples))
    errors = []
    for sample, prediction in zip(samples, found, strict=True):
        true = sample.gt_instance_labels.joints.numpy()
        seen = prediction.pred_instances.keypoints_cam
        relative = (seen - seen[:, :1]) - (true - true[:, :1])
        errors.append(np.linalg.norm(relative, axis=-1).mean())
    assert np.mean(errors) < .003  # m


@pytest.mark.parametrize(('head', 'message'), [
    (dict(num_objects=0), 'expected objects'),
    (dict(rotation_frame='world'), 'allocentric or camera'),
    (dict(num_heads=5), 'divisor of 32'),
])
def test_settings_that_do_not_fit(head: dict, message: str) -> None:
    config = model_config()
    config['head'].update(head)
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)


def parts_of(error: pytest.ExceptionInfo[DataError]) -> tuple[str, ...]:
    return (error.value.file, error.value.where, error.value.expected,
            error.value.found)


def test_the_codecs_crops_are_the_heads() -> None:
    codec = dict(type='mmpose_ext.HandObjectLabel', input_size=(128, 128))
    with pytest.raises(DataError) as error:
        MODELS.build(model_config(decoder=codec))
    assert parts_of(error) == ('config', 'model.head.input_size',
                               '128 x 128 px, the size of the codec',
                               '64 x 64')


@pytest.mark.parametrize('mode', ['loss', 'predict'])
def test_crops_of_another_size(mode: str) -> None:
    model, samples = MODELS.build(model_config()), make_samples(2)
    for sample in samples:
        sample.set_metainfo(dict(input_size=(128, 128)))
    with pytest.raises(DataError) as error:
        getattr(model, mode)(make_pictures(2), samples)
    assert parts_of(error) == ('config', 'model.head.input_size',
                               '128 x 128 px, the size of the crops',
                               '64 x 64')


def test_maps_of_other_channels() -> None:
    config = model_config()
    config['head']['in_channels'] = [32, 16]
    with pytest.raises(ValueError, match=r'\[32, 16\] channels, found \[32\]'
                       ):
        MODELS.build(config).loss(make_pictures(1), make_samples(1))


@pytest.mark.parametrize(('head', 'names', 'expected', 'found'), [
    (dict(predict_contact=False), 'contact', 'predict_contact=True',
     'predict_contact=False'),
    (dict(num_objects=0, predict_contact=False),
     'object_centre, object_maps, object_rotation, presence, grasp, contact',
     'num_objects=21, predict_contact=True',
     'num_objects=0, predict_contact=False'),
    (dict(losses=dict(mano=dict(type='mmpose_ext.HandObjectManoLoss'))),
     'mano', 'mano=dict(path=...)', 'mano=None'),
])
def test_losses_of_what_is_not_predicted(
        head: dict, names: str, expected: str, found: str) -> None:
    config = model_config()
    config['head'].update(head)
    with pytest.raises(DataError) as error:
        MODELS.build(config)
    assert parts_of(error) == ('config', f'model.head.losses.{names}',
                               expected, found)
    assert HandObjectPenetrationLoss.needs == 'objects'


def test_none_drops_a_loss() -> None:
    config = model_config(predict_contact=False)
    config['head']['losses'] = {**LOSSES, 'contact': None}
    model = MODELS.build(config)
    assert set(model.head.losses) == set(LOSSES) - {'contact'}


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('sigma_reparam', [None, dict(gamma_init='one')])
def test_half_precision_stays_inside(
        dtype: torch.dtype, sigma_reparam: dict | None,
        tmp_path: Path) -> None:
    config = model_config(mano=dict(path=str(write_mano(tmp_path))))
    config['head']['sigma_reparam'] = sigma_reparam
    model = MODELS.build(config).train()
    pictures, samples = make_pictures(3), make_samples(3)
    targets = HandObjectTargets.stack(samples, SIZE)
    with torch.autocast('cpu', dtype):
        results = model.loss(pictures, samples)
        with torch.no_grad():
            feats = model.extract_feat(pictures)
            prediction = model.head(feats, targets.view_camera)
            found = model.eval().predict(pictures, samples)
    for value in results.values():
        assert value.dtype == torch.float32 and torch.isfinite(value)
    total(results).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in
               model.parameters() if parameter.grad is not None)
    parts = [prediction, *prediction.hands, prediction.objects]
    tensors = {
        f'{type(part).__name__}.{name}': value for part in parts
        for name, value in vars(part).items()
        if isinstance(value, torch.Tensor)}
    assert {name for name, value in tensors.items()
            if value.dtype != torch.float32} == set()
    # made of half numbers, but not by them
    rotations = prediction.objects.rotations
    torch.testing.assert_close(rotations @ rotations.mT,
                               torch.eye(3).expand_as(rotations), atol=1e-5,
                               rtol=0)
    torch.testing.assert_close(
        project(prediction.hands[-1].joints, targets.view_camera),
        prediction.hands[-1].pixels, atol=1e-3, rtol=0)
    for name, value in found[0].pred_instances.items():
        if not name.startswith('bbox'):  # the photograph's
            assert value.dtype == np.float32, name
            assert np.isfinite(value).all(), name


def test_a_parametric_hand_is_learnt_beside(tmp_path: Path) -> None:
    plain = MODELS.build(model_config()).eval()
    config = model_config(mano=dict(path=str(write_mano(tmp_path))))
    config['head']['losses'] = dict(
        LOSSES, mano=dict(type='mmpose_ext.HandObjectManoLoss'))
    model = MODELS.build(config)
    pictures, samples = make_pictures(3), make_samples(3)
    total(model.train().loss(pictures, samples)).backward()
    mano = dict(model.head.mano.named_parameters())
    assert mano and all(parameter.grad.abs().sum() > 0
                        for parameter in mano.values())
    # nothing of the licensed file is in a checkpoint
    extra = set(model.state_dict()) - set(plain.state_dict())
    assert extra == {f'head.mano.{name}' for name in mano}
    # and other predictions do not see it
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        found, expected = (
            one.eval().predict(pictures, copy.deepcopy(samples))[0]
            .pred_instances for one in (model, plain))
    joints = found.pop('keypoints_cam_mano')
    assert joints.shape == (1, 21, 3)
    np.testing.assert_allclose(joints[:, 0], found.keypoints_cam[:, 0],
                               atol=1e-6)
    assert set(found.keys()) == set(expected.keys())
    for name in expected.keys():  # noqa: SIM118
        np.testing.assert_array_equal(found[name], expected[name])
