"""Windows with their question, the true answer and the network's."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.structures import PoseDataSample

from mmpose_ext.behavior.canvas import animal_color, new_figure, to_picture
from mmpose_ext.behavior.track_strips import TrackStyle, draw_tracks
from mmpose_ext.drawing import contact_sheet
from mmpose_ext.drawing.hook import BatchVisualizationHook
from mmpose_ext.drawing.visualizer import PictureVisualizer
from mmpose_ext.registry import HOOKS, VISUALIZERS
from mmpose_ext.training import keypoint_names

Array = np.ndarray

QUESTIONS = dict(
    cons='do all animals belong to one moment?',
    order='does the second part come later?',
    shift='is the last animal ahead in time?',
    warp='is it played faster?',
    masked='where are the hidden points?',
    forecast='where will they go?',
    contrast='which window is its neighbour?',
    multiclass='which behaviour?',
    multilabel='which behaviours?')
# what 0 and 1 mean
ANSWERS = dict(
    cons=('one moment', 'two moments'),
    order=('in disorder', 'in order'),
    shift=('behind', 'ahead'),
    warp=('slower', 'faster'),
    contrast=('another window', 'its partner'))
_WINDOWS = 6  # of a batch on one sheet
_SIDE = 3.1  # inches


def draw_window(window: Array, title: str, style: TrackStyle) -> Array:
    """Draw the tracks of a window, fading into the past.

    Args:
        window (ndarray): (W, N, K, S), NaN missing: left out.
        title (str): Lines above.
        style (TrackStyle): Names of the individuals and keypoints, as far as
            they are known.

    Returns:
        ndarray: (H, W, 3) uint8, BGR.
    """
    lines = title.splitlines()
    head = .12 + .2 * len(lines)
    figure = new_figure(_SIDE, _SIDE + head, 100)
    height = _SIDE + head
    axis = figure.add_axes((.02, .02, .96, (_SIDE - .06) / height))
    draw_tracks(axis, window, style, bodies=7)
    if not np.isfinite(window).any():
        axis.text(.5, .5, 'all points missing', ha='center', va='center',
                  transform=axis.transAxes, color='#888888')
    for i, line in enumerate(lines):
        figure.text(.03, 1 - (.16 + .2 * i) / height, line,
                    fontsize=9 if i == 0 else 8, va='center',
                    fontweight='bold' if i == 0 else 'normal')
    for i, name in enumerate(style.individuals[:8]):
        axis.text(.02, .98 - .06 * i, name, color=animal_color(i), fontsize=7,
                  transform=axis.transAxes, va='top', fontweight='bold')
    missing = float(np.isnan(window[..., 0]).mean()) if window.size else 0
    axis.text(.98, .02, f'{len(window)} frames' + (
        f', {missing:.0%} missing' if missing else ''), ha='right',
        transform=axis.transAxes, fontsize=7, color='#666666')
    return to_picture(figure)


def name_answer(task: str, value: Array, classes: Sequence[str] = ()) -> str:
    """A label or the scores of one question, in words.

    Args:
        task (str): Its task.
        value (ndarray): A class number, one probability, or one a class.
        classes (Sequence[str]): Names. Defaults to ().
    """
    value = np.asarray(value)
    flat = value.reshape(-1)
    if value.dtype.kind in 'iu' and flat.size == 1:
        number = int(flat[0])
        return str(classes[number]) if number < len(classes) else str(number)
    if flat.size == 1:
        score = float(flat[0])
        zero, one = ANSWERS.get(task, ('no', 'yes'))
        answer = one if score > .5 else zero
        sure = max(score, 1 - score)
        return answer if sure == 1 else f'{answer} ({sure:.0%})'
    names = [classes[i] if i < len(classes) else str(i)
             for i in range(flat.size)]
    if task == 'multiclass':
        best = int(flat.argmax())
        return f'{names[best]} ({flat[best]:.0%})'
    return ', '.join(names[i] for i in np.flatnonzero(flat > .5)) or 'none'


@VISUALIZERS.register_module()
class LisbetVisualizer(PictureVisualizer):
    """MMPose's visualizer for questions about windows of tracks.

    Arguments are those of ``PoseLocalVisualizer``.
    """

    def set_dataset_meta(self, dataset_meta: dict[str, Any],
                         skeleton_style: str = 'mmpose') -> None:
        """Take the names of animals, keypoints and classes.

        Args:
            dataset_meta (dict): As ``LisbetWindowDataset`` has it.
            skeleton_style (str): Not used.
        """
        self.dataset_meta = dict(dataset_meta or {})

    def draw_picture(self, image: Any, data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """Draw the first windows of a task.

        Args:
            image (ndarray): (B, W, N, K, S) windows, NaN missing.
            data_sample (PoseDataSample): Of one task: ``task``,
                ``gt_instance_labels`` and ``pred_instances``.
            draw_gt (bool): Whether to write the true answer.
            draw_pred (bool): Whether to write the network's.
            kpt_thr (float): Not used.

        Returns:
            ndarray: BGR.
        """
        meta = getattr(self, 'dataset_meta', None) or {}
        task = data_sample.get('task', '')
        style = TrackStyle(tuple(map(str, meta.get('individuals', ()))),
                           keypoint_names(meta))
        windows = np.asarray(image)
        tiles = []
        for i, window in enumerate(windows[:_WINDOWS]):
            answers = [
                f'{word}: {answer}' for shown, word, field, key in (
                    (draw_gt, 'truth', 'gt_instance_labels', 'labels'),
                    (draw_pred, 'answer', 'pred_instances', 'scores'))
                if shown and (answer := _answer_of(
                    data_sample.get(field), key, task, i,
                    meta.get('classes') or ()))]
            title = f'{task}: {QUESTIONS.get(task, "")}'
            tiles.append(draw_window(
                window, '\n'.join([title, *(['   '.join(answers)]
                                            if answers else [])]), style))
        return contact_sheet(tiles, 3, background=(255, 255, 255))


def _answer_of(values: Any, key: str, task: str, place: int,
               classes: Sequence[str]) -> str:
    """An answer in words; '' where there is none for the window."""
    if values is None:
        return ''
    if key == 'scores' and 'errors' in values:
        return f'off by {float(values["errors"][place]):.3g}'
    # of pairs only the first windows have one
    if key not in values or place >= len(values[key]):
        return ''
    found = values[key][place]
    if hasattr(found, 'detach'):
        found = found.detach().cpu().numpy()
    return name_answer(task, found, classes)


@HOOKS.register_module()
class LisbetVisualizationHook(BatchVisualizationHook):
    """``--show-dir`` for windows: a sheet for each task of each batch.

    The arguments are those of ``PoseVisualizationHook``.
    """

    def after_test_iter(self, runner: Any, batch_idx: int,
                        data_batch: dict[str, Any],
                        outputs: Sequence[PoseDataSample]) -> None:
        """Draw every ``interval``-th batch."""
        if not self.enable or batch_idx % self.interval:
            return
        self._visualizer.set_dataset_meta(runner.test_evaluator.dataset_meta)
        for i, sample in enumerate(outputs):
            out_file = None
            if self.out_dir is not None:
                folder = Path(runner.work_dir, runner.timestamp, self.out_dir)
                out_file = str(folder / f'{sample.get("task", i)}_'
                               f'{batch_idx:05d}.png')
            self._draw('test_img', data_batch, outputs, i, batch_idx,
                       out_file)

    def image_of(self, data_batch: dict[str, Any], index: int) -> Array:
        """The windows of one task.

        Args:
            data_batch (dict): As the data loader gives it.
            index (int): Of the task.
        """
        sample = data_batch['data_samples'][index]
        first = sample.get('first', 0)
        count = sample.get('windows', len(data_batch['inputs']) - first)
        windows: Array = data_batch['inputs'][
            first:first + min(count, _WINDOWS)].cpu().numpy()
        return windows
