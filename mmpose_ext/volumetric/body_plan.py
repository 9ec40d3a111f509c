"""Keypoints, bones and sides of an animal, as losses need them."""
from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmpose_ext.storage import DataError
from mmpose_ext.training import keypoint_names


@dataclass(frozen=True)
class BodyPlan:
    """What a skeleton says.

    Attributes:
        names: K names of keypoints.
        links: E bones, pairs of keypoints.
        flip_indices: (K,) each keypoint's counterpart on the other side,
            itself in the middle.
        source: Name of the skeleton, for errors.
    """

    names: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    flip_indices: tuple[int, ...]
    source: str = 'skeleton'

    @classmethod
    def from_metainfo(cls, meta: Mapping[str, Any]) -> BodyPlan:
        """The plan in MMPose's parsed metainfo."""
        return cls(
            keypoint_names(meta),
            tuple((int(a), int(b)) for a, b in meta['skeleton_links']),
            tuple(map(int, meta['flip_indices'])),
            str(meta.get('dataset_name', 'skeleton')))

    @property
    def link_names(self) -> tuple[str, ...]:
        """E names, ``first-second``."""
        return tuple(f'{self.names[a]}-{self.names[b]}'
                     for a, b in self.links)

    def bone_number(self, bone: str | int) -> int:
        """Find a bone.

        Args:
            bone (str | int): ``first-second``, in either order, or its
                number.

        Raises:
            DataError: If the skeleton has no such bone.
        """
        if isinstance(bone, int):
            if 0 <= bone < len(self.links):
                return bone
        else:
            for number, (a, b) in enumerate(self.links):
                if bone in (f'{self.names[a]}-{self.names[b]}',
                            f'{self.names[b]}-{self.names[a]}'):
                    return number
        near = difflib.get_close_matches(str(bone), self.link_names, n=1)
        raise DataError(
            self.source, f'bone {bone!r}',
            f'one of {len(self.links)} bones', 'none of this name or number',
            f'did you mean {near[0]!r}?' if near else
            f'there are {", ".join(self.link_names)}')
