"""The four published setups of DexYCB: whose videos train, and whose test."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

SETUPS = ('s0', 's1', 's2', 's3')
SPLITS = ('train', 'val', 'test')
NUM_SUBJECTS, NUM_CAMERAS, NUM_SEQUENCES = 10, 8, 100
SEQUENCES_OF_AN_OBJECT = 5
KEYFRAME_STEP = 4

_SUBJECTS = frozenset(range(NUM_SUBJECTS))
_CAMERAS = tuple(range(NUM_CAMERAS))
# Of sequence number // 5, which walks through the 20 objects
_UNSEEN_VAL, _UNSEEN_TEST = frozenset({3, 19}), frozenset({7, 11, 15})


@dataclass(frozen=True)
class SplitRule:
    """What belongs to a split.

    Attributes:
        subjects: Numbers of subjects, 0..9.
        cameras: Numbers of cameras, 0..7, in their order.
        remainders: Of a sequence's number by 5.
        objects: Sequence's number // 5; None for all.
    """

    subjects: frozenset[int] = _SUBJECTS
    cameras: tuple[int, ...] = _CAMERAS
    remainders: frozenset[int] = frozenset(range(5))
    objects: frozenset[int] | None = None

    def takes(self, subject: int, number: int) -> bool:
        """Whether a sequence belongs to the split.

        Args:
            subject (int): Number of the subject, 0..9.
            number (int): Place among the sequences of the subject.
        """
        return (subject in self.subjects
                and number % SEQUENCES_OF_AN_OBJECT in self.remainders
                and (self.objects is None
                     or number // SEQUENCES_OF_AN_OBJECT in self.objects))


@dataclass(frozen=True)
class SplitVideos:
    """Videos of a split, V of them, in the official order.

    That is by subject, then sequence, then camera.

    Attributes:
        subject: (V, ) number of the subject.
        number: (V, ) place of the sequence among those of its subject.
        camera: (V, ) number of the camera.
    """

    subject: Array
    number: Array
    camera: Array

    def __len__(self) -> int:
        return len(self.subject)


def split_rule(setup: str, split: str) -> SplitRule:
    """The rule of a split.

    Args:
        setup (str): One of :data:`SETUPS`.
        split (str): One of :data:`SPLITS`.

    Raises:
        ValueError: If there is no such setup or split.
    """
    if setup not in SETUPS or split not in SPLITS:
        raise ValueError(f'no split {setup} {split}: setups are '
                         f'{", ".join(SETUPS)}, splits {", ".join(SPLITS)}')
    twenty = frozenset(range(NUM_SEQUENCES // SEQUENCES_OF_AN_OBJECT))
    first, last = frozenset(range(4)), frozenset({4})
    return {
        ('s0', 'train'): SplitRule(remainders=first),
        ('s0', 'val'): SplitRule(frozenset({0, 1}), remainders=last),
        ('s0', 'test'): SplitRule(_SUBJECTS - {0, 1}, remainders=last),
        ('s1', 'train'): SplitRule(frozenset({0, 1, 2, 3, 4, 5, 9})),
        ('s1', 'val'): SplitRule(frozenset({6})),
        ('s1', 'test'): SplitRule(frozenset({7, 8})),
        ('s2', 'train'): SplitRule(cameras=_CAMERAS[:6]),
        ('s2', 'val'): SplitRule(cameras=(6, )),
        ('s2', 'test'): SplitRule(cameras=(7, )),
        ('s3', 'train'): SplitRule(
            objects=twenty - _UNSEEN_VAL - _UNSEEN_TEST),
        ('s3', 'val'): SplitRule(objects=_UNSEEN_VAL),
        ('s3', 'test'): SplitRule(objects=_UNSEEN_TEST),
    }[setup, split]


def split_videos(setup: str, split: str, sequences: Sequence[int],
                 num_cameras: int = NUM_CAMERAS) -> SplitVideos:
    """Videos of a split.

    Args:
        setup (str): One of :data:`SETUPS`.
        split (str): One of :data:`SPLITS`.
        sequences (Sequence[int]): How many sequences each subject has, in
            the order of the subjects; 0 for one that is not there.
        num_cameras (int): How many cameras there are; those that the split
            has beyond it are left out. Defaults to 8.

    Returns:
        SplitVideos: There may be none.

    Raises:
        ValueError: If there is no such setup or split.
    """
    rule = split_rule(setup, split)
    cameras = np.array([camera for camera in rule.cameras
                        if camera < num_cameras], np.int64)
    taken = np.array([(subject, number)
                      for subject, count in enumerate(sequences)
                      for number in range(count)
                      if rule.takes(subject, number)],
                     np.int64).reshape(-1, 2)
    place = np.repeat(np.arange(len(taken)), len(cameras))
    return SplitVideos(taken[place, 0], taken[place, 1],
                       np.tile(cameras, len(taken)))


def running_ids(num_frames: Sequence[int] | Array) -> Array:
    """Id of the first frame of each video.

    Args:
        num_frames (Sequence[int]): (V, ) of a split's videos, in their
            order.

    Returns:
        np.ndarray: (V, ) i8; a frame's id is that plus its number.
    """
    counts = np.asarray(num_frames, np.int64)
    return np.cumsum(counts) - counts


def is_keyframe(frames: Array) -> Array:
    """Which frames the BOP evaluation looks at.

    Args:
        frames (np.ndarray): (N, ) numbers of frames in their videos.

    Returns:
        np.ndarray: (N, ) bool; every fourth is one.
    """
    return np.asarray(frames) % KEYFRAME_STEP == 0
