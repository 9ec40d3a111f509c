"""Pictures of directions: geometry, colours, movies, MMPose's interface."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmengine.visualization import LocalVisBackend
from mmpose.structures import PoseDataSample

from mmpose_ext.direction import gauges, visualizer
from mmpose_ext.direction.visualizer import DirectionVisualizer, draw_direction
from mmpose_ext.registry import VISUALIZERS
from mmpose_ext.storage import DataError, VideoReader

GREY = np.full((50, 50), 90, np.uint8)
POINTS = np.array([[12., 30.], [28., 24.], [35., 20.]])
PLAIN = {'texts': False, 'dial': False}


def share_of(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(-1).sum())


def green_of(picture: np.ndarray) -> int:
    """Pixels in which green prevails: smoothed thin lines have no pure one."""
    blue, green, red = (picture[..., i].astype(int) for i in range(3))
    return int((green - np.maximum(blue, red) > 40).sum())


def place_of(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Middle (x, y) of the pixels of a colour."""
    rows, columns = np.nonzero((picture == color).all(-1))
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize('scale', [1, 7, 8, 13])
def test_pixels_become_blocks(scale: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 9), np.uint8)
    picture = draw_direction(image, np.full((3, 2), np.nan), scale=scale,
                             **PLAIN)
    blocks = np.kron(image, np.ones((scale, scale), np.uint8))
    np.testing.assert_array_equal(picture, np.repeat(blocks[..., None], 3, 2))


@pytest.mark.parametrize('scale', [8, 9, 20])
@pytest.mark.parametrize('point', [(0, 0), (20, 10), (49, 49), (7.25, 31.5)])
def test_pixel_centre_is_the_centre_of_its_block(scale: int,
                                                 point: tuple) -> None:
    points = np.array([point, (np.nan, np.nan), (np.nan, np.nan)])
    wide = cv2.copyMakeBorder(GREY, 0, 20, 0, 20, cv2.BORDER_REPLICATE)
    wide = cv2.copyMakeBorder(wide, 20, 0, 20, 0, cv2.BORDER_REPLICATE)
    picture = draw_direction(wide, points + 20, confidence=1, scale=scale,
                             **PLAIN)
    block = (np.array(point) + 20) * scale + (scale - 1) / 2
    np.testing.assert_allclose(
        place_of(picture, gauges.confidence_color(1)), block, atol=.3)


def test_input_is_left_alone() -> None:
    image = np.full((60, 60, 3), 90, np.uint8)
    draw_direction(image, POINTS, confidence=.5, scale=1)
    assert (image == 90).all()


def test_arrows_point_from_base_over_neck_to_nose() -> None:
    picture = draw_direction(GREY, POINTS, scale=8, **PLAIN)
    for color, start, end in ((gauges.BODY, 0, 1), (gauges.HEAD, 1, 2)):
        rows, columns = np.nonzero((picture == color).all(-1))
        on_line = np.stack([columns, rows], -1) - (POINTS[start] * 8 + 3.5)
        vector = (POINTS[end] - POINTS[start]) * 8
        along = on_line @ vector / (vector @ vector)
        assert along.min() < .25 and .75 < along.max() <= 1.1
        # barbs make the front half the broader one
        across = np.abs(on_line @ (vector[1], -vector[0])) / np.hypot(*vector)
        assert across[along > .5].max() > 2 * across[along < .5].max()


def test_unknown_points_are_left_out() -> None:
    points = POINTS.copy()
    points[2] = np.nan
    picture = draw_direction(GREY, points, **PLAIN)
    assert share_of(picture, gauges.BODY) > 50
    assert share_of(picture, gauges.HEAD) == 0
    nothing = draw_direction(GREY, np.full((3, 2), np.nan), **PLAIN)
    assert (nothing == 90).all()


def test_points_outside_the_image_do_no_harm() -> None:
    far = np.array([[-1e7, 3.], [25., 25.], [60., 1e7]])
    assert draw_direction(GREY, far, confidence=.2).shape == (400, 400, 3)


def test_truth_is_thinner_than_the_prediction() -> None:
    alone = draw_direction(GREY, np.full((3, 2), np.nan), truth=POINTS,
                           **PLAIN)
    both = draw_direction(GREY, POINTS + 6, truth=POINTS, **PLAIN)
    assert green_of(alone) > 100
    assert (alone != 90).any(-1).sum() * 2 < (both != alone).any(-1).sum()
    assert green_of(both) > 50


def test_confidence_runs_from_red_over_yellow_to_green() -> None:
    colors = np.array([gauges.confidence_color(value)
                       for value in np.linspace(0, 1, 21)])
    assert (np.diff(colors[:11, 1]) > 0).all()  # green comes
    assert (np.diff(colors[10:, 2]) < 0).all()  # red goes
    assert gauges.confidence_color(-1) == tuple(colors[0])
    assert gauges.confidence_color(2) == tuple(colors[-1])
    assert gauges.confidence_color(float('nan')) == (
        gauges.confidence_color(None))


