from __future__ import annotations

import pytest

from mmpose_ext.direction.landmarks import has_landmarks


@pytest.mark.parametrize('names, expected', [
    (['snout', 'leftear', 'rightear', 'tailbase'], True),
    (['Nose', 'Neck', 'TailBase', 'left_paw'], True),
    (['snout', 'leftear', 'tailbase'], False),
    ([], False),
    # a horse has nose, neck and tail base too
    (['nose', 'neck', 'tail_base', 'l_elbow', 'l_hock'], False)])
def test_landmarks_of_an_animal_seen_from_above(names: list[str],
                                                expected: bool) -> None:
    assert has_landmarks(names) == expected
