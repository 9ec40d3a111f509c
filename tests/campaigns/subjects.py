"""The files that are damaged, and the commands that read them."""
from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.storage import VideoWriter
from tests.campaigns.cases import Place, configs_of
from tests.campaigns.kills import train_undisturbed
from tests.front_door.client import ROOT, Server
from tests.unit.behavior import test_convert as behavior_sources
from tests.unit.behavior import track_files
from tests.unit.direction import data_files, test_damaged
from tests.unit.equine import label_files, trained_files
from tests.unit.handobject import dexycb_folder, test_convert_interhand
from tests.unit.storage import test_mabe22, test_sleap
from tests.unit.volumetric import test_convert as volumetric_sources

READ = str(Path(__file__).with_name('read_data.py'))
TREES: dict[str, Callable[[Path, Place, Server], None]] = {}


@dataclass(frozen=True)
class Subject:
    """A kind of file, and a command that reads it.

    Attributes:
        family: A folder of the package.
        kind: What the file is, for people.
        tree: Name in ``TREES`` of the folder that it is in.
        pattern: The files that are damaged, one at a time.
        door: A script and its words; ``{in}`` is the folder, ``{out}`` what
            it writes.
        is_read: Whether the command must read all that the pattern names,
            so that it cannot do without.
        keeps: Whether results of what is sound may stay when the command is
            refused.
    """

    family: str
    kind: str
    tree: str
    pattern: str
    door: tuple[str, ...]
    is_read: bool = True
    keeps: bool = False


def tree(name: str) -> Callable:
    """Register what writes a folder."""
    def register(write: Callable) -> Callable:
        TREES[name] = write
        return write
    return register


def _config(name: str) -> str:
    return str(ROOT / 'configs' / name)


def _tool(name: str, *words: str) -> tuple[str, ...]:
    return str(ROOT / 'tools' / f'{name}.py'), *words


def _convert(form: str, family: str, *words: str) -> tuple[str, ...]:
    return _tool('convert_dataset', form, *words, '--out', '{out}',
                 '--family', family)


def _both(config: str, *options: str) -> list[tuple[str, ...]]:
    """The two ways in which a config's data are read."""
    words = ('--cfg-options', *options) if options else ()
    return [_tool('verify_dataset', config, *words),
            (READ, config, *options)]


def _predict(config: str, name: str, *words: str) -> tuple[str, ...]:
    return _tool('predict', _config(f'{config}_tiny_synthetic.py'),
                 '{in}/model.pth', *words, '--out', f'{{out}}{name}',
                 '--device', 'cpu')


# --- the folders ----------------------------------------------------------


def _put_model(folder: Path, place: Place, server: Server,
               config: str) -> None:
    """A trained checkpoint, to be damaged or to predict with."""
    path = next(path for path in configs_of(None) if path.stem == config)
    run, _ = train_undisturbed(place, place.family(path, server))
    shutil.copy(run.folder / 'epoch_3.pth', folder / 'model.pth')


def _copy_world(folder: Path, place: Place, server: Server, family: str,
                *parts: str) -> None:
    """Parts of a synthetic world."""
    place.family(configs_of(family)[0], server)
    for part in parts:
        for path in (place.data / 'synthetic' / family).glob(part):
            target = folder / 'synthetic' / family / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                shutil.copy(path, target)


