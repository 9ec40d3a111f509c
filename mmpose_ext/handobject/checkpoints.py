"""Published weights that the hand-object configs start from.

The eight digits at the end of a name are the first ones of the file's
SHA-256. Sizes follow from the counts of parameters in float32.
"""
from __future__ import annotations

from mmpose_ext.storage.downloads import Checkpoint

_HOST = 'https://download.openmmlab.com/mmpretrain/v1.0/dinov2'


def _dinov2(size: str, sha256: str, size_mb: int,
            optional: bool = False) -> Checkpoint:
    file = f'vit-{size}-p14_dinov2-pre_3rdparty_20230426-{sha256}.pth'
    return Checkpoint(file, f'{_HOST}/{file}', sha256,
                      'DINOv2, 142 million pictures without labels', size_mb,
                      optional)


CHECKPOINTS: dict[str, Checkpoint] = {
    'dinov2-s': _dinov2('small', '5641ca5a', 88, optional=True),
    'dinov2-b': _dinov2('base', 'ba246503', 346),
    'dinov2-l': _dinov2('large', 'f3302d9e', 1217),
}
