"""What the network reads, and what it is asked for."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.behavior.preprocessor import (
    LisbetPreprocessor,
    LisbetStandardizeHook,
)
from mmpose_ext.storage import DataError

M, W = 6, 12


def batch(text='', **labels):
    generator = torch.Generator().manual_seed(0)
    sample = PoseDataSample()
    sample.gt_instance_labels = InstanceData(**labels)
    sample.set_metainfo(dict(task='cons', first=0, augmentation=text,
                             flip_indices=(0, 2, 1)))
    inputs = torch.rand(M, W, 2, 3, 2, generator=generator)
    return dict(inputs=inputs, draw_seeds=torch.arange(M),
                valid=torch.tensor([[2, W]] * M), data_samples=[sample])


def make(**kwargs):
    return LisbetPreprocessor(2, 3, 2, **kwargs)


def test_coordinates_are_read_in_their_order_and_missing_ones_as_zero():
    data = batch()
    data['inputs'][0, 3, 1, 2] = float('nan')
    wanted = data['inputs'].flatten(2).nan_to_num(0.)
    model = make()
    found = model(data)['inputs']
    assert found.shape == (M, W, model.feature_dim) == (M, W, 12)
    torch.testing.assert_close(found, wanted)


def test_a_mask_tells_what_is_known():
    data = batch()
    data['inputs'][0, 3, 1, 2] = float('nan')
    model = make(missing='mask')
    known = model(data)['inputs'][..., 12:]
    assert known.shape[-1] == 6 == model.feature_dim - 12
    assert known[0, 3].tolist() == [1, 1, 1, 1, 1, 0]
    assert (known[:, :2] == 0).all()  # padding is no observation
    assert known[1:, 2:].all()


def test_the_data_set_decides_what_is_augmented():
    plain, moved = (make()(batch(text), True)['inputs']
                    for text in ('', 'translation:max=.3'))
    assert not torch.allclose(plain, moved)
    torch.testing.assert_close(make()(batch('translation:max=.3'), False)[
        'inputs'], moved)


def test_hidden_points_are_the_answer_and_not_in_the_question():
    hidden = torch.zeros(M, W, 2, 3, dtype=torch.bool)
    hidden[:, 4:8, 0, 1] = True
    data = batch(hidden=hidden)
    true = data['inputs'].clone()
    result = make()(data)
    labels = result['data_samples'][0].gt_instance_labels
    assert 'hidden' not in labels
    assert labels.target_mask.sum() == M * 4 * 2
    torch.testing.assert_close(labels.target, true.flatten(2))
    assert (result['inputs'][:, 4:8, 2:4] == 0).all()


def test_the_future_is_asked_for_as_a_way_from_the_present():
    future = torch.rand(M, 5, 2, 3, 2)
    future[0, 0, 0, 0] = float('nan')
    data = batch(future=future)
    last = data['inputs'][:, -1:].clone()
    labels = make()(data)['data_samples'][0].gt_instance_labels
    assert labels.target_mask.sum() == M * 5 * 12 - 2
    torch.testing.assert_close(
        labels.target, (future - last).nan_to_num(0.).flatten(2))


def test_standardized_features_have_mean_0_and_deviation_1():
    model = make(features=('position', 'velocity'), standardize=True)
    windows = torch.rand(200, W, 2, 3, 2) * 3 + 1
    windows[::3, 4, 0, 0] = float('nan')
    model.fit(windows)
    found = model.describe(windows)[:, 1:].flatten(0, 1)
    assert found.mean(0).abs().max() < .1
    assert (found.std(0) - 1).abs().max() < .1
    assert found.abs().max() <= 10


def test_the_scale_is_found_once_and_then_comes_with_the_weights():
    class Data(list):
        def __getitems__(self, indices):
            return batch()
    model = make(standardize=True)
    runner = SimpleNamespace(
        model=SimpleNamespace(data_preprocessor=model),
        cfg=SimpleNamespace(filename='config.py'),
        train_loop=SimpleNamespace(
            dataloader=SimpleNamespace(dataset=Data([0, 1, 2]))))
    LisbetStandardizeHook().before_train(runner)
    found = model.mean.clone()
    assert model.fitted and found.abs().sum() > 0
    again = make(standardize=True)
    again.load_state_dict(model.state_dict())
    again.mean += 1
    runner.model.data_preprocessor = again
    LisbetStandardizeHook().before_train(runner)
    torch.testing.assert_close(again.mean, found + 1)
    runner.model.data_preprocessor = make()
    with pytest.raises(DataError, match='standardize'):
        LisbetStandardizeHook().before_train(runner)


def test_windows_of_another_layout_are_refused():
    data = batch()
    data['inputs'] = data['inputs'][:, :, :, :2]
    with pytest.raises(DataError, match='same points as in training'):
        make()(data)


@pytest.mark.parametrize('settings', [
    dict(missing='nan'), dict(features=('speed', )), dict(features=()),
    dict(body_axis=(0, )), dict(body_axis=(0, 3)),
    dict(body_axis=((0, 7), 1))])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match='expected'):
        make(**settings)


def test_mixed_precision_moves_no_point():
    """A training calls it under autocast."""
    text = 'rotation'
    with torch.autocast('cpu', torch.bfloat16):
        found = make()(batch(text))['inputs']
    plain = make()(batch(text))['inputs']
    assert torch.equal(found, plain)
    assert not torch.equal(plain, make()(batch())['inputs'])
