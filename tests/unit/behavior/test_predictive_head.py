"""Heads that foresee, fill in, or tell moments apart."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from mmpose_ext.behavior.predictive_head import (
    LisbetContrastHead,
    LisbetForecastHead,
    LisbetReconstructionHead,
)
from mmpose_ext.storage import DataError

from .window_batches import sample_of


def test_what_was_not_asked_does_not_count() -> None:
    head = LisbetReconstructionHead(4, 8, 12)
    feats = torch.randn(5, 9, 8)
    target = torch.rand(5, 9, 4)
    asked = torch.rand(5, 9, 4) < .3
    loss = head.loss(feats, sample_of('masked', target=target,
                                      target_mask=asked))['loss']
    error = 10 * (head(feats) - target)[asked].abs()
    wanted = torch.where(error < 1, error**2 / 2, error - .5).mean()
    torch.testing.assert_close(loss, wanted)
    other = target.masked_fill(~asked, 77.)
    torch.testing.assert_close(loss, head.loss(feats, sample_of(
        'masked', target=other, target_mask=asked))['loss'])


def test_nothing_asked_is_no_loss() -> None:
    head = LisbetReconstructionHead(4, 8, 12)
    found = head.loss(torch.randn(5, 9, 8), sample_of(
        'masked', target=torch.zeros(5, 9, 4),
        target_mask=torch.zeros(5, 9, 4, dtype=torch.bool)))
    assert found['loss'] == 0
    found['loss'].backward()


def test_forecast_reads_the_last_token() -> None:
    head = LisbetForecastHead(3, 4, 8, None)
    head.window_offset = 2  # of no concern
    feats = torch.randn(5, 9, 8)
    wanted = head.layers(feats[:, -1]).view(5, 3, 4)
    torch.testing.assert_close(head(feats), wanted)


def test_accuracy_is_what_is_better_than_the_trivial_answer() -> None:
    feats = torch.randn(5, 9, 8)
    everything = torch.ones(5, 3, 4, dtype=torch.bool)
    head = LisbetForecastHead(3, 4, 8, None)
    right = sample_of('forecast', target=head(feats).detach(),
                      target_mask=everything)
    assert head.loss(feats, right)['acc'].item() == pytest.approx(1)
    torch.nn.init.zeros_(head.layers.weight)
    torch.nn.init.zeros_(head.layers.bias)  # nothing moves
    found = head.loss(feats, right)
    assert found['acc'].item() == pytest.approx(0)
    errors = head.predict(feats, right)
    torch.testing.assert_close(errors['errors'], errors['trivial_errors'])
    torch.testing.assert_close(
        errors['errors'],
        right.gt_instance_labels.target.square().mean((1, 2)).sqrt())
    mean = LisbetReconstructionHead(4, 8, None)
    torch.nn.init.zeros_(mean.layers.weight)
    target = torch.rand(5, 9, 4) + torch.arange(4)
    mean.layers.bias.data = target.mean((0, 1))
    assert mean.loss(feats, sample_of(
        'masked', target=target, target_mask=torch.ones_like(target))
    )['acc'].item() == pytest.approx(0, abs=1e-5)


def test_answers_of_another_size_are_named() -> None:
    head = LisbetForecastHead(3, 4, 8, None)
    with pytest.raises(DataError, match=r'\(2, 4\).*\(3, 4\)'):
        head.loss(torch.randn(5, 9, 8), sample_of(
            'forecast', target=torch.zeros(5, 2, 4),
            target_mask=torch.ones(5, 2, 4, dtype=torch.bool)))


def test_contrast_is_the_choice_of_the_partner_among_all_others() -> None:
    head = LisbetContrastHead(8, None, 6, temperature=.2)
    feats = torch.randn(8, 9, 8)
    vectors = F.normalize(head.layers(feats[:, -1]), dim=-1)
    total, found = 0., 0
    for i in range(8):
        partner = (i + 4) % 8
        scores = {j: (vectors[i] @ vectors[j]).item() / .2
                  for j in range(8) if j != i}
        shares = torch.tensor(list(scores.values())).softmax(0)
        total -= shares[list(scores).index(partner)].log().item() / 8
        found += max(scores, key=scores.get) == partner
    result = head.loss(feats, sample_of('contrast', windows=8))
    assert result['loss'].item() == pytest.approx(total, rel=1e-5)
    assert result['acc'].item() == pytest.approx(found / 8)
    scores = head.predict(feats)['scores']
    assert scores.shape == (4, )
    assert scores.mean().item() == pytest.approx(found / 8)


def contrast_of_rank(rank: int, head: LisbetContrastHead,
                     feats: torch.Tensor, folder: Path) -> None:
    """Write loss and gradient of a process with half of the pairs."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2)
    result = head.loss(feats[[[0, 1, 4, 5], [2, 3, 6, 7]][rank]],
                       sample_of('contrast'))
    result['loss'].backward()
    torch.save(dict(result, gradient=head.layers.weight.grad),
               folder / f'rank{rank}.pth')


@pytest.mark.dist
def test_two_processes_choose_among_the_windows_of_both(
        tmp_path: Path) -> None:
    head = LisbetContrastHead(8, None, 6)
    feats = torch.randn(8, 9, 8)
    mp.start_processes(contrast_of_rank, args=(head, feats, tmp_path),
                       nprocs=2, start_method='forkserver')
    whole = head.loss(feats, sample_of('contrast'))
    whole['loss'].backward()
    halves = [torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1)]
    for name, wanted in dict(
            whole, gradient=head.layers.weight.grad).items():
        torch.testing.assert_close(
            sum(half[name] for half in halves) / 2, wanted, msg=name)


def test_equal_windows_are_found() -> None:
    head = LisbetContrastHead(8, 12)
    feats = torch.randn(4, 9, 8).repeat(2, 1, 1)
    assert head.loss(feats, sample_of('contrast'))['acc'] == 1
