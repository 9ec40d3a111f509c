"""Published weights that the horse's configs start from.

The eight digits before the date in a name are the first ones of the file's
SHA-256. Sizes follow from the counts of parameters in float32.
"""
from __future__ import annotations

from mmpose_ext.storage.downloads import Checkpoint

_HOST = 'https://download.openmmlab.com/mmpose'


def _checkpoint(path: str, sha256: str, description: str,
                size_mb: int | None = None,
                optional: bool = False) -> Checkpoint:
    return Checkpoint(path.rpartition('/')[2], f'{_HOST}/{path}', sha256,
                      description, size_mb, optional)


CHECKPOINTS: dict[str, Checkpoint] = {
    'rtmpose-m-ap10k': _checkpoint(
        'v1/projects/rtmposev1/rtmpose-m_simcc-ap10k_pt-aic-coco_210e-'
        '256x256-7a041aa1_20230206.pth', '7a041aa1',
        'AIC and COCO, then AP-10K, 17 points', 55),
    'hrnet-w32-ap10k': _checkpoint(
        'animal/hrnet/hrnet_w32_ap10k_256x256-18aac840_20211029.pth',
        '18aac840', 'AP-10K, 17 points', 114),
    'hrnet-w32-animalpose': _checkpoint(
        'animal/hrnet/hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth',
        '1aa7f075', 'AnimalPose, 20 points', 114),
    'cspnext-m': _checkpoint(
        'v1/projects/rtmposev1/cspnext-m_udp-aic-coco_210e-256x192-'
        'f2f7d6f6_20230130.pth', 'f2f7d6f6',
        'AIC and COCO, 17 points of people', optional=True),
}
