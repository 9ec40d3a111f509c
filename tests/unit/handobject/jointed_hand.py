"""A right hand whose fingers bend by given angles."""
from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

# Back of the hand to the camera, fingers up; x right, y down, z forward.
# (base of the finger, direction at rest) in m; the thumb points away.
_BASES = np.array([[-.03, -.03, .01], [-.025, -.09, 0.], [0., -.092, 0.],
                   [.02, -.085, 0.], [.038, -.075, 0.]])
_FANS = (-45., -8., 0., 6., 12.)  # degrees about the palm's normal
_LENGTHS = np.array([.04, .03, .022])


def jointed_hand(mcp: float = 0., pip: float = 0., dip: float = 0.,
                 spread: float = 0., thumb: float = 0.,
                 finger: int | None = None) -> np.ndarray:
    """Joints (21, 3) m, fingers bent to the palm by degrees.

    Args:
        mcp (float): At the base, as for the other joints.
        pip (float): In the middle.
        dip (float): Before the tip.
        spread (float): Sideways, to the little finger.
        thumb (float): At both joints of the thumb, about its own axis.
        finger (int, optional): The one that bends, 1 to 4; all by default.
    """
    joints = [np.zeros(3)]
    for number, (base, fan) in enumerate(zip(_BASES, _FANS, strict=True)):
        bends = (mcp, pip, dip)
        side = spread
        if number == 0:
            bends, side = (0., thumb, thumb), 0.
        elif finger is not None and number != finger:
            bends, side = (0., 0., 0.), 0.
        # the palm looks along +z, up is -y: bending turns about +x
        turn = Rotation.from_euler('z', fan + side, degrees=True)
        place = base.copy()
        joints.append(place)
        for bend, length in zip(bends, _LENGTHS, strict=True):
            turn = turn * Rotation.from_euler('x', -bend, degrees=True)
            # rotated "up", to the palm for positive angles
            place = place + turn.apply([0., -length, 0.]) * [1, 1, 1]
            joints.append(place)
    return np.stack(joints)