@tree('direction data')
def _direction_data(folder: Path, place: Place, server: Server) -> None:
    np.savez(folder / 'rats.npz', **data_files.arrays_of(
        40, vis=np.ones((40, 3), bool), session=np.arange(40) // 4))
    data_files.write_config(folder / 'config.py', Path('{in}/rats.npz'))


@tree('direction sources')
def _direction_sources(folder: Path, place: Place, server: Server) -> None:
    test_damaged.coco(folder)  # beside a DeepLabCut project
    test_damaged.analysis(folder)  # beside a video and its tracks


@tree('direction model')
def _direction_model(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'direction-cnn_tiny_synthetic')
    _direction_data(folder, place, server)
    pictures = folder / 'pictures'
    pictures.mkdir()
    images = data_files.arrays_of(3)['images']
    with VideoWriter(folder / 'film.mp4', 25., (50, 50)) as video:
        for row, image in enumerate(images):
            cv2.imwrite(str(pictures / f'{row}.png'), image)
            video.write(image)


@tree('equine data')
def _equine_data(folder: Path, place: Place, server: Server) -> None:
    _copy_world(folder, place, server, 'equine', 'annotations', 'train',
                'val', 'test')


@tree('equine sources')
def _equine_sources(folder: Path, place: Place, server: Server) -> None:
    truth = label_files.make_truth(folder / 'pictures', 4)
    for name, (_, file, write) in label_files.WRITERS.items():
        write(folder / f'{name.replace(" ", "_")}{Path(file).suffix}', truth)
    label_files.write_dlc(folder / 'project', truth, folder / 'pictures')


@tree('equine model')
def _equine_model(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'rtmpose-m_tiny_synthetic')
    truth = label_files.make_truth(folder / 'pictures', 3)
    trained_files.write_coco(folder / 'horses')
    with VideoWriter(folder / 'film.mp4', 25., label_files.SIZE) as video:
        for name in truth.names:
            video.write(cv2.imread(str(folder / 'pictures' / name)))


@tree('volumetric data')
def _volumetric_data(folder: Path, place: Place, server: Server) -> None:
    _copy_world(folder, place, server, 'volumetric', 'train_1', 'val',
                'test', 'pair_1', 'pair_val', 'pair_test')


@tree('volumetric sources')
def _volumetric_sources(folder: Path, place: Place, server: Server) -> None:
    volumetric_sources.write_session(folder / 'session')


@tree('volumetric model')
def _volumetric_model(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'dannce_tiny_synthetic')
    _copy_world(folder, place, server, 'volumetric', 'val')


@tree('volumetric centres')
def _volumetric_centres(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'com_tiny_synthetic')
    _copy_world(folder, place, server, 'volumetric', 'val')


@tree('behavior data')
def _behavior_data(folder: Path, place: Place, server: Server) -> None:
    root = track_files.write_records(folder / 'data', 3)
    for record in 'abc':
        track_files.write_events(root / record / 'annotations.csv',
                                 [('attack', .5, 1), ('mount', 1.2, 1.4)])
    track_files.write_config(folder / 'config.py', Path('{in}/data'),
                             annotation_format='auto', tasks='multiclass')
    with (folder / 'config.py').open('a') as config:
        for split in ('train', 'val'):
            config.write(f"{split}_dataloader['sampler'] = dict("
                         "type='DefaultSampler', shuffle=False)\n"
                         f"{split}_dataloader['collate_fn'] = dict("
                         "type='mmpose_ext.pass_batch')\n")


@tree('behavior sources')
def _behavior_sources(folder: Path, place: Place, server: Server) -> None:
    behavior_sources.write_analysis(folder / 'fly.analysis.h5')
    test_sleap.write(folder / 'labels.slp', test_sleap.content())
    behavior_sources.write_dlc(folder / 'mice.csv')
    track_files.write_record(folder / 'poses')
    behavior_sources.write_calms21(
        folder / 'calms' / 'calms21_task1_train.json', 'task1/train/m1')
    test_mabe22.save(folder / 'mabe.npy', test_mabe22.make_content())


@tree('behavior model')
def _behavior_model(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'lisbet_tiny_synthetic')
    _copy_world(folder, place, server, 'behavior', 'test')


@tree('handobject data')
def _handobject_data(folder: Path, place: Place, server: Server) -> None:
    _copy_world(folder, place, server, 'handobject', '*')


@tree('handobject sources')
def _handobject_sources(folder: Path, place: Place, server: Server) -> None:
    dexycb_folder.write_folder(folder / 'dexycb', frames=2)
    test_convert_interhand.write(
        folder / 'interhand', test_convert_interhand.content())


@tree('handobject model')
def _handobject_model(folder: Path, place: Place, server: Server) -> None:
    _put_model(folder, place, server, 'hot_tiny_synthetic')
    _copy_world(folder, place, server, 'handobject', 'models', 'index')
    pictures = folder / 'pictures'
    pictures.mkdir()
    world = place.data / 'synthetic' / 'handobject'
    for row, path in enumerate(sorted(world.rglob('color_*.jpg'))[:3]):
        shutil.copy(path, pictures / f'{row}.jpg')
    (folder / 'boxes.json').write_text(json.dumps([
        dict(image=f'{row}.jpg', bbox=[20, 20, 90, 80], side='left')
        for row in range(3)]))
    (folder / 'camera.json').write_text(json.dumps(
        dict(fx=600., fy=601., cx=320., cy=240.)))


# --- the files in them ----------------------------------------------------


def subjects() -> list[Subject]:
    """All of them."""
    return [*_direction(), *_equine(), *_volumetric(), *_behavior(),
            *_handobject()]


def _direction() -> list[Subject]:
    def named(kind: str, tree: str, pattern: str, *door: str,
              **more: bool) -> Subject:
        return Subject('direction', kind, f'direction {tree}', pattern,
                       door, **more)

    predict = functools.partial(_predict, 'direction/direction-cnn')
    film = ('--video', '{in}/v.mp4')
    dlc = _convert('dlc', 'direction', '{in}/project')
    coco = _convert('coco', 'direction', '{in}/labels.json')
    sleap = _convert('sleap', 'direction', '{in}/v.analysis.h5', *film)
    tracks = _convert('tracks', 'direction', '{in}/vDLC.csv', *film)
    return [
        *(named('data set npz', 'data', 'rats.npz', *door)
          for door in _both('{in}/config.py')),
        named('data set npz', 'data', 'rats.npz', *_tool(
            'verify_dataset', '--family', 'direction', '--ann-file',
            '{in}/rats.npz')),
        named('DeepLabCut config', 'sources', 'project/config.yaml', *dlc),
        named('DeepLabCut labels', 'sources', 'project/**/*.csv', *dlc),
        named('labelled picture', 'sources', 'project/**/*.png', *dlc),
        named('COCO labels', 'sources', 'labels.json', *coco),
        named('SLEAP analysis', 'sources', 'v.analysis.h5', *sleap),
        named('video', 'sources', 'v.mp4', *sleap),
        named('DeepLabCut tracks', 'sources', 'vDLC.csv', *tracks),
        named('video', 'sources', 'v.mp4', *tracks),
        named('checkpoint', 'model', 'model.pth', *predict(
            '.csv', '{in}/rats.npz')),
        named('npz to predict', 'model', 'rats.npz', *predict(
            '.csv', '{in}/rats.npz')),
        named('picture to predict', 'model', 'pictures/*.png', *predict(
            '.h5', '{in}/pictures'), is_read=False),
        named('video to predict', 'model', 'film.mp4', *predict(
            '.npz', '{in}/film.mp4')),
    ]


def _equine() -> list[Subject]:
    def named(kind: str, tree: str, pattern: str, *door: str,
              **more: bool) -> Subject:
        return Subject('equine', kind, f'equine {tree}', pattern, door,
                       **more)

    doors = _both(_config('equine/rtmpose-m_tiny_synthetic.py'))
    predict = functools.partial(_predict, 'equine/rtmpose-m')
    world = 'synthetic/equine'
    pictures = ('--images-root', '{in}/pictures')
    dlc = _convert('dlc', 'equine', '{in}/project')
    names = dict(coco='COCO labels', label_studio='Label Studio labels',
                 cvat='CVAT labels', csv='table of labels')
    names['json-min'] = 'Label Studio labels'
    found = [
        named('COCO annotations', 'data', f'{world}/annotations/*_[tv]*n.json'
              if door is doors[0] else f'{world}/annotations/*_val.json',
              *door) for door in doors]
    for name, (form, file, _) in label_files.WRITERS.items():
        stem = name.replace(' ', '_')
        path = f'{stem}{Path(file).suffix}'
        found.append(named(names[stem], 'sources', path, *_convert(
            form, 'equine', f'{{in}}/{path}', *pictures)))
    return [
        *found,
        named('picture', 'data', f'{world}/train/*.jpg', *doors[0]),
        named('picture', 'data', f'{world}/val/*.jpg', *doors[1],
              is_read=False),
        named('labelled picture', 'sources', 'pictures/*.png', *_convert(
            'coco', 'equine', '{in}/coco.json', *pictures)),
        named('DeepLabCut config', 'sources', 'project/config.yaml', *dlc),
        named('DeepLabCut labels', 'sources', 'project/**/*.csv', *dlc),
        named('labelled picture', 'sources', 'project/**/*.png', *dlc),
        named('checkpoint', 'model', 'model.pth', *predict(
            '.json', '{in}/pictures')),
        named('picture to predict', 'model', 'pictures/*.png', *predict(
            '.csv', '{in}/pictures'), is_read=False),
        named('boxes to predict', 'model', 'horses/horses.json', *predict(
            '.json', '{in}/horses/horses.json')),
        named('video to predict', 'model', 'film.mp4', *predict(
            '.json', '{in}/film.mp4')),
    ]


def _volumetric() -> list[Subject]:
    def named(kind: str, tree: str, pattern: str, *door: str,
              **more: bool) -> Subject:
        return Subject('volumetric', kind, f'volumetric {tree}', pattern,
                       door, **more)

    pose = _both(_config('volumetric/dannce_tiny_synthetic.py'))
    com = _both(_config('volumetric/com_tiny_synthetic.py'))
    pair = _both(_config('volumetric/sdannce_tiny_synthetic.py'))
    world = 'synthetic/volumetric'
    session = _convert('anipose', 'volumetric', '{in}/session')
    few = f'{{in}}/{world}/val', '--batch-size', '2', '--stop', '4'
    predict = _predict('volumetric/dannce', '', *few)
    find = _predict('volumetric/com', '', *few)
    return [
        *(named('Label3D (MATLAB)', 'data', f'{world}/{part}/label3d*.mat',
                *door) for part, doors in (
                    ('train_1', pose), ('val', com), ('pair_1', pair))
          for door in doors),
        *(named('centres of mass (MATLAB)', 'data',
                f'{world}/pair_1/com3d.mat', *door) for door in pair),
        *(named('settings of a recording', 'data',
                f'{world}/val/recording.json', *door, is_read=False)
          for door in (*pose, *com)),
        *(named('video', 'data', f'{world}/train_1/videos/*/*.mp4', *door)
          for door in (pose[0], pose[1], com[0])),
        named('Anipose calibration', 'sources', 'session/calibration.toml',
              *session),
        named('points in space (HDF5)', 'sources', 'session/points3d.h5',
              *session, is_read=False),
        named('SLEAP analysis', 'sources', 'session/*.analysis.h5', *session,
              is_read=False),
        named('video', 'sources', 'session/*.mp4', *session, is_read=False),
        named('checkpoint', 'model', 'model.pth', *predict, keeps=True),
        named('checkpoint', 'centres', 'model.pth', *find, keeps=True),
        named('Label3D to predict', 'model', f'{world}/val/label3d*.mat',
              *predict, keeps=True),
        named('centres to predict', 'model', f'{world}/val/com3d.mat',
              *predict, '--com', f'{{in}}/{world}/val/com3d.mat',
              keeps=True),
        named('video to predict', 'model', f'{world}/val/videos/*/*.mp4',
              *predict, keeps=True),
    ]


def _behavior() -> list[Subject]:
    def named(kind: str, tree: str, pattern: str, *door: str,
              **more: bool) -> Subject:
        return Subject('behavior', kind, f'behavior {tree}', pattern, door,
                       **more)

    def convert(form: str, name: str, kind: str, path: str) -> Subject:
        return named(kind, 'sources', path, *_convert(
            form, 'behavior', f'{{in}}/{name}'))

    doors = _both('{in}/config.py')
    predict = _predict('behavior/lisbet', '', '{in}/synthetic/behavior/test',
                       '--stride', '500')
    return [
        *(named('tracks (netCDF)', 'data', 'data/*/tracking.nc', *door)
          for door in doors),
        *(named('annotations (table)', 'data', 'data/*/annotations.csv',
                *door) for door in doors),
        convert('sleap', 'fly.analysis.h5', 'SLEAP analysis',
                'fly.analysis.h5'),
        convert('sleap', 'labels.slp', 'SLEAP labels', 'labels.slp'),
        convert('dlc', 'mice.csv', 'DeepLabCut tracks', 'mice.csv'),
        convert('movement', 'poses', 'tracks (netCDF)',
                'poses/tracking.nc'),
        convert('calms21', 'calms', 'CalMS21 (JSON)', 'calms/*.json'),
        convert('mabe22', 'mabe.npy', 'MABe22 (npy)', 'mabe.npy'),
        named('checkpoint', 'model', 'model.pth', *predict),
        named('tracks to predict', 'model',
              'synthetic/behavior/test/*/tracking.nc', *predict,
              is_read=False, keeps=True),
    ]


def _handobject() -> list[Subject]:
    def named(kind: str, tree: str, pattern: str, *door: str,
              **more: bool) -> Subject:
        return Subject('handobject', kind, f'handobject {tree}', pattern,
                       door, **more)

    doors = _both(_config('handobject/hot_tiny_synthetic.py'))
    world = 'synthetic/handobject'
    dexycb = _convert('dexycb', 'handobject', '{in}/dexycb')
    interhand = _convert('interhand2.6m', 'handobject', '{in}/interhand')
    predict = _predict(
        'handobject/hot', '', '{in}/pictures', '--boxes', '{in}/boxes.json',
        '--camera', '{in}/camera.json')
    return [
        *(named('index (npz)', 'data', f'{world}/index/s1_train.npz', *door)
          for door in doors),
        *(named('mesh', 'data', f'{world}/models/*/*.obj', *door,
                is_read=False) for door in doors),
        *(named('picture', 'data', f'{world}/*-subject-*/*/*/color*.jpg',
                *door, is_read=False) for door in doors),
        *(named(kind, 'sources', f'dexycb/{path}', *dexycb, is_read=False)
          for kind, path in (
              ('DexYCB labels (npz)', '*-subject-*/*/*/labels*.npz'),
              ('DexYCB sequence (yaml)', '*-subject-*/*/meta.yml'),
              ('DexYCB camera (yaml)', 'calibration/intrinsics/*.yml'),
              ('DexYCB hand (yaml)', 'calibration/mano*/mano.yml'),
              ('mesh', 'models/*/*.obj'))),
        *(named('InterHand (JSON)', 'sources', f'interhand/*{name}.json',
                *interhand) for name in ('data', 'camera', 'joint_3d')),
        named('checkpoint', 'model', 'model.pth', *predict),
        named('picture to predict', 'model', 'pictures/*.jpg', *predict),
        named('boxes to predict', 'model', 'boxes.json', *predict),
        named('camera to predict', 'model', 'camera.json', *predict),
    ]
