"""Bouts: unbroken stretches of frames in which a class holds."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Bouts:
    """Stretches of frames, ordered by class and then by time.

    Attributes:
        classes: (N,) column each belongs to.
        starts: (N,) first frame.
        stops: (N,) frame after the last.
        records: (N,) number of the record each began in.
    """

    classes: Array
    starts: Array
    stops: Array
    records: Array

    @property
    def lengths(self) -> Array:
        """(N,) frames."""
        return self.stops - self.starts

    def __len__(self) -> int:
        return len(self.starts)


def find_bouts(labels: Array, lengths: Sequence[int] | None = None) -> Bouts:
    """Find the stretches in which each column is set.

    Args:
        labels (ndarray): (T, C), 0 or 1.
        lengths (Sequence[int], optional): Frames of each record; a bout ends
            with its record. Defaults to None: one record.

    Returns:
        Bouts: With frames counted over all records.
    """
    labels = np.asarray(labels, bool)
    borders = np.cumsum([0, *(lengths or [len(labels)])])
    if borders[-1] != len(labels):
        raise ValueError(
            f'records of {borders[-1]} frames for {len(labels)} labels')
    before = np.zeros_like(labels)
    before[1:] = labels[:-1]
    after = np.zeros_like(labels)
    after[:-1] = labels[1:]
    inner = borders[1:-1]
    inner = inner[inner < len(labels)]
    before[inner] = False
    after[inner - 1] = False
    # transposed, so that they come out ordered by class
    classes, starts = np.nonzero((labels & ~before).T)
    stops = np.nonzero((labels & ~after).T)[1] + 1
    records = np.searchsorted(borders, starts, 'right') - 1
    return Bouts(classes, starts, stops, records)


def mean_durations(bouts: Bouts, num_classes: int, fps: float) -> Array:
    """Mean length (C,) of the bouts of each class, s; 0 without one."""
    counts = np.bincount(bouts.classes, minlength=num_classes)
    total = np.bincount(bouts.classes, bouts.lengths, minlength=num_classes)
    return np.divide(total, counts * fps, out=np.zeros(num_classes),
                     where=counts > 0)


def bout_rates(bouts: Bouts, num_classes: int, num_frames: int,
               fps: float) -> Array:
    """Bouts (C,) of each class a minute."""
    counts = np.bincount(bouts.classes, minlength=num_classes)
    return np.asarray(counts / (num_frames / fps / 60))


def transition_matrix(states: Array, num_states: int,
                      lengths: Sequence[int] | None = None) -> Array:
    """How often one state is followed by each other one.

    Staying is left out, and so is what lies across the border of two records.

    Args:
        states (ndarray): (T,) numbers; below 0 is no state, and a frame
            without one parts those beside it.
        num_states (int): How many there are.
        lengths (Sequence[int], optional): Frames of each record. Defaults to
            None: one record.

    Returns:
        ndarray: (num_states, num_states) shares; rows sum to 1, or are 0
        where a state is never left for another one.
    """
    borders = np.cumsum(lengths or [len(states)])[:-1]
    moves = states[1:] != states[:-1]
    moves &= (states[1:] >= 0) & (states[:-1] >= 0)
    moves[borders[(borders > 0) & (borders < len(states))] - 1] = False
    counts = np.zeros((num_states, num_states))
    np.add.at(counts, (states[:-1][moves], states[1:][moves]), 1)
    total = counts.sum(1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts),
                     where=total > 0)
