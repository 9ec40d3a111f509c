from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from mmpose_ext.commands import run_convert
from mmpose_ext.storage import (
    FrameLabels,
    PoseTracks,
    VideoWriter,
    read_movement_annotations,
    read_movement_netcdf,
    write_movement_annotations,
    write_pose_tracks,
)
from tests.unit.behavior.track_files import (
    wander,
    write_events,
    write_record,
)

RNG = np.random.default_rng(0)
CLIP = Path(__file__).parents[4] / 'shared/data/two_animals/clip.slp'
FLY = ('thorax', 'wingL', 'wingR')
MOUSE = ('nose', 'left_ear', 'right_ear', 'neck', 'tail_base')


def convert(*words: object) -> int:
    return run_convert('', [str(word) for word in words])


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix()
                  for path in folder.rglob('*') if path.is_file())


def write_analysis(path: Path, names=FLY, animals=2, frames=12):
    points = RNG.uniform(0, 40, (animals, 2, len(names), frames))
    points[0, :, 1, 3] = np.nan
    with h5py.File(path, 'w') as file:
        file['tracks'] = points
        file['node_names'] = np.bytes_(names)
        file['track_names'] = np.bytes_([f'fly{i}' for i in range(animals)])
    return points.transpose(3, 0, 2, 1)


def write_dlc(path: Path, animals=('m1', 'm2'), frames=(0, 1, 2, 5)):
    """A table as DeepLabCut writes it for several animals."""
    columns = [(animal, part, what) for animal in animals
               for part in ('nose', 'tail') for what in ('x', 'y',
                                                         'likelihood')]
    lines = [['scorer', *['net'] * len(columns)]]
    lines += [[title, *(column[level] for column in columns)]
              for level, title in enumerate(('individuals', 'bodyparts',
                                             'coords'))]
    values = RNG.uniform(0, 1, (len(frames), len(columns)))
    lines += [[str(frame), *map(str, row)]
              for frame, row in zip(frames, values, strict=True)]
    path.write_text('\n'.join(map(','.join, lines)) + '\n')
    return values.reshape(len(frames), len(animals), 2, 3)


def write_video(path: Path, frames=12) -> Path:
    with VideoWriter(path, 20., (64, 48)) as video:
        for _ in range(frames):
            video.write(np.zeros((48, 64), np.uint8))
    return path


def make_tracks(fps=25.):
    position = RNG.uniform(0, 9, (6, 2, 3, 2)).astype('f4')
    return PoseTracks(Path('a'), ('a', 'b'), FLY, ('x', 'y'), position, None,
                      np.arange(6), fps, None, {})


@pytest.mark.skipif(not CLIP.is_file(), reason='the clip is not here')
def test_two_flies_become_a_record(tmp_path: Path, capsys) -> None:
    out = tmp_path / 'new' / 'two_animals'
    assert convert('sleap', CLIP, '--out', out) == 0
    assert files_of(out) == ['README.txt', 'clip/tracking.nc']
    text = capsys.readouterr().out
    for part in ('1500 frames', 'female, male', '13 keypoints', '25 fps',
                 '1.6% of the points missing', '1024 x 1024'):
        assert part in text and part in (out / 'README.txt').read_text()
    tracks = read_movement_netcdf(out / 'clip/tracking.nc')
    assert tracks.individuals == ('female', 'male')
    assert tracks.position.shape == (1500, 2, 13, 2)
    assert tracks.fps == 25 and tracks.image_size == (1024, 1024)


def test_a_folder_of_analyses_becomes_records(tmp_path: Path) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    (source / 'wild').mkdir(parents=True)
    first = write_analysis(source / 'a.analysis.h5')
    second = write_analysis(source / 'wild' / 'a.analysis.h5')
    write_analysis(source / '_aside.h5')
    assert convert('sleap', source, '--out', out, '--fps', 30) == 0
    assert files_of(out) == ['README.txt', 'a/tracking.nc',
                             'wild/a/tracking.nc']
    for name, points in (('a', first), ('wild/a', second)):
        tracks = read_movement_netcdf(out / name / 'tracking.nc')
        np.testing.assert_array_equal(tracks.position, points.astype('f4'))
        assert tracks.fps == 30
    with xarray.open_dataset(out / 'a/tracking.nc',
                             engine='h5netcdf') as found:
        assert found.position.dtype == np.float32