def test_dots_have_the_colour_of_their_score() -> None:
    scores = np.array([0., .5, 1.])
    picture = draw_direction(GREY, POINTS, scores=scores, **PLAIN)
    for score, point in zip(scores, POINTS, strict=True):
        x, y = (point * 8 + 3.5).round().astype(int)
        assert tuple(picture[y, x]) == gauges.confidence_color(score)


def test_dial_needles_point_as_the_angles() -> None:
    picture = np.full((400, 400, 3), 90, np.uint8)
    gauges.draw_dial(picture, {'body': np.pi / 2, 'head': 0.})
    rows, columns = np.nonzero((picture != 90).any(-1))
    middle = np.array([(columns.min() + columns.max()) / 2,
                       (rows.min() + rows.max()) / 2])
    down = place_of(picture, gauges.BODY) - middle
    right = place_of(picture, gauges.HEAD) - middle
    assert down[1] > 5 and abs(down[0]) < 1.5
    assert right[0] > 5 and abs(right[1]) < 1.5


def test_angles_may_be_given_or_follow_from_the_points() -> None:
    body, head = -np.arctan2(6, 16), -np.arctan2(4, 7)
    named = {'body': body, 'head': head, 'turn': head - body}
    derived = draw_direction(GREY, POINTS)
    np.testing.assert_array_equal(
        draw_direction(GREY, POINTS, named), derived)
    zero = dict.fromkeys(named, 0.)
    assert (draw_direction(GREY, POINTS, zero) != derived).any()


def test_shown_size_is_at_least_400() -> None:
    for shape in ((50, 50), (33, 70), (480, 640)):
        image = np.zeros(shape, np.uint8)
        picture = draw_direction(image, POINTS, scale=None)
        assert min(picture.shape[:2]) >= 400
        assert picture.shape[0] % shape[0] == 0
    assert picture.shape == (480, 640, 3)


# --- movies --------------------------------------------------------------


