"""One picture of all that is known of a hand and the objects about it.

The photograph with the truth, the photograph with the prediction, both from
the side and from above, and the errors in words.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.drawing.lettering import write_line
from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.drawing import (
    GRASPED,
    STANDING,
    TRUTH,
    HandObjectPose,
    box_corners,
    draw_hand,
    draw_object,
)
from mmpose_ext.handobject.pose_errors import describe_errors
from mmpose_ext.handobject.space_panel import ABOVE, SIDE, SpacePanel

Array = np.ndarray

TILE = 400  # px
NO_CAMERA = 'no camera given: distances from the camera are a guess'
_MARGIN = .25  # about hand and object, of their longer side
_LINE = 18  # px, height of a line of text
# lines of text below a picture, with labels beside a prediction or not; as
# many always, so that movies keep their size
_LINES = {True: 3, False: 2}


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn.

    Attributes:
        image: (H, W, 3) BGR uint8, the photograph.
        matrix: (3, 3) of the camera that took it.
        pose: The prediction; None: there is none.
        truth: The labels; None: there are none.
        caption: Which photograph it is.
        bounds: (2, 3) m of the objects' meshes by class, as far as known.
        note: What else is to be said. Defaults to ''.
    """

    image: Array
    matrix: Array
    pose: HandObjectPose | None
    truth: HandObjectPose | None
    caption: str = ''
    bounds: Mapping[int, Array] = field(default_factory=dict)
    note: str = ''

    @property
    def poses(self) -> list[HandObjectPose]:
        """Those that there are, the truth first."""
        return [pose for pose in (self.truth, self.pose) if pose is not None]


def draw_scene(scene: Scene, tile: int = TILE, columns: int | None = None,
               whole: bool = False) -> Array:
    """Draw a scene.

    Args:
        scene (Scene): With a pose, a truth or both.
        tile (int): Width and height of each part, px. Defaults to 400.
        columns (int, optional): Parts in a row. Defaults to None: two of
            four parts, three of three.
        whole (bool): Whether to show the whole photograph instead of what is
            about the hand. Defaults to False.

    Returns:
        ndarray: (H, W, 3) BGR uint8; its size depends on `tile`, `columns`
        and on whether there are pose and truth, on nothing else.
    """
    window = (_whole(scene.image) if whole else
              _window(scene.image, scene))
    photograph, matrix = cut_out(scene.image, scene.matrix, window, tile)
    parts = []
    if scene.truth is not None:
        parts.append(_draw_photograph(photograph, matrix, scene.truth, None,
                                      scene.bounds, 'labels'))
    if scene.pose is not None:
        title = 'prediction' if scene.truth is None else (
            'prediction, in white the labels')
        parts.append(_draw_photograph(photograph, matrix, scene.pose,
                                      scene.truth, scene.bounds, title))
    panel = SpacePanel.about(scene.poses, tile, scene.bounds)
    main, other = ((scene.truth, None) if scene.pose is None else
                   (scene.pose, scene.truth))
    parts += [panel.draw(direction, main, other, scene.bounds)
              for direction in (SIDE, ABOVE)]
    columns = columns or (2 if len(parts) == 4 else 3)
    return _lay_out(parts, columns, _words(scene))


def cut_out(image: Array, matrix: Array, window: Array,
            side: int) -> tuple[Array, Array]:
    """Enlarge a part of a photograph, its camera with it.

    Args:
        image (ndarray): (H, W, 3) BGR uint8.
        matrix (ndarray): (3, 3) its camera.
        window (ndarray): (4,) left, top, right, bottom, px; what it lacks of
            a square is added on both sides.
        side (int): Width and height of the result, px.

    Returns:
        tuple[ndarray, ndarray]: (side, side, 3) BGR, grey outside of the
        photograph, and the camera (3, 3) that would have taken it.
    """
    extent = window[2:] - window[:2]
    factor = side / float(extent.max())
    corner = window[:2] - (extent.max() - extent) / 2
    # pixel centres lie at integers, edges half a pixel further out
    shift = factor * (.5 - corner) - .5
    move = np.array([[factor, 0, shift[0]], [0, factor, shift[1]],
                     [0, 0, 1]])
    image, enlarge = _reduced(image, max(1, int(1 / factor)))
    tile = cv2.warpAffine(
        image, (move @ enlarge)[:2], (side, side), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=BACKGROUND)
    return np.ascontiguousarray(tile), move @ matrix


