"""One map for animals that look alike: as many peaks as there are animals.
"""
from __future__ import annotations

import cv2
import numpy as np
from mmpose.codecs import UDPHeatmap
from mmpose.codecs.utils import refine_keypoints_dark_udp

from mmpose_ext.registry import KEYPOINT_CODECS

Array = np.ndarray


@KEYPOINT_CODECS.register_module()
class ComSharedHeatmap(UDPHeatmap):
    """A map that is high wherever one of the animals is.

    To be used with a head of one channel. In training the map is the maximum
    of what each animal's own would be; animals outside the picture leave no
    trace in it. What comes back are the highest local maxima, one an animal,
    read between the pixels, the highest first; their numbers say nothing of
    who is who. Where there are fewer maxima, the first stands in with a score
    of 0.

    Args:
        num_individuals (int): Animals to be found.
        **kwargs: Arguments of MMPose's ``UDPHeatmap``.
    """

    def __init__(self, num_individuals: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if num_individuals < 1:
            raise ValueError('num_individuals: expected 1 or more, found '
                             f'{num_individuals}')
        self.num_individuals = num_individuals

    def encode(self, keypoints: Array,
               keypoints_visible: Array | None = None) -> dict[str, Array]:
        """Make the map of a picture.

        Args:
            keypoints (ndarray): (1, I, 2) px of the input.
            keypoints_visible (ndarray, optional): (1, I).

        Returns:
            dict: ``heatmaps`` (1, H, W) and ``keypoint_weights`` (1, 1): a
            picture without animals counts like any other.
        """
        encoded = super().encode(keypoints, keypoints_visible)
        return dict(heatmaps=encoded['heatmaps'].max(0, keepdims=True),
                    keypoint_weights=np.ones((1, 1), np.float32))

    def decode(self, encoded: Array) -> tuple[Array, Array]:
        """Find the peaks of a map.

        Args:
            encoded (ndarray): (1, H, W).

        Returns:
            tuple[ndarray, ndarray]: Keypoints (1, I, 2) px of the input, and
            scores (1, I).
        """
        places, scores = find_peaks(
            encoded[0], self.num_individuals, self.sigma,
            self.blur_kernel_size)
        width, height = self.heatmap_size
        places = places / [width - 1, height - 1] * self.input_size
        return places[None], scores[None]


def find_peaks(heatmap: Array, count: int, sigma: float,
               blur_kernel_size: int = 11) -> tuple[Array, Array]:
    """The highest local maxima of a map, between its pixels.

    Args:
        heatmap (ndarray): (H, W).
        count (int): How many to find, I.
        sigma (float): Of the Gaussians that the map is made of, px; two peaks
            are further apart than that along an axis.
        blur_kernel_size (int): Odd, px; the map is smoothed before, as for
            maps of single keypoints. Defaults to 11.

    Returns:
        tuple[ndarray, ndarray]: Places (I, 2) column and row, float64, and
        values (I,) of the map there, falling; 0 at the place of the first
        where there are fewer.
    """
    smooth = cv2.GaussianBlur(
        np.ascontiguousarray(heatmap, np.float32),
        (blur_kernel_size, blur_kernel_size), 0)
    side = 2 * int(np.ceil(sigma)) + 1
    highest = cv2.dilate(smooth, np.ones((side, side), np.uint8))
    rows, columns = np.nonzero((smooth == highest) & (smooth > 0))
    values = smooth[rows, columns]
    kept = np.argsort(-values, kind='stable')[:count]
    places = np.zeros((count, 2))
    scores = np.zeros(count, np.float32)
    found = len(kept)
    places[:found] = np.stack([columns[kept], rows[kept]], 1)
    scores[:found] = heatmap[rows[kept], columns[kept]]
    if not found:
        return places, scores
    # MMPose refines a map a keypoint: the same one for all
    places[:found] = refine_keypoints_dark_udp(
        places[None, :found],
        np.repeat(np.asarray(heatmap, np.float32)[None], found, 0),
        blur_kernel_size)[0]
    places[found:] = places[0]
    return places, np.maximum(scores, 0)