def still_movie(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(GREY[None], count, 0), np.repeat(POINTS[None], count, 0)


def test_movie_plays(tmp_path: Path) -> None:
    images, points = still_movie(8)
    images += (np.arange(8, dtype=np.uint8) * 15)[:, None, None]
    count = visualizer.write_movie(tmp_path / 'm.mp4', images, points, fps=25.,
                        angle_plot=False)
    with VideoReader(tmp_path / 'm.mp4') as video:
        assert (count, len(video), video.size) == (8, 8, (400, 400))
        assert video.fps == pytest.approx(25)
        for i in range(8):
            corner = video.read(i)[300:340, 300:340].mean()
            assert corner == pytest.approx(90 + 15 * i, abs=4)


def test_movie_of_full_frames_from_an_iterator(tmp_path: Path) -> None:
    frames = iter(np.full((9, 480, 640, 3), 60, np.uint8))
    points = np.repeat(POINTS[None] * 8, 9, 0)
    conf = np.linspace(0, 1, 9)
    count = visualizer.write_movie(tmp_path / 'm.mp4', frames, points,
                        np.repeat(conf[:, None], 3, 1), angle_conf=conf,
                        max_frames=5)
    assert count == 5
    assert len(list(frames)) == 4  # no frame is read in vain
    with VideoReader(tmp_path / 'm.mp4') as video:
        assert (len(video), video.size) == (5, (640, 480 + gauges.PLOT_HEIGHT))


@pytest.mark.parametrize(('images', 'points'), [(0, 3), (3, 0), (2, 3)])
def test_movie_without_enough_frames_is_refused(
        tmp_path: Path, images: int, points: int) -> None:
    with pytest.raises(DataError, match='frames'):
        visualizer.write_movie(tmp_path / 'm.mp4', still_movie(images)[0],
                    still_movie(points)[1])
    assert not list(tmp_path.iterdir())


def test_plot_holds_three_seconds_with_now_at_the_right() -> None:
    plot = gauges.AnglePlot(400, fps=10.)
    first = plot.draw({'body': 1., 'head': -1.}, None)
    columns = np.nonzero((first == gauges.BODY).all(-1).any(0))[0]
    assert not len(columns) or columns.min() > 380
    for _ in range(60):
        strip = plot.draw({'body': 1., 'head': -1.}, None)
    assert len(plot.past) == 30
    rows, columns = np.nonzero((strip == gauges.BODY).all(-1))
    head_rows = np.nonzero((strip == gauges.HEAD).all(-1))[0]
    assert columns.max() > 390 and columns.min() < 80
    assert rows.max() < gauges.PLOT_HEIGHT / 2 < head_rows.min()


def test_plot_breaks_where_the_angle_wraps_and_where_it_is_unknown() -> None:
    plot = gauges.AnglePlot(400, fps=10.)
    for angle in (3., 3.1, -3.1, -3., np.nan, -2.9, -2.9):
        strip = plot.draw({'body': angle, 'head': np.nan}, None)
    middle = strip[40:80]  # a line across would come by here
    assert share_of(middle, gauges.BODY) == 0
    assert share_of(strip, gauges.BODY) > 0


def test_unsure_stretches_are_marked() -> None:
    marks = []
    for conf in (.9, .1):
        plot = gauges.AnglePlot(400, fps=10.)
        for _ in range(40):
            strip = plot.draw({'body': 1., 'head': 1.}, conf)
        marks.append((strip[:, 60:, 2] == 90).mean())
    assert marks[0] == 0 and marks[1] > .5


# --- sheets --------------------------------------------------------------


def test_worst_errors_are_shown_the_worst_first(tmp_path: Path) -> None:
    errors = np.array([5., 80., np.nan, 20., 170.])
    images, points = still_movie(5)
    shown = visualizer.draw_worst(images, points, points + 2, errors,
                       tmp_path / 'worst.png', count=3)
    assert list(shown) == [4, 1, 3]
    sheet = cv2.imread(str(tmp_path / 'worst.png'))
    assert green_of(sheet) > 150
    assert share_of(sheet, gauges.BODY) > 50


# --- MMPose's interface --------------------------------------------------


@pytest.fixture
def sample() -> PoseDataSample:
    sample = PoseDataSample()
    sample.gt_instances = InstanceData(
        keypoints=POINTS[None], keypoints_visible=np.ones((1, 3)))
    sample.pred_instances = InstanceData(
        keypoints=POINTS[None] + 5, keypoint_scores=np.full((1, 3), .9),
        angle_conf=np.array([.8]))
    return sample


@pytest.fixture
def drawer(tmp_path: Path) -> DirectionVisualizer:
    return DirectionVisualizer(
        vis_backends=[LocalVisBackend(save_dir=str(tmp_path))])


RGB = np.full((50, 50, 3), (200, 90, 20), np.uint8)


def test_visualizer_is_found_by_its_name(tmp_path: Path) -> None:
    built = VISUALIZERS.build(
        dict(type='mmpose_ext.DirectionVisualizer', name='found_by_name',
             save_dir=str(tmp_path)))
    assert isinstance(built, DirectionVisualizer)


def test_backends_get_truth_beside_prediction(
        drawer: DirectionVisualizer, sample: PoseDataSample,
        tmp_path: Path) -> None:
    drawn = drawer.add_datasample('val', RGB, sample, step=3)
    assert drawn.shape == (400, 800, 3)
    assert tuple(drawn[200, 390]) == (200, 90, 20)  # still RGB
    left, right = drawn[:, :400], drawn[:, 400:]
    np.testing.assert_array_equal(
        left[..., ::-1], draw_direction(RGB[..., ::-1], POINTS))
    without_truth = drawer.add_datasample('a', RGB, sample, draw_gt=False)
    assert 50 < (right != without_truth).any(-1).sum() < 2000
    written = list(tmp_path.rglob('val_3.png'))
    assert len(written) == 1
    np.testing.assert_array_equal(
        cv2.imread(str(written[0])), drawn[..., ::-1])


def test_file_instead_of_backends(drawer: DirectionVisualizer,
                                  sample: PoseDataSample,
                                  tmp_path: Path) -> None:
    out = tmp_path / 'shown' / 'a.png'
    drawn = drawer.add_datasample('test', RGB, sample, draw_gt=False,
                                      draw_bbox=True, draw_heatmap=True,
                                      out_file=str(out))
    assert drawn.shape == (400, 400, 3)
    np.testing.assert_array_equal(cv2.imread(str(out)), drawn[..., ::-1])
    assert not list(tmp_path.rglob('test_*.png'))


def test_points_below_the_threshold_are_not_drawn(
        drawer: DirectionVisualizer, sample: PoseDataSample) -> None:
    sample.pred_instances.keypoint_scores[0, 2] = .1
    drawn = drawer.add_datasample('a', RGB, sample, draw_gt=False)
    sure = drawer.add_datasample('a', RGB, sample, draw_gt=False,
                                     kpt_thr=0.)
    assert share_of(sure[..., ::-1], gauges.HEAD) > 2 * share_of(
        drawn[..., ::-1], gauges.HEAD)


def test_window_is_opened_when_asked(drawer: DirectionVisualizer,
                                     sample: PoseDataSample,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(
        DirectionVisualizer, 'show',
        lambda self, image, win_name, wait_time: shown.append(
            (image.shape, win_name, wait_time)))
    drawer.add_datasample('win', RGB, sample, show=True, wait_time=2)
    assert shown == [((400, 800, 3), 'win', 2)]


def test_sample_without_a_prediction_still_has_a_picture(
        drawer: DirectionVisualizer, sample: PoseDataSample) -> None:
    del sample.pred_instances
    drawn = drawer.add_datasample('a', RGB, sample)
    assert drawn.shape == (400, 800, 3)
