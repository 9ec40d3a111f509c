from __future__ import annotations

import cv2
import numpy as np

from mmpose_ext.equine.near_duplicates import (
    difference_hash,
    near_duplicate_clusters,
    near_pairs,
)


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)


def distance(first: np.ndarray, second: np.ndarray) -> int:
    return (int(difference_hash(first)) ^ int(difference_hash(second))
            ).bit_count()


def test_bits_say_where_it_grows_brighter_to_the_right() -> None:
    rows = np.zeros((8, 9), np.uint8)
    rows[0] = np.arange(9) * 10  # all eight bits of the first row
    rows[7, 8] = 200  # the last bit
    assert int(difference_hash(rows)) == 0xFF00000000000001
    falling = np.tile(np.linspace(250, 0, 90).astype(np.uint8), (80, 1))
    assert int(difference_hash(falling)) == 0
    assert difference_hash(rows).dtype == np.uint64


def test_copies_are_near_and_others_are_not() -> None:
    image = picture(0)
    copies = [
        cv2.convertScaleAbs(image, alpha=.8, beta=20),
        cv2.resize(image, (200, 150), interpolation=cv2.INTER_AREA),
        cv2.imdecode(cv2.imencode('.jpg', image, [
            cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
        cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)]
    assert max(distance(image, copy) for copy in copies) <= 4
    assert min(distance(image, picture(seed)) for seed in range(1, 30)) > 10


def test_pairs_are_those_of_a_direct_count() -> None:
    rng = np.random.default_rng(3)
    base = rng.integers(0, 2**63, 40).astype(np.uint64)
    flips = (np.uint64(1) << rng.integers(0, 64, (600, 6)).astype(np.uint64))
    hashes = base[rng.integers(0, 40, 600)] ^ np.bitwise_or.reduce(flips, 1)
    expected = [(i, j) for i in range(600) for j in range(i + 1, 600)
                if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 4]
    assert expected
    assert near_pairs(hashes).tolist() == [list(pair) for pair in expected]
    across = near_pairs(hashes[:300], hashes[300:])
    assert across.tolist() == [[i, j - 300] for i, j in expected
                               if i < 300 <= j]


def test_clusters_are_chains() -> None:
    start = np.uint64(0)
    chain = [start, start | np.uint64(0xF), start | np.uint64(0xFF),
             np.uint64(2**63 - 1)]
    numbers = near_duplicate_clusters(np.array(chain, np.uint64))
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
    assert len(near_duplicate_clusters(np.empty(0, np.uint64))) == 0
