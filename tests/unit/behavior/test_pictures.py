"""Pictures of behaviours show what they say they show."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.behavior.bouts import find_bouts
from mmpose_ext.behavior.canvas import (
    OTHER_COLOR,
    class_colors,
    new_figure,
    write_cells,
)
from mmpose_ext.behavior.class_tables import to_table
from mmpose_ext.behavior.confusion import draw_confusions
from mmpose_ext.behavior.embedding_map import (
    draw_embedding_map,
    principal_plane,
    sample_frames,
)
from mmpose_ext.behavior.ethogram import (
    EthogramBlock,
    average_columns,
    draw_ethogram,
)
from mmpose_ext.behavior.labelled_video import write_labelled
from mmpose_ext.behavior.motif_pictures import (
    draw_bout_statistics,
    draw_overlap,
    draw_transitions,
)
from mmpose_ext.behavior.track_strips import (
    TrackStyle,
    _hull,
    choose_bouts,
    cut_bout,
    draw_motif_sheet,
)
from mmpose_ext.behavior.visualizer import draw_window, name_answer
from mmpose_ext.registry import VISUALIZERS
from mmpose_ext.storage import DataError, VideoReader, VideoWriter

from .stores import make_store

STYLE = TrackStyle(('resident', 'intruder'), ('nose', 'neck', 'tail'))
NAMES = ('attack', 'rest', 'other')


def states(count: int = 400) -> np.ndarray:
    return np.repeat(np.random.default_rng(0).integers(0, 3, count // 10), 10)


def share_of(picture: np.ndarray, color: str) -> float:
    """Share of the pixels that have nearly a colour '#RRGGBB'."""
    wanted = np.array([int(color[i:i + 2], 16) for i in (5, 3, 1)])
    return float((np.abs(picture.astype(int) - wanted).max(-1) < 12).mean())


def test_colours_are_different_and_other_is_grey() -> None:
    names = [f'Motif_{i}' for i in range(32)] + ['other']
    colors = class_colors(names)
    assert len(set(colors)) == 33
    assert colors[-1] == OTHER_COLOR
    assert class_colors(['other', 'a'])[1] == class_colors(['a'])[0]


def test_columns_of_an_ethogram_are_averages() -> None:
    labels = to_table(np.array([0, 0, 1, 1, 1, 0, -1]), 2)
    assert average_columns(labels, 10).tolist() == labels.tolist()
    parts = average_columns(labels, 3)
    assert parts.tolist() == [[1, 0], [0, 1], pytest.approx([1 / 3, 1 / 3])]


def test_ethogram_shows_as_much_colour_as_there_is_behaviour(
        tmp_path: Path) -> None:
    half = to_table(np.repeat([0, 1], 200), 2)
    tenth = to_table(np.repeat([0, 1], [40, 360]), 2)
    shares = []
    for labels in (half, tenth):
        draw_ethogram(tmp_path / 'e.png', [EthogramBlock(
            ('attack', 'rest'), {'truth': labels})], 30., 'r0')
        shares.append(share_of(cv2.imread(str(tmp_path / 'e.png')),
                               class_colors(['attack'])[0]))
    assert shares[0] == pytest.approx(5 * shares[1], rel=.1)


def test_ethograms_of_several_blocks_and_many_frames(
        tmp_path: Path) -> None:
    labels = to_table(np.tile(states(), 50), 3)
    draw_ethogram(tmp_path / 'e.png', [
        EthogramBlock(NAMES, {'truth': labels, 'predicted': labels}),
        EthogramBlock(('a', 'b', 'c'), {'hmm3': labels})])
    assert cv2.imread(str(tmp_path / 'e.png')).std() > 20


def test_frames_of_a_map_are_spread_over_the_records() -> None:
    assert sample_frames([5, 6], 100).tolist() == list(range(11))
    rows = sample_frames([1000, 3000], 400)
    assert 390 <= len(rows) <= 400
    assert np.diff(rows).min() >= 9
    assert abs((rows < 1000).mean() - .25) < .01


def test_plane_holds_the_largest_variance() -> None:
    values = np.random.default_rng(0).normal(size=(200, 5)) * [1, 9, 1, 3, 1]
    points, share = principal_plane(values)
    assert np.allclose(np.abs(np.corrcoef(points[:, 0], values[:, 1])[0, 1]),
                       1, atol=.01)
    assert share[0] > share[1] > .05


@pytest.mark.parametrize('tsne', [False, pytest.param(
    True, marks=pytest.mark.slow)])
def test_map_is_drawn_once_for_each_colouring(tmp_path: Path,
                                              tsne: bool) -> None:
    values = np.random.default_rng(0).normal(size=(300, 4))
    numbers = np.random.default_rng(1).integers(-1, 3, 300)
    draw_embedding_map(
        tmp_path / 'map.png', values, {'truth': (NAMES, numbers)},
        np.arange(300) / 30., tsne)
    picture = cv2.imread(str(tmp_path / 'map.png'))
    assert (picture.shape[0] > 900) == tsne
    assert share_of(picture, class_colors(NAMES)[0]) > 0


def test_statistics_of_motifs_are_drawn(tmp_path: Path) -> None:
    numbers = states()
    numbers[50:70] = -1
    lengths = [150, 250]
    names = [f'Motif_{i}' for i in range(4)]  # one that never holds
    draw_bout_statistics(tmp_path / 'a.png', numbers, lengths, names, 30.)
    draw_transitions(tmp_path / 'b.png', numbers, lengths, names)
    draw_overlap(tmp_path / 'c.png', numbers, states(), names, NAMES)
    draw_confusions(tmp_path / 'd.png', {
        'cons': (('no', 'yes'), np.array([[5, 1], [2, 8]])),
        'multiclass': (NAMES, np.zeros((3, 3), int))})
    for name in 'abcd':
        assert cv2.imread(str(tmp_path / f'{name}.png')).std() > 10


@pytest.mark.parametrize('colors', ['magma_r', 'Blues'])
def test_every_cell_can_be_read(colors: str) -> None:
    """Ink and cell contrast as the guidelines of the W3C ask for."""
    def luminance(color: str | tuple) -> float:
        parts = np.array(to_rgb(color))
        linear = np.where(parts > .04045, ((parts + .055) / 1.055)**2.4,
                          parts / 12.92)
        return float(linear @ (.2126, .7152, .0722))

    axis = new_figure(3, 3).subplots()
    values = np.linspace(0, 1, 20)
    picture = axis.imshow(values[None], cmap=colors)
    write_cells(picture, [['', *map(str, range(1, 20))]])
    assert len(axis.texts) == 19
    for text in axis.texts:
        cell, ink = (luminance(color) for color in (
            picture.cmap(values[int(text.get_text())])[:3], text.get_color()))
        assert (max(cell, ink) + .05) / (min(cell, ink) + .05) > 3.9


def test_examples_are_bouts_of_the_class_that_are_long_enough() -> None:
    labels = to_table(states(2000), 3)
    labels[::17] = 0
    bouts = find_bouts(labels, [1000, 1000])
    chosen = choose_bouts(bouts, 1, 5, least=6)
    assert len(chosen) == 5
    assert (np.diff(chosen) > 0).all()
    for place in chosen:
        assert bouts.lengths[place] >= 6
        assert labels[bouts.starts[place]:bouts.stops[place], 1].all()
    assert not len(choose_bouts(bouts, 1, 5, least=500))
    assert len(cut_bout(np.zeros((500, 2, 3, 2)), 0, 500, 30.)) == 120


def test_motif_sheet_has_a_row_for_each_motif_that_occurs(
        tmp_path: Path) -> None:
    tracks = make_store().record(0)
    gone = np.full((10, 2, 3, 2), np.nan)
    heights = []
    for filled in (1, 3):
        draw_motif_sheet(tmp_path / 'm.png', NAMES, {
            i: [(tracks[:30], 'one'), (gone, 'none')] if i < filled else []
            for i in range(3)}, STYLE, 2)
        heights.append(cv2.imread(str(tmp_path / 'm.png')).shape[0])
    assert heights[1] > 2 * heights[0]


def test_hull_is_convex_and_holds_the_points() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    assert sorted(map(tuple, _hull(points))) == sorted(
        map(tuple, points[cv2.convexHull(points.astype(np.float32),
                                         returnPoints=False)[:, 0]]))


def test_window_shows_every_animal_and_leaves_out_what_is_missing() -> None:
    window = (.2 * make_store().record(0)[:40, :, :1]
              + .1 * np.random.default_rng(0).random((3, 2))).astype(
                  np.float32)
    both = draw_window(window, 'order: is it?\ntruth: yes', STYLE)
    assert both.dtype == np.uint8 and both.shape[2] == 3

    def shares(picture: np.ndarray) -> tuple[float, float]:
        blue = picture[..., 0].astype(int) - picture[..., 2]
        return float((blue > 25).mean()), float((blue < -25).mean())

    assert min(shares(both)) > .005
    window[:, 1] = np.nan
    alone = draw_window(window, '', TrackStyle())
    assert shares(alone)[0] > .005
    assert shares(alone)[1] == 0
    window[:] = np.nan
    assert draw_window(window, '', STYLE).std() > 0
    solid = draw_window(make_store(axes=3).record(0)[:20], '', STYLE)
    assert solid.std() > 5


@pytest.mark.parametrize('task, value, words', [
    ('order', np.array([1.], np.float32), 'in order'),
    ('cons', np.array([.9]), 'two moments (90%)'),
    ('warp', np.array([.3]), 'slower (70%)'),
    ('unknown', np.array([0.]), 'no'),
    ('multiclass', np.array(1), 'rest'),
    ('multiclass', np.array([.2, .1, .7]), 'other (70%)'),
    ('multilabel', np.array([.9, .6, .1]), 'attack, rest'),
    ('multilabel', np.array([0., 0, 0]), 'none'),
])
def test_answers_are_told_in_words(task: str, value: np.ndarray,
                                   words: str) -> None:
    assert name_answer(task, value, NAMES) == words


def test_visualizer_draws_a_task_of_a_batch(tmp_path: Path) -> None:
    visualizer = VISUALIZERS.build(dict(
        type='mmpose_ext.LisbetVisualizer', name='windows'))
    visualizer.set_dataset_meta(dict(
        individuals=['a', 'b'], keypoint_id2name={0: 'nose', 1: 'tail'}))
    sample = PoseDataSample()
    sample.set_metainfo(dict(task='cons'))
    sample.gt_instance_labels = InstanceData(labels=torch.ones(2, 1))
    sample.pred_instances = InstanceData(scores=torch.full((2, 1), .3))
    windows = make_store(keypoints=2).record(0)[:40].reshape(2, 20, 2, 2, 2)
    visualizer.add_datasample('x', windows, sample,
                              out_file=str(tmp_path / 'x.png'))
    assert cv2.imread(str(tmp_path / 'x.png')).std() > 5


def test_visualizer_draws_tasks_without_labels() -> None:
    visualizer = VISUALIZERS.build(dict(
        type='mmpose_ext.LisbetVisualizer', name='others'))
    windows = make_store(keypoints=2).record(0)[:80].reshape(4, 20, 2, 2, 2)
    for task, found in (
            ('contrast', dict(scores=torch.ones(2))),
            ('masked', dict(scores=torch.zeros(4, 20, 8),
                            errors=torch.ones(4)))):
        sample = PoseDataSample()
        sample.set_metainfo(dict(task=task))
        sample.gt_instance_labels = InstanceData()
        sample.pred_instances = InstanceData(**found)
        drawn = visualizer.draw_picture(windows, sample, True, True, .3)
        assert drawn.std() > 5


def test_video_shows_what_is_done(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'in.mp4', 25., (160, 120)) as video:
        for _ in range(12):
            video.write(np.full((120, 160, 3), 90, np.uint8))
    labels = to_table(np.repeat([0, 1], 5), 2)
    tracks = np.full((10, 2, 3, 2), 60.)
    tracks[:, 1] = np.nan
    write_labelled(tmp_path / 'out.mp4', tmp_path / 'in.mp4',
                   ('attack', 'rest'), labels, tracks, first=2)
    with VideoReader(tmp_path / 'out.mp4') as video:
        assert len(video) == 10
        first, last = video.read(0), video.read(9)
    assert first.shape == (166, 160, 3)
    assert np.abs(first[120:140].astype(int)
                  - last[120:140].astype(int)).max() > 80
    with pytest.raises(DataError, match='at least 14'):
        write_labelled(tmp_path / 'x.mp4', tmp_path / 'in.mp4', ('a', 'b'),
                       labels, tracks, first=4)
    assert not (tmp_path / 'x.mp4').exists()
