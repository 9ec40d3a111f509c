from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError, FrameLabels, PoseTracks
from mmpose_ext.storage.labelled_tracks import LabelledTracks

TRACKS = PoseTracks(Path('a.nc'), ('a', ), ('p', ), ('x', 'y'),
                    np.zeros((3, 1, 1, 2), 'f4'), None, np.arange(3), None,
                    None, {})


@pytest.mark.parametrize('name', [
    '', '.', '..', 'a/../../b', '/root', 'a/ /b', 'a\\b', 'C:x', 'a/\0'])
def test_an_id_never_leads_out_of_its_folder(name):
    assert LabelledTracks('task1/train/mouse', TRACKS).labels is None
    with pytest.raises(DataError) as caught:
        LabelledTracks(name, TRACKS)
    assert caught.value.where == 'record'


def test_labels_of_another_length_are_refused():
    labels = FrameLabels(Path('b.nc'), ('x', ), np.zeros((2, 1, 1), 'u1'),
                         ('m', ))
    with pytest.raises(DataError, match='b.nc.*3 frames.*found 2'):
        LabelledTracks('r', TRACKS, labels)
