"""What becomes of views in which another animal hides one."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.occlusion import occluded_share

Array = np.ndarray
_KEPT = 2  # views that always stay


@dataclass(frozen=True)
class OccludedViews:
    """A rule for views that show more of another animal.

    Args:
        radius_mm (float): Of the ball that an animal is taken for.
        limit (float): A view in which a larger share of the ball is hidden
            is not looked at. Defaults to 0.7.
        action (str): ``blank``, or ``replace`` by a view that sees more.
            Two views stay whatever they show. Defaults to ``blank``.

    Differs from the original, which knows boxes, two animals, and a random
    other view.
    """

    radius_mm: float
    limit: float = .7
    action: str = 'blank'

    def __post_init__(self) -> None:
        if not self.radius_mm > 0:
            raise ValueError('occlusion: radius_mm is above 0, found '
                             f'{self.radius_mm!r}')
        if not 0 <= self.limit <= 1:
            raise ValueError('occlusion: limit lies in [0, 1], found '
                             f'{self.limit!r}')
        if self.action not in ('blank', 'replace'):
            raise ValueError("occlusion: action is 'blank' or 'replace', "
                             f'found {self.action!r}')

    def find(self, cameras: Cameras, centres: Array) -> Array:
        """Share (I, V) of each animal that others hide.

        Args:
            cameras (Cameras): V cameras.
            centres (ndarray): (I, 3) mm.
        """
        return occluded_share(cameras, centres, self.radius_mm)

    def apply(self, views: Array, hidden: Array) -> Array:
        """Leave out views, or put others in their places.

        Args:
            views (ndarray): int64 (S,) cameras that fill the views, -1 none.
            hidden (ndarray): (V,) share that is hidden in each.

        Returns:
            ndarray: int64 (S,).
        """
        share = np.where(views >= 0, hidden[views], np.inf)
        order = np.argsort(share, kind='stable')
        poor = (views >= 0) & (share > self.limit)
        poor[order[:_KEPT]] = False
        if not poor.any():
            return views
        views = views.copy()
        if self.action == 'blank':
            views[poor] = -1
            return views
        better = order[~poor[order] & (views[order] >= 0)]
        views[poor] = views[np.resize(better, poor.sum())]
        return views
