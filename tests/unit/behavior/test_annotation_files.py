"""Annotations are written so that everybody reads the same."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.annotation_files import (
    decide,
    read_label_table,
    write_annotations,
)
from mmpose_ext.storage import (
    DataError,
    read_event_csv,
    read_movement_annotations,
)

CLASSES = ('attack', 'mount', 'other')


def test_one_class_or_several_by_threshold() -> None:
    scores = np.array([[.5, .3, .2], [.2, .2, .6]])
    assert decide(scores, False).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert decide(scores, True, .3).tolist() == [[1, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize('fps', [25., 29.97, 30., 1000 / 33])
def test_every_file_tells_the_same(tmp_path: Path, fps: float) -> None:
    generator = np.random.default_rng(3)
    numbers = np.repeat(generator.integers(0, 3, 60),
                        generator.integers(1, 9, 60))
    labels = (numbers[:, None] == np.arange(3)).astype(np.uint8)
    write_annotations(tmp_path, CLASSES, labels * .7, labels, fps)
    names, table = read_label_table(
        tmp_path / 'machineAnnotation_lisbet.csv')
    assert names == CLASSES
    assert np.array_equal(table, labels)
    events = read_event_csv(tmp_path / 'events.csv', frames=len(labels),
                            fps=fps)
    assert events.classes == CLASSES
    assert np.array_equal(events.labels[..., 0], labels)
    movement = read_movement_annotations(tmp_path / 'annotations.nc')
    assert np.array_equal(movement.labels[..., 0], labels)
    assert movement.annotators == ('machine', )


def test_table_of_anything_but_yes_and_no_is_refused(
        tmp_path: Path) -> None:
    path = tmp_path / 'machineAnnotation_lisbet.csv'
    path.write_text(',a,b\n0,1,0\n1,0,2\n')
    with pytest.raises(DataError, match="row 3, column 'b'.*found 2"):
        read_label_table(path)
