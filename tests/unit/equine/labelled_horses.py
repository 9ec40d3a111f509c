"""Stick horses in space, seen by a camera, as labels and as COCO files."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmpose_ext.equine.horse26 import NAMES, SKELETON

# forward, left, up in metres, of the points in the middle and on the left
BODY = {
    'nose': (1.35, 0, 1.35), 'l_eye': (1.15, .11, 1.68),
    'l_ear': (1.05, .08, 1.88), 'neck': (.75, 0, 1.35),
    'withers': (.42, 0, 1.55), 'back': (-.05, 0, 1.45),
    'tail_base': (-.65, 0, 1.42), 'tail_end': (-.85, 0, .75),
    'l_elbow': (.45, .2, .95), 'l_knee': (.5, .17, .52),
    'lf_fetlock': (.48, .17, .2), 'lf_hoof': (.53, .17, .05),
    'l_hip': (-.48, .24, 1.2), 'l_hock': (-.7, .17, .58),
    'lh_fetlock': (-.62, .17, .2), 'lh_hoof': (-.57, .17, .05),
}
LEGS = {'fore': ('elbow', 'knee', 'f_fetlock', 'f_hoof'),
        'hind': ('hip', 'hock', 'h_fetlock', 'h_hoof')}


def mirror_name(name: str) -> str:
    """The same point of the other side."""
    for old, new in (('l', 'r'), ('r', 'l')):
        for rest in ('_', 'f_', 'h_'):
            if name.startswith(old + rest):
                return new + name[1:]
    return name


def stand_horse(rng: np.random.Generator) -> np.ndarray:
    """(26, 3): forward, left, up in metres, legs in some gait."""
    body = {name: np.array(place, float) for name, place in BODY.items()}
    for name in tuple(body):
        if (other := mirror_name(name)) != name:
            body[other] = body[name] * (1, -1, 1)
    phase = rng.uniform(0, 2 * np.pi)
    for chain in LEGS.values():
        for side, shift in (('l', 0.), ('r', np.pi)):
            names = [next(n for n in (f'{side}_{part}', side + part)
                          if n in body) for part in chain]
            swing = .35 * np.sin(phase + shift) + rng.normal(0, .05)
            bend = max(0., np.cos(phase + shift)) * .3
            for i in range(1, 4):
                joint = body[names[0]] if i == 1 else body[names[i - 1]]
                lower = names[i:]
                angle = swing if i == 1 else -bend if i == 2 else 0.
                for name in lower:
                    body[name] = _turn(body[name] - joint, angle) + joint
        phase += np.pi / 2 + rng.normal(0, .2)
    body = {name: place + rng.normal(0, .012, 3)
            for name, place in body.items()}
    nod = rng.normal(0, .25)
    for name in ('nose', 'l_eye', 'r_eye', 'l_ear', 'r_ear'):
        body[name] = _turn(body[name] - body['neck'], -nod) + body['neck']
    return np.array([body[name] for name in NAMES])


def _turn(place: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = place
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * x - s * z, y, s * x + c * z])


def see_horse(rng: np.random.Generator,
              width: int = 320,
              height: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Points (26, 2) px and visibility (26,) of a horse in some view."""
    kind = rng.choice(4, p=[.3, .3, .3, .1])
    heading = (rng.normal(0, .3), np.pi + rng.normal(0, .3),
               rng.uniform(0, 2 * np.pi),
               rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, .3))[kind]
    body = stand_horse(rng)
    forward = np.array([np.cos(heading), np.sin(heading)])
    left = np.array([-np.sin(heading), np.cos(heading)])
    ground = body[:, :1] * forward + body[:, 1:2] * left
    distance, camera = rng.uniform(5, 9), rng.uniform(1.2, 2.2)
    depth = ground[:, 1] + distance
    focal = .6 * width * distance / 2.8
    points = np.stack([width / 2 + focal * ground[:, 0] / depth,
                       height * .45 + focal * (camera - body[:, 2] - .4
                                               ) / depth], -1)
    visibility = np.full(26, 2)
    for i, name in enumerate(NAMES):
        is_far = (body[i, 1] * left)[1] > .1
        if mirror_name(name) != name and is_far:
            head = name.endswith('_eye')
            visibility[i] = 0 if head else rng.choice([1, 2])
    points += rng.normal(0, .8, points.shape)
    return points, visibility


def see_horses(count: int,
               seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 26, 2) and visibility (N, 26)."""
    rng = np.random.default_rng(seed)
    seen = [see_horse(rng) for _ in range(count)]
    return (np.stack([points for points, _ in seen]),
            np.stack([visibility for _, visibility in seen]))


def draw_scene(points: np.ndarray, width: int, height: int,
               seed: int) -> np.ndarray:
    """A horse of thick lines before a landscape of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(60, 220, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    color = tuple(int(v) for v in rng.integers(0, 80, 3))
    places = np.rint(points).astype(int)
    for first, second in SKELETON:
        cv2.line(image, tuple(map(int, places[first])),
                 tuple(map(int, places[second])), color, width // 50)
    return image


def coco_content(count: int = 4,
                 seed: int = 0,
                 width: int = 320,
                 height: int = 240,
                 start: int = 1) -> dict[str, Any]:
    """A sound annotation file, one horse an image."""
    images, annotations = [], []
    rng = np.random.default_rng(seed)
    i = 0
    while len(images) < count:
        points, visibility = see_horse(rng, width, height)
        points = points.round(2)
        inside = ((points > 1) & (points < (width - 2, height - 2))).all(1)
        i += 1
        if not inside.all():
            continue
        number = start + len(images)
        low, high = points.min(0) - 3, points.max(0) + 3
        low, high = low.clip(0), high.clip(0, (width - 1, height - 1))
        box = [float(v) for v in np.r_[low, high - low].round(2)]
        shown = np.where(visibility[:, None] > 0, points, 0)
        images.append(dict(id=number, file_name=f'horse_{number:03d}.jpg',
                           width=width, height=height))
        annotations.append(dict(
            id=number, image_id=number, category_id=1, iscrowd=0, bbox=box,
            area=round(.53 * box[2] * box[3], 2),
            num_keypoints=int((visibility > 0).sum()),
            keypoints=[float(v) for row in np.c_[shown, visibility]
                       for v in row]))
    for annotation in annotations:
        annotation['keypoints'][2::3] = [
            int(v) for v in annotation['keypoints'][2::3]]
    return dict(images=images, annotations=annotations, categories=[dict(
        id=1, name='horse', supercategory='animal', keypoints=list(NAMES),
        skeleton=[[a + 1, b + 1] for a, b in SKELETON])])


def write_split(folder: Path, split: str = 'train',
                content: dict[str, Any] | None = None,
                **options: Any) -> Path:
    """Annotations and pictures in the documented layout; returns the JSON."""
    content = coco_content(**options) if content is None else content
    (folder / 'annotations').mkdir(parents=True, exist_ok=True)
    (folder / split).mkdir(exist_ok=True)
    for image, annotation in zip(content['images'], content['annotations'],
                                 strict=True):
        points = np.reshape(annotation['keypoints'], (-1, 3))
        points = np.where(points[:, 2:] > 0, points[:, :2],
                          points[points[:, 2] > 0, :2].mean(0))
        cv2.imwrite(
            str(folder / split / image['file_name']),
            draw_scene(points, image['width'], image['height'],
                       1000 * options.get('seed', 0) + image['id']))
    path = folder / 'annotations' / f'horse_{split}.json'
    path.write_text(json.dumps(content))
    return path