def test_tables_of_deeplabcut_become_records(tmp_path: Path) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    source.mkdir()
    values = write_dlc(source / 'filmDLC_net_shuffle1_100.csv')
    write_video(source / 'film.mp4')
    assert convert('dlc', source, '--out', out) == 0
    tracks = read_movement_netcdf(
        out / 'filmDLC_net_shuffle1_100/tracking.nc')
    assert tracks.individuals == ('m1', 'm2')
    assert tracks.fps == 20 and tracks.image_size == (64, 48)
    np.testing.assert_allclose(tracks.position[[0, 1, 2, 5]],
                               values[..., :2], rtol=1e-6)
    np.testing.assert_allclose(tracks.confidence[[0, 1, 2, 5]],
                               values[..., 2], rtol=1e-6)
    assert np.isnan(tracks.position[3:5]).all()


@pytest.mark.parametrize('kind', ['csv', 'boris', 'nc'])
def test_annotations_come_along(tmp_path: Path, kind: str) -> None:
    source = tmp_path / 'tracking.nc'
    write_pose_tracks(source, make_tracks(2.))
    expected = [[0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]
    labels = tmp_path / ('l.nc' if kind == 'nc' else 'l.csv')
    if kind == 'csv':
        labels.write_text('behavior,start_time,end_time\nbite,0.5,1.5\n')
    elif kind == 'boris':
        labels.write_text('Time,Media file path,Behavior,Status\n'
                          '0.5,a,bite,START\n1.5,a,bite,STOP\n')
    else:
        write_movement_annotations(labels, FrameLabels(
            labels, ('bite', 'other'), np.array(expected, 'u1')[..., None],
            ('mia', )))
    out = tmp_path / 'out'
    assert convert('movement', source, '--out', out, '--annotations',
                   labels) == 0
    found = read_movement_annotations(out / 'tracking/annotations.nc')
    assert found.classes == ('bite', 'other')
    assert found.labels[..., 0].tolist() == expected


def test_netcdf_3_becomes_netcdf_4_without_gaps(tmp_path: Path) -> None:
    source, out = tmp_path / 'a.nc', tmp_path / 'out'
    write_pose_tracks(source, make_tracks())
    with xarray.open_dataset(source, engine='h5netcdf') as data:
        data = data.load().isel(time=[0, 1, 2, 5])
    old = tmp_path / 'old.nc'
    data.to_netcdf(old, engine='scipy')
    assert old.read_bytes()[:3] == b'CDF'
    assert convert('movement', old, '--out', out) == 0
    with h5py.File(out / 'old/tracking.nc') as file:
        assert file['position'].shape == (6, 2, 3, 2)


def write_calms21(path: Path, *names: str, rows=4) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({'annotator-id_0': {name: dict(
        keypoints=RNG.uniform(0, 500, (rows, 2, 2, 7)).tolist(),
        scores=RNG.uniform(size=(rows, 2, 7)).tolist(),
        annotations=[0] * (rows - 1) + [1],
        metadata=dict(vocab=dict(attack=0, other=1))) for name in names}}))
    return path


def test_calms21_becomes_records_with_labels(tmp_path: Path,
                                             capsys) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    write_calms21(source / 'calms21_task1_train.json', 'task1/train/m1',
                  'task1/train/m2')
    write_calms21(source / 'calms21_task1_test.json', 'task1/test/m3')
    (source / 'taskprog_features_task1_train.json').write_text('{}')
    assert convert('calms21', source, '--out', out) == 0
    assert files_of(out) == ['README.txt', *(
        f'task1/{name}/{file}.nc' for name in ('test/m3', 'train/m1',
                                               'train/m2')
        for file in ('annotations', 'tracking'))]
    text = capsys.readouterr().out
    assert '3 records, 12 frames, 3 records with labels' in text
    assert 'attack 75.0%' in text and '30 fps' in text
    labels = read_movement_annotations(
        out / 'task1/train/m1/annotations.nc')
    assert labels.annotators == ('annotator-id_0', )


def save_mabe(path: Path, **content: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.array(content, object), allow_pickle=True)
    return path