def _reduced(image: Array, step: int) -> tuple[Array, Array]:
    """Means of step x step pixels, and what leads back to the pixels."""
    if step > 1:
        height, width = (length // step for length in image.shape[:2])
        if height and width:
            image = cv2.resize(image[:height * step, :width * step],
                               (width, height), interpolation=cv2.INTER_AREA)
        else:
            step = 1
    half = (step - 1) / 2
    return image, np.array([[step, 0, half], [0, step, half], [0, 0, 1.]])


def place_of(scene: Scene) -> tuple[HandObjectPose, Array]:
    """What the picture is about, the truth if there is one, and its pixels.

    Raises:
        ValueError: If there is neither pose nor truth.
    """
    if not scene.poses:
        raise ValueError('neither a pose nor labels to draw')
    pose = scene.poses[0]
    points = [project(pose.joints, scene.matrix)]
    row = pose.row_of(pose.grasped)
    if row is not None and pose.grasped in scene.bounds:
        corners = box_corners(scene.bounds[pose.grasped])
        points.append(project(
            corners @ pose.rotations[row].T + pose.translations[row],
            scene.matrix))
    pixels = np.concatenate(points)
    return pose, pixels[np.isfinite(pixels).all(-1)]


def _window(image: Array, scene: Scene) -> Array:
    """Left, top, right, bottom about what is to be seen, px."""
    size = np.array(image.shape[1::-1], np.float64)
    _, pixels = place_of(scene)
    near = pixels[((pixels > -size) & (pixels < 2 * size)).all(-1)]
    if not len(near):
        return _whole(image)
    low, high = near.min(0), near.max(0)
    rim = max(_MARGIN * float((high - low).max()), 8.)
    low, high = low - rim, high + rim
    if (high - low).max() >= size.max():
        return _whole(image)
    return np.concatenate([low, high])


def _whole(image: Array) -> Array:
    height, width = image.shape[:2]
    return np.array([0, 0, width, height], np.float64)


def _draw_photograph(photograph: Array, matrix: Array, pose: HandObjectPose,
                     truth: HandObjectPose | None,
                     bounds: Mapping[int, Array], title: str) -> Array:
    canvas = photograph.copy()
    thickness = max(2, round(canvas.shape[0] / 170))
    # far objects first
    for row in np.argsort(-np.nan_to_num(pose.translations[:, 2])):
        number = int(pose.classes[row])
        held = number == pose.grasped
        draw_object(canvas, bounds.get(number), pose.rotations[row],
                    pose.translations[row], matrix,
                    GRASPED if held else STANDING, 2 if held else 1,
                    axes=held or number not in bounds)
    if truth is not None:
        row = truth.row_of(truth.grasped)
        if row is not None:
            draw_object(canvas, bounds.get(truth.grasped),
                        truth.rotations[row], truth.translations[row], matrix,
                        TRUTH, axes=False)
    draw_hand(canvas, pose, matrix, thickness)
    if truth is not None:
        draw_hand(canvas, replace(truth, contact=None), matrix, 1, TRUTH)
    write_line(canvas, title, 8, 18, .45)
    return canvas


def _words(scene: Scene) -> list[str]:
    lines = [scene.caption]
    if scene.pose is not None and scene.truth is not None:
        lines += describe_errors(scene.pose, scene.truth, scene.bounds)
    if scene.note:
        lines.append(scene.note)
    count = _LINES[len(scene.poses) == 2]
    return (lines + count * [''])[:count]


def _lay_out(parts: Sequence[Array], columns: int,
             lines: Sequence[str]) -> Array:
    """Parts in rows, and lines of text below."""
    side = parts[0].shape[0]
    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    height = rows * side + len(lines) * _LINE + 8
    sheet = np.full((height, columns * side, 3), BACKGROUND, np.uint8)
    for number, part in enumerate(parts):
        row, column = divmod(number, columns)
        sheet[row * side:(row + 1) * side,
              column * side:(column + 1) * side] = part
    for number, text in enumerate(lines):
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, .45, 1)[0][0]
        scale = .45 * min(1., (sheet.shape[1] - 16) / max(width, 1))
        write_line(sheet, text, 8, rows * side + (number + 1) * _LINE, scale)
    return sheet
