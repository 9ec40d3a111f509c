"""Heads: sizes, pooling, which token, what they answer."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmpose_ext.behavior.head import LisbetFrameHead, LisbetWindowHead

from .window_batches import sample_of


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_numbers_of_parameters() -> None:
    assert count(LisbetWindowHead(64, 256)) == 16_897
    assert count(LisbetWindowHead(32, 128)) == 4_353
    assert count(LisbetFrameHead(4, 32, 128)) == 32 * 128 + 128 + 4 * 129
    assert count(LisbetWindowHead(64, None)) == 65


def two_layers(head: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    first, second = head.logits.linear1, head.logits.linear2
    hidden = x @ first.weight.t() + first.bias
    hidden = hidden * (1 + torch.erf(hidden / 2**.5)) / 2
    return hidden @ second.weight.t() + second.bias


def test_window_head_reads_the_maximum_over_time() -> None:
    head, feats = LisbetWindowHead(8, 12), torch.randn(5, 9, 8)
    torch.testing.assert_close(head(feats), two_layers(head, feats.amax(1)))


def test_window_head_reads_means() -> None:
    feats = torch.randn(5, 9, 8)
    head = LisbetWindowHead(8, 12, pooling='mean')
    torch.testing.assert_close(head(feats), two_layers(head, feats.mean(1)))
    head = LisbetWindowHead(8, 12, pooling='attention')
    weights = head.attention(feats).exp()
    torch.testing.assert_close(head(feats), two_layers(
        head, (feats * weights).sum(1) / weights.sum(1)))
    with pytest.raises(ValueError, match='pooling'):
        LisbetWindowHead(pooling='min')


def test_window_head_answers_with_a_chance() -> None:
    head, feats = LisbetWindowHead(8, 12), torch.randn(6, 9, 8)
    logits = head(feats)
    labels = torch.tensor([[0.], [1.], [1.], [0.], [.3], [.8]])
    found = head.loss(feats, sample_of('cons', labels=labels))
    torch.testing.assert_close(
        found['loss'], F.binary_cross_entropy(logits.sigmoid(), labels))
    wanted = [(p > .5) == (t > .5) for p, t in zip(
        logits.sigmoid().flatten().tolist(), labels.flatten().tolist(),
        strict=True)]
    assert found['acc'].item() == pytest.approx(sum(wanted) / 6)
    torch.testing.assert_close(head.predict(feats)['scores'],
                               logits.sigmoid())


@pytest.mark.parametrize(('offset', 'token'), [(0, 8), (3, 5), (8, 0)])
def test_frame_head_reads_the_token_of_the_frame(offset: int,
                                                 token: int) -> None:
    head, feats = LisbetFrameHead(3, 8, 12), torch.randn(5, 9, 8)
    head.window_offset = offset
    torch.testing.assert_close(head(feats), two_layers(head, feats[:, token]))
    torch.testing.assert_close(head(feats[:, token]), head(feats))


def test_frame_head_answers_with_one_class() -> None:
    head, feats = LisbetFrameHead(3, 8, 12), torch.randn(6, 9, 8)
    head.set_class_counts(torch.tensor([1, 2, 3]), 6)
    labels = head(feats).argmax(-1)
    labels[:2] = (labels[:2] + 1) % 3
    labels[2] = -1  # unknown
    found = head.loss(feats, sample_of('multiclass', labels=labels))
    assert found['acc'].item() == pytest.approx(3 / 5)
    scores = head.predict(feats)['scores']
    torch.testing.assert_close(scores.sum(-1), torch.ones(6))
    shares = F.one_hot(labels.clamp(min=0), 3).float()
    shares[2] = 0
    soft = head.loss(feats, sample_of('multiclass', labels=shares))
    torch.testing.assert_close(soft['loss'], found['loss'])
    torch.testing.assert_close(soft['acc'], found['acc'])


def test_frame_head_answers_with_several_classes() -> None:
    head = LisbetFrameHead(3, 8, None, kind='multilabel')
    head.set_class_counts(torch.tensor([1, 2, 3]), 6)
    feats = torch.randn(6, 9, 8)
    labels = (head(feats) > 0).float().detach()
    labels[0, 0] = 1 - labels[0, 0]
    labels[1, 1] = -1
    found = head.loss(feats, sample_of('multilabel', labels=labels))
    assert found['acc'].item() == pytest.approx(16 / 17)
    torch.testing.assert_close(head.predict(feats)['scores'],
                               head(feats).sigmoid())


def test_kind_of_frame_head_is_checked() -> None:
    with pytest.raises(ValueError, match='kind'):
        LisbetFrameHead(3, kind='several')