def triplets(*names: str) -> dict[str, dict[str, np.ndarray]]:
    return {name: dict(keypoints=RNG.integers(1, 850, (4, 3, 12, 2)))
            for name in names}


def test_mabe22_becomes_records_by_train_and_test(tmp_path: Path) -> None:
    source = tmp_path / 'in'
    save_mabe(source / 'mouse_triplet_train.npy', sequences=triplets('A'))
    test = save_mabe(source / 'mouse_triplet_test.npy',
                     sequences=triplets('B'))
    labels = save_mabe(
        source / 'mouse_triplets_test_labels.npy', vocabulary=['chase'],
        task_type=['Discrete'], label_array=np.ones((1, 4)),
        frame_number_map={'B': (0, 4)})
    out = tmp_path / 'all'
    assert convert('mabe22', source, '--out', out) == 0
    assert files_of(out) == ['README.txt', 'test/B/tracking.nc',
                             'train/A/tracking.nc']
    out = tmp_path / 'one'
    assert convert('mabe22', test, '--labels', labels, '--out', out) == 0
    assert read_movement_annotations(out / 'test/B/annotations.nc'
                                     ).labels.all()
    assert convert('mabe22', source, '--labels', labels, '--out',
                   tmp_path / 'no') == 1


@pytest.mark.parametrize('names, animals, families', [
    (FLY, 2, ['behavior']), (FLY, 1, ['direction']),
    (MOUSE, 1, ['direction']), (MOUSE, 2, ['behavior', 'direction'])])
def test_points_and_individuals_choose_the_family(
        tmp_path: Path, capsys, names, animals: int,
        families: list[str]) -> None:
    path = tmp_path / 'a.analysis.h5'
    write_analysis(path, names, animals)
    with pytest.raises(SystemExit):
        convert('sleap', path, '--help')
    text = capsys.readouterr().out
    shown = [family for family, option in (
        ('behavior', '--annotations'), ('direction', '--crop-scale'))
        if option in text]
    if len(families) == 1:
        assert shown == families
        return
    with pytest.raises(SystemExit):
        convert('sleap', path, '--out', tmp_path / 'out')
    assert ('the points of INPUT fit behavior and direction'
            in capsys.readouterr().err)
    assert convert('sleap', path, '--out', tmp_path / 'out', '--family',
                   'behavior') == 0


def test_a_project_of_deeplabcut_is_not_ours(tmp_path: Path,
                                             capsys) -> None:
    (tmp_path / 'project').mkdir()
    (tmp_path / 'project/config.yaml').write_text('bodyparts: [x]\n')
    write_dlc(tmp_path / 'project/a.csv')
    with pytest.raises(SystemExit):
        convert('dlc', tmp_path / 'project', '--out', tmp_path / 'out')
    assert 'fit none of' in capsys.readouterr().err


class Bomb:
    def __reduce__(self):
        return os.mkdir, ('bomb', )


def damaged_slp(folder: Path) -> list[object]:
    (folder / 'a.slp').write_bytes(b'\x89HDF\r\n\x1a\n')
    return ['sleap', folder / 'a.slp']


def empty_folder(folder: Path) -> list[object]:
    (folder / 'empty').mkdir()
    return ['movement', folder / 'empty']


def second_file_damaged(folder: Path) -> list[object]:
    write_pose_tracks(folder / 'a.nc', make_tracks())
    (folder / 'b.nc').write_bytes(b'CDF\x01')
    return ['movement', folder]


def other_rate(folder: Path) -> list[object]:
    write_pose_tracks(folder / 'a.nc', make_tracks())
    return ['movement', folder / 'a.nc', '--fps', 30]


def annotations_of_two(folder: Path) -> list[object]:
    for name in 'ab':
        write_pose_tracks(folder / f'{name}.nc', make_tracks())
    return ['movement', folder, '--annotations', folder / 'l.csv']


def no_video(folder: Path) -> list[object]:
    write_analysis(folder / 'a.h5')
    return ['sleap', folder / 'a.h5', '--video', folder / 'no.mp4']


def short_video(folder: Path) -> list[object]:
    write_analysis(folder / 'a.h5')
    return ['sleap', folder / 'a.h5', '--video',
            write_video(folder / 'v.mp4', 5)]


