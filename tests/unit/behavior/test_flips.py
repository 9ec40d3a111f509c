from __future__ import annotations

import pytest

from mmpose_ext.behavior.flips import find_flip_indices, flip_indices_of


@pytest.mark.parametrize('names', [
    ('nose', 'left_ear', 'right_ear'), ('nose', 'earL', 'earR'),
    ('nose', 'l_ear', 'r_ear'), ('nose', 'LeftEar', 'RightEar'),
    ('nose', 'wing_L', 'wing_R'), ('nose', 'forelegL4', 'forelegR4'),
    ('tail', 'fore_l_paw', 'fore_r_paw')])
def test_sides_are_found_by_the_names(names):
    assert find_flip_indices(names) == (0, 2, 1)


def test_names_without_a_counterpart_are_their_own():
    assert find_flip_indices(('tail', 'neck_l', 'ankle')) == (0, 1, 2)


def test_pairs_may_be_given():
    assert flip_indices_of(('a', 'b', 'c'), [('a', 'c')]) == (2, 1, 0)
    with pytest.raises(ValueError, match='flip_pairs'):
        flip_indices_of(('a', 'b'), [('a', 'x')])
