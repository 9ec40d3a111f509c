"""What of a picture is shown round a faulty annotation."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.equine.worst_samples import _window


@pytest.mark.parametrize('turned', [False, True])
def test_each_axis_is_measured_by_its_own_side(turned: bool) -> None:
    """A point off by twice the short side is left out, a far one shown."""
    size, points = (100, 1000), np.array([(900, 50), (700, 20), (800, 500)])
    if turned:
        size, points = size[::-1], points[:, ::-1]
    found = _window(np.zeros((*size, 3), np.uint8),
                    points.astype(float), np.full(3, 2), None)
    # the first two, with a tenth of 200 px and 4 px as the rim
    wanted = (676, 0, 924, 74)
    assert found == ((0, 676, 74, 924) if turned else wanted)
