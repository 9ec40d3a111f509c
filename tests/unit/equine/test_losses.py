from __future__ import annotations

import torch
from torch.nn import functional as F

from mmpose_ext.equine.losses import HorseKLDiscretLoss, KLDiscretLoss

SETTINGS = dict(use_target_weight=True, beta=10., label_softmax=True)


def batch(samples: int, seed: int = 0) -> tuple:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return ((draw(samples, 5, 16), draw(samples, 5, 12)),
            (draw(samples, 5, 16), draw(samples, 5, 12)), draw(samples, 5))


def test_is_the_weighted_divergence_of_the_distributions() -> None:
    predicted, true, weight = batch(3)
    expected = 0.
    for logits, labels in zip(predicted, true, strict=True):
        p = F.softmax(10 * labels, -1)
        q = F.softmax(10 * logits, -1)
        divergence = (p * (p / q).log()).mean(-1)
        expected += (weight * divergence).sum() / 15
    loss = HorseKLDiscretLoss(**SETTINGS)(predicted, true, weight)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        loss, KLDiscretLoss(**SETTINGS)(predicted, true, weight) / 3)


def test_halves_of_a_batch_average_to_the_whole() -> None:
    predicted, true, weight = batch(6)
    loss = HorseKLDiscretLoss(**SETTINGS)
    halves = [loss(tuple(p[part] for p in predicted),
                   tuple(t[part] for t in true), weight[part])
              for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(sum(halves) / 2,
                               loss(predicted, true, weight))