def short_annotations(folder: Path) -> list[object]:
    write_pose_tracks(folder / 'a.nc', make_tracks())
    write_movement_annotations(folder / 'l.nc', FrameLabels(
        folder, ('x', ), np.ones((3, 1, 1), 'u1'), ('m', )))
    return ['movement', folder / 'a.nc', '--annotations', folder / 'l.nc']


def same_video_twice(folder: Path) -> list[object]:
    for name in 'ab':
        write_calms21(folder / f'{name}.json', 'm1')
    return ['calms21', folder]


def leads_out(folder: Path) -> list[object]:
    return ['calms21', write_calms21(folder / 'a.json', '../../m1')]


def runs_code(folder: Path) -> list[object]:
    return ['mabe22', save_mabe(folder / 'a.npy', sequences=Bomb())]


def no_triplets(folder: Path) -> list[object]:
    np.save(folder / 'flies.npy', np.ones(3))
    return ['mabe22', folder]


def no_tracks(folder: Path) -> list[object]:
    write_pose_tracks(folder / 'a.nc', make_tracks())
    write_movement_annotations(folder / 'a.nc', FrameLabels(
        folder, ('x', ), np.ones((3, 1, 1), 'u1'), ('m', )))
    return ['movement', folder / 'a.nc']


@pytest.mark.parametrize('make', [
    damaged_slp, empty_folder, second_file_damaged, other_rate,
    annotations_of_two, no_video, short_video, short_annotations,
    same_video_twice, leads_out, runs_code, no_triplets, no_tracks])
def test_a_damaged_input_leaves_nothing(tmp_path: Path, capsys, make,
                                        monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'in'
    folder.mkdir()
    words = make(folder)
    assert convert(*words, '--out', tmp_path / 'new/out') == 1
    text = capsys.readouterr().err
    assert text.startswith('error: ') and text.count('\n') == 1
    assert str(folder) in text
    assert [path.name for path in tmp_path.iterdir()] == ['in']


@pytest.mark.parametrize('kind, told', [
    ('calms21', 'data.caltech.edu/records/s0vdx-0k302'),
    ('mabe22', 'doi.org/10.22002/rdsa8-rde65')])
def test_who_has_no_data_is_told_where_they_are(
        tmp_path: Path, capsys, kind: str, told: str) -> None:
    assert convert(kind, tmp_path / 'none', '--out', tmp_path / 'o') == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / 'o').exists()


def test_what_is_there_is_replaced_only_if_asked(tmp_path: Path,
                                                 capsys) -> None:
    source, out = tmp_path / 'a.nc', tmp_path / 'out'
    write_pose_tracks(source, make_tracks())
    out.mkdir()
    (out / 'old').write_text('x')
    assert convert('movement', source, '--out', out) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert convert('movement', source, '--out', tmp_path,
                   '--overwrite') == 1
    assert source.is_file()
    assert convert('movement', source, '--out', out, '--overwrite') == 0
    assert files_of(out) == ['README.txt', 'a/tracking.nc']


@pytest.mark.parametrize('rate', ['0', '-3', 'inf', 'fast'])
def test_a_senseless_rate_is_wrong_usage(tmp_path: Path, rate: str) -> None:
    write_pose_tracks(tmp_path / 'a.nc', make_tracks())
    with pytest.raises(SystemExit):
        convert('movement', tmp_path / 'a.nc', '--out', tmp_path / 'o',
                f'--fps={rate}')


def test_a_folder_of_records_keeps_ids_and_annotations(
        tmp_path: Path) -> None:
    for name in ('train/a', 'test/b'):
        place = write_record(tmp_path / 'in' / name, wander(60, seed=1))
        write_events(place.with_name('annotations.csv'), [('run', .5, 1.)])
    assert convert('movement', tmp_path / 'in', '--out',
                   tmp_path / 'out') == 0
    assert files_of(tmp_path / 'out') == [
        'README.txt', 'test/b/annotations.nc', 'test/b/tracking.nc',
        'train/a/annotations.nc', 'train/a/tracking.nc']
    labels = read_movement_annotations(
        tmp_path / 'out/train/a/annotations.nc')
    assert labels.labels[:, labels.classes.index('run'), 0].sum() == 15
