"""Two processes with half the batch each train as one with the whole."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config

from .trainings import VALIDATED, Family, without_dropout


@pytest.fixture(scope='session')
def comparable(family: Family) -> Family:
    """The family without what differs by design or magnifies rounding.

    Every process drops other neurons, and Adam turns the rounding error of
    a gradient that is zero into a step of full length. Plain descent keeps
    the sum of the gradients, and small steps keep rounding from growing.
    """
    config = Config.fromfile(family.config, import_custom_modules=False)
    config.model = without_dropout(config.model)
    config.optim_wrapper.optimizer = dict(
        type='SGD', lr=1e-4, momentum=.9, weight_decay=1e-4)
    losses = config.model.get('head', {}).get('pose_losses', {})
    if 'consistency' in losses:
        # copies that nearly agree: the sign of a difference is rounding
        losses.consistency.kind = 'l2'
        config.optim_wrapper.optimizer.lr = 1e-5
    config.train_cfg.max_epochs = 2
    path = family.config.with_name(f'comparable_{family.config.name}')
    config.dump(path)
    return Family(family.name, path, family.server)


@pytest.mark.dist
def test_same_training_and_metrics(comparable, new_run):
    batch = Config.fromfile(
        comparable.config,
        import_custom_modules=False).train_dataloader.batch_size
    one = comparable.train(new_run())
    two = comparable.train(new_run(), processes=2,
                           **{'train_dataloader.batch_size': batch // 2})
    assert one.codes == [0], one.log
    assert two.codes == [0, 0], two.log

    single, *halves = (
        np.array([line['loss'] for line in run.lines(name).values()])
        for run, name in ((one, 'losses_0'), (two, 'losses_0'),
                          (two, 'losses_1')))
    np.testing.assert_allclose(np.mean(halves, 0), single, rtol=1e-4)
    assert not np.allclose(*halves, rtol=1e-4)  # each has its own half

    ours, theirs = (run.checkpoint for run in (one, two))
    gradients, others = (
        [state['momentum_buffer']
         for _, state in sorted(run['optimizer']['state'].items())]
        for run in (ours, theirs))
    # some are zero but for the rounding of all that they are the sum of
    rounding = max(1e-4, 1e-5 * torch.stack(
        [gradient.norm() for gradient in gradients]).norm().item())
    for gradient, other in zip(gradients, others, strict=True):
        # a kink of a ReLU or another maximum of a pool may lie in between
        assert (gradient - other).norm() < .05 * gradient.norm() + rounding
    for name in ('state_dict', 'ema_state_dict'):
        for key, value in ours.get(name, {}).items():
            torch.testing.assert_close(
                theirs[name][key], value, rtol=1e-3, atol=1e-4,
                msg=lambda text, key=key: f'{key}: {text}')

    # every process knows the common figures
    ours, theirs = (two.lines(f'metrics_{rank}') for rank in (0, 1))
    assert str(ours) == str(theirs)  # nan is not itself


@pytest.mark.dist
def test_same_metrics_of_one_model(family, undisturbed, new_run):
    """Padding to an even number of samples would show in every mean."""
    assert VALIDATED % 2
    checkpoint = undisturbed.folder / 'epoch_3.pth'
    one = family.test(new_run(), checkpoint)
    two = family.test(new_run(), checkpoint, processes=2)
    assert one.codes == [0], one.log
    assert two.codes == [0, 0], two.log
    ours, theirs, again = (
        run.lines(name)[0] for run, name in (
            (one, 'metrics_0'), (two, 'metrics_0'), (two, 'metrics_1')))
    assert str(theirs) == str(again)
    assert len(ours) > 2 and ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_allclose(theirs[key], value, rtol=1e-5, atol=1e-6,
                                   err_msg=key)
