from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.storage.pictures import decode_picture, read_picture

PNG = cv2.imencode('.png', np.full((3, 4), 7, np.uint8))[1].tobytes()


def claim_a_huge_size() -> bytes:
    header = b'IHDR' + (60000).to_bytes(4, 'big') * 2 + PNG[24:29]
    return (PNG[:12] + header + zlib.crc32(header).to_bytes(4, 'big')
            + PNG[33:])


@pytest.mark.parametrize('content', [
    claim_a_huge_size(), b'', b'text', PNG[:30]])
def test_what_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'a.png'
    path.write_bytes(content)
    assert read_picture(path, cv2.IMREAD_COLOR) is None
    if content:
        data = np.frombuffer(content, np.uint8)
        assert decode_picture(data, cv2.IMREAD_COLOR) is None


def test_pictures_are_read(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    path.write_bytes(PNG)
    for image in (read_picture(path, cv2.IMREAD_GRAYSCALE),
                  decode_picture(np.frombuffer(PNG, np.uint8),
                                 cv2.IMREAD_GRAYSCALE)):
        assert image.shape == (3, 4) and (image == 7).all()
