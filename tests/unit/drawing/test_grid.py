"""Sheets of pictures."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.drawing import contact_sheet

TILES = [np.full((30, 40), 10 * i, np.uint8) for i in range(1, 6)]


def test_pictures_lie_in_reading_order_with_gaps_between() -> None:
    sheet = contact_sheet(TILES, columns=2, gap=4, background=(0, 0, 255))
    assert sheet.shape == (4 + 3 * 34, 4 + 2 * 44, 3)
    for i, tile in enumerate(TILES):
        row, column = divmod(i, 2)
        y, x = 4 + 34 * row, 4 + 44 * column
        np.testing.assert_array_equal(
            sheet[y:y + 30, x:x + 40], np.repeat(tile[..., None], 3, -1))
        # framed on all sides
        for strip in (sheet[y - 4:y, x:x + 40], sheet[y:y + 30, x - 4:x],
                      sheet[y + 30:y + 34, x:x + 40]):
            assert (strip == (0, 0, 255)).all()


def test_smaller_pictures_lie_in_the_middle_of_their_cell() -> None:
    small = np.full((10, 20, 3), 200, np.uint8)
    sheet = contact_sheet([TILES[0], small], columns=2, gap=0)
    rows, columns = np.nonzero((sheet == 200).all(-1))
    assert (rows.min(), rows.max()) == (10, 19)
    assert (columns.min(), columns.max()) == (50, 69)


def test_a_short_row_takes_no_more_room_than_it_needs() -> None:
    assert contact_sheet(TILES[:2], columns=9, gap=0).shape == (30, 80, 3)


def test_captions_and_title_stay_off_the_pictures() -> None:
    long = 'a caption that is far too long for its picture'
    plain = contact_sheet(TILES[:4], 2)
    sheet = contact_sheet(TILES[:4], 2, [long, '', 'b', ''], title='Rats')
    assert sheet.shape[0] > plain.shape[0]
    assert sheet.shape[1] == plain.shape[1]
    bright = (sheet > 150).all(-1)
    assert bright[:34].any()  # the title
    caption = bright[34 + 6 + 30:34 + 6 + 50]
    assert caption[:, 6:46].any()  # shrunk, it stays below its picture
    assert not caption[:, 46:].any()
    for value in (10, 20, 30, 40):
        assert (sheet == value).all(-1).sum() >= 1200


def test_captions_of_any_length_end_with_their_pictures() -> None:
    wide = [np.zeros((4, 300, 3), np.uint8)] * 2
    for length in range(30, 90):
        sheet = contact_sheet(wide, 2, ['W' * length, ''], background=(0,) * 3)
        assert not sheet[:, 308:].any()


@pytest.mark.parametrize(('tiles', 'columns', 'captions'), [
    ([], 2, None), (TILES, 0, None), (TILES, 2, ['one'])])
def test_nonsense_is_refused(tiles: list, columns: int,
                             captions: list | None) -> None:
    with pytest.raises(ValueError, match='pictures'):
        contact_sheet(tiles, columns, captions)
