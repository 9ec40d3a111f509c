"""The page of runs is one file that opens anywhere."""
from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.drawing.run_page import (
    ComparedRun,
    Note,
    draw_comparison,
    write_run_page,
)
from mmpose_ext.storage import DataError
from mmpose_ext.storage.run_log import RunLog

VOID = {'meta', 'img'}


class Reader(HTMLParser):
    """Checks that tags close in order; keeps texts and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / 'p.png'), np.full((4, 4, 3), 200, np.uint8))
    write_run_page(
        tmp_path / 'page.html', 'Run <a>', 'written now',
        {'a': {'epoch': '1 / 2', 'best': '.5'}, 'b': {'epoch': '2 / 2'}},
        {'a': [Note('NaN', '1 < 2', 'lower & lower', fatal=True)], 'b': []},
        {'Curves': tmp_path / 'p.png'})
    return tmp_path / 'page.html'


def test_page_is_well_formed_and_says_all(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    for text in ('Run <a>', '1 / 2', '2 / 2', '.5', 'NaN', ': 1 < 2',
                 'lower & lower', 'written now'):
        assert text in reader.texts
    assert ('li', {'class': 'fatal'}) in reader.seen
    # a cell for each run in each row
    tags = [tag for tag, _ in reader.seen]
    assert tags.count('td') == 1 + 2 * 2


def test_page_needs_nothing_beside_itself(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text())
    assert 'script' not in {tag for tag, _ in reader.seen}
    links = [value for _, attrs in reader.seen
             for name, value in attrs.items() if name in ('src', 'href')]
    assert len(links) == 1
    head, _, data = links[0].partition(',')
    assert head == 'data:image/png;base64'
    picture = page.with_name('p.png').read_bytes()
    assert base64.b64decode(data) == picture
    assert 'url(' not in page.read_text()


def test_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_run_page(tmp_path / 'no' / 'page.html', '', '', {}, {}, {})


def make_run(path: Path, epochs: int, length: int, batch: int | None,
             factor: float) -> ComparedRun:
    lines = []
    for epoch in range(1, epochs + 1):
        lines.append({'loss': factor / epoch, 'epoch': epoch,
                      'iter': epoch * length, 'step': epoch * length})
        lines.append({'AP': factor - 1 / epoch, 'step': epoch})
    path.write_text('\n'.join(map(json.dumps, lines)))
    return ComparedRun(path.stem, RunLog(path), 'AP', batch)


def test_runs_are_aligned_by_epochs_and_by_images(tmp_path: Path) -> None:
    """As many epochs, but four times the images."""
    runs = [make_run(tmp_path / 'a.json', 50, 10, 16, 1),
            make_run(tmp_path / 'b.json', 50, 20, 32, 2)]
    draw_comparison(runs, tmp_path / 'c.png')
    picture = cv2.imread(str(tmp_path / 'c.png'))
    above = picture[:int(.87 * len(picture))]  # without the legend
    widths = []
    for color in ((0xB2, 0x72, 0x00), (0x00, 0x5E, 0xD5)):  # BGR
        mask = (above == color).all(-1)
        half = mask.shape[1] // 2
        widths.append([np.ptp(side.any(0).nonzero()[0])
                       for side in (mask[:, :half], mask[:, half:])])
    (a_epochs, a_images), (b_epochs, b_images) = widths
    assert a_epochs == pytest.approx(b_epochs, abs=5)
    assert a_images == pytest.approx(b_images / 4, abs=10)


def test_run_of_unknown_batch_size_is_drawn_by_epochs_alone(
        tmp_path: Path) -> None:
    draw_comparison([make_run(tmp_path / 'a.json', 50, 10, None, 1)],
                    tmp_path / 'c.png')
    picture = cv2.imread(str(tmp_path / 'c.png'))
    blue = (picture[:int(.87 * len(picture))] == (0xB2, 0x72, 0)).all(-1)
    half = blue.shape[1] // 2
    assert blue[:, :half].any() and not blue[:, half:].any()
