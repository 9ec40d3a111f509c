from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from mmpose_ext.storage import (
    read_dlc_names,
    read_dlc_project,
    read_dlc_tracks,
)

CONFIG = ('Task: t\nscorer: me\nmultianimalproject:\n'
          'bodyparts:\n- nose\n- tail\n')
HEADER = ('scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\n'
          'coords,x,y,x,y\n')
ROWS = {'img10': '1,2,3,4', 'img2': '5,6,7,8', 'img1': '9,10,,'}


@pytest.fixture
def project(tmp_path):
    """Two sessions of three images, rows not in natural order."""
    folder = tmp_path / 'project'
    for session in ('rat2', 'rat10'):
        images = folder / 'labeled-data' / session
        images.mkdir(parents=True)
        for name in ROWS:
            (images / f'{name}.png').write_bytes(b'png')
        (images / 'CollectedData_me.csv').write_text(HEADER + ''.join(
            f'labeled-data/{session}/{name}.png,{cells}\n'
            for name, cells in ROWS.items()))
    (folder / 'labeled-data' / 'rat2_labeled').mkdir()
    (folder / 'config.yaml').write_text(CONFIG)
    return folder


def labels(project, session='rat2'):
    return project / 'labeled-data' / session / 'CollectedData_me.csv'


def edit(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_project_comes_in_natural_order(project):
    tracks = read_dlc_project(project)
    assert tracks.names == ('nose', 'tail')
    assert tracks.individuals == ('individual_0', )
    assert tracks.sessions == ('rat2', ) * 3 + ('rat10', ) * 3
    assert tracks.frames.tolist() == [1, 2, 10, 1, 2, 10]
    assert [p.name for p in tracks.images[:3]] == ['img1.png', 'img2.png',
                                                   'img10.png']
    expected = [[[9, 10], [np.nan, np.nan]], [[5, 6], [7, 8]],
                [[1, 2], [3, 4]]]
    assert np.array_equal(tracks.points[:3, 0], expected, equal_nan=True)
    assert np.array_equal(tracks.scores[:3, 0], [[1, np.nan], [1, 1], [1, 1]],
                          equal_nan=True)
    assert tracks.video is None and tracks.source == project


def test_names_of_a_project(project):
    assert read_dlc_names(project) == ('nose', 'tail')


def test_names_follow_the_config_not_the_columns(project):
    edit(project / 'config.yaml', ('- nose\n- tail', '- tail\n- nose'))
    tracks = read_dlc_project(project)
    assert tracks.names == ('tail', 'nose')
    assert tracks.point('nose')[0, 0].tolist() == [9, 10]


def test_windows_paths_and_images_without_digits(project):
    for name in ROWS:
        new = {'img10': 'c', 'img2': 'a', 'img1': 'b'}[name]
        folder = project / 'labeled-data' / 'rat2'
        (folder / f'{name}.png').rename(folder / f'{new}.png')
        edit(labels(project), (f'labeled-data/rat2/{name}.png',
                               f'labeled-data\\rat2\\{new}.png'))
    tracks = read_dlc_project(project)
    assert [p.stem for p in tracks.images[:3]] == ['a', 'b', 'c']
    assert tracks.frames[:3].tolist() == [0, 1, 2]


def test_several_animals_and_points_of_none(project):
    (project / 'config.yaml').write_text(
        'scorer: me\nmultianimalproject: true\nbodyparts: MULTI!\n'
        'individuals: [m1, m2]\nmultianimalbodyparts: [nose]\n'
        'uniquebodyparts: [corner]\n')
    for session in ('rat2', 'rat10'):
        labels(project, session).write_text(
            'scorer,,,me,me,me,me,me,me\n'
            'individuals,,,m1,m1,m2,m2,single,single\n'
            'bodyparts,,,nose,nose,nose,nose,corner,corner\n'
            'coords,,,x,y,x,y,x,y\n'
            f'labeled-data,{session},img1.png,1,2,3,4,5,6\n')
    tracks = read_dlc_project(project)
    assert tracks.individuals == ('m1', 'm2', 'single')
    assert tracks.names == ('nose', 'corner')
    nothing = [np.nan, np.nan]
    assert np.array_equal(
        tracks.points[0],
        [[[1, 2], nothing], [[3, 4], nothing], [nothing, [5, 6]]],
        equal_nan=True)


def test_the_projects_scorer_wins(project):
    other = labels(project).with_name('CollectedData_other.csv')
    other.write_text('not a table')
    assert len(read_dlc_project(project).frames) == 6


def test_real_project(real_data):
    tracks = read_dlc_project(real_data / 'openfield_mouse')
    assert tracks.points.shape == (116, 1, 4, 2)
    assert tracks.names == ('snout', 'leftear', 'rightear', 'tailbase')
    assert tracks.points[0, 0, 0].tolist() == [21.521, 265.428]
    assert tracks.frames.tolist() == [
        int(re.findall(r'\d+', path.name)[0]) for path in tracks.images]
    assert all(path.is_file() for path in tracks.images)


def replace_labels(*pairs):
    return lambda project: edit(labels(project), *pairs)


def replace_config(*pairs):
    return lambda project: edit(project / 'config.yaml', *pairs)


@pytest.mark.parametrize(('damage', 'where'), [
    (lambda p: (p / 'config.yaml').unlink(), 'file'),
    (lambda p: (p / 'config.yaml').write_text(''), 'file'),
    (lambda p: (p / 'config.yaml').write_text('a: [b'), 'file'),
    (lambda p: (p / 'config.yaml').write_text('just text'), 'file'),
    (lambda p: (p / 'config.yaml').write_bytes(b'\xff\xfe\x00'), 'file'),
    (replace_config(('bodyparts', 'bodypart')), "key 'bodyparts'"),
    (replace_config(('- nose\n- tail', '')), "key 'bodyparts'"),
    (replace_config(('multianimalproject:', 'multianimalproject: true')),
     "key 'individuals'"),
    (replace_config(('- tail', '- tail\n- ear')), 'bodyparts'),
    (replace_config(('- tail', '- nose')), 'bodyparts'),
    (replace_labels(('tail,tail', 'tali,tali')), 'bodyparts'),
    (replace_labels(('tail,tail', 'nose,nose')), "header, bodypart 'nose'"),
    (replace_labels(('x,y,x,y', 'x,y,y,x')), "header, bodypart 'tail'"),
    (replace_labels(('x,y,x,y', 'x,y,x')), 'header'),
    (replace_labels(('coords', 'units')), 'header'),
    (replace_labels(('scorer,me,me,me,me\n', '')), 'header'),
    (replace_labels((HEADER, '')), 'header'),
    (lambda p: labels(p).write_text(HEADER), 'rows'),
    (lambda p: labels(p).write_text(''), 'file'),
    (lambda p: labels(p).write_bytes(b'\xff\x00\xfe'), 'file'),
    (replace_labels(('5,6,7,8', '5,six,7,8')), 'line 5, column nose y'),
    (replace_labels(('5,6,7,8', '5,6,inf,8')), 'line 5, column tail x'),
    (replace_labels(('5,6,7,8', '5,6,7')), 'line 5'),
    (replace_labels(('5,6,7,8', '5,6,7,8,9')), 'line 5'),
    (replace_labels(('5,6,7,8', '5,,7,8')),
     "frame 2, 'individual_0', 'nose'"),
    (replace_labels(('img2', 'img10')),
     "row 'labeled-data/rat2/img10.png'"),
    (replace_labels(('rat2/img2', 'rat3/img2')),
     "row 'labeled-data/rat3/img2.png'"),
    (lambda p: labels(p).with_name('img2.png').unlink(), 'images'),
    (lambda p: [labels(p, s).unlink() for s in ('rat2', 'rat10')], 'labels'),
    (lambda p: labels(p).rename(labels(p).with_suffix('.h5')), 'file'),
    (lambda p: [labels(p).with_name(f'CollectedData_{name}.csv').write_text(
        HEADER) for name in 'ab'] + [labels(p).unlink()], 'labels'),
    (lambda p: labels(p).with_suffix('.h5').write_bytes(b'text'), 'file'),
])
def test_damaged_project_is_refused(project, refused, damage, where):
    damage(project)
    with refused(where):
        read_dlc_project(project)


def test_errors_name_both_sides(project):
    edit(labels(project), ('tail,tail', 'tali,tali'))
    with pytest.raises(ValueError, match=(
            'expected nose, tail, as .*config.yaml says, found nose, tali')):
        read_dlc_project(project)


def test_out_of_date_table_is_refused(project, refused):
    with h5py.File(labels(project).with_suffix('.h5'), 'w') as file:
        file['df_with_missing/block0_values'] = np.zeros((4, 4))
    with refused('rows'):
        read_dlc_project(project)


# ---- predictions

TRACKS = ('scorer,net,net,net,net,net,net\n'
          'bodyparts,nose,nose,nose,tail,tail,tail\n'
          'coords,x,y,likelihood,x,y,likelihood\n'
          '4,1,2,0.5,3,4,0.25\n6,,,0.01,7,8,1.0\n')


@pytest.fixture
def tracks_file(tmp_path):
    path = tmp_path / 'clipDLC_net.csv'
    path.write_text(TRACKS)
    return path


def test_predictions_carry_their_likelihood(tracks_file):
    tracks = read_dlc_tracks(tracks_file)
    assert tracks.frames.tolist() == [4, 6]
    assert tracks.sessions == ('clip', 'clip')
    assert tracks.images is None
    assert np.array_equal(tracks.scores[:, 0], [[0.5, 0.25], [np.nan, 1.0]],
                          equal_nan=True)
    assert np.array_equal(tracks.point('tail')[:, 0], [[3, 4], [7, 8]])


def test_predictions_of_several_animals(tracks_file):
    tracks_file.write_text(
        'scorer,n,n,n,n,n,n\nindividuals,a,a,a,b,b,b\n'
        'bodyparts,nose,nose,nose,nose,nose,nose\n'
        'coords,x,y,likelihood,x,y,likelihood\n0,1,2,0.5,3,4,0.25\n')
    tracks = read_dlc_tracks(tracks_file)
    assert tracks.individuals == ('a', 'b')
    assert tracks.points[0, :, 0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(('old', 'new', 'where'), [
    ('0.25', '1.25', "frame 4, 'individual_0', 'tail'"),
    ('0.25', '', "frame 4, 'individual_0', 'tail'"),
    ('\n6,', '\n4,', 'frame 4'),
    ('\n6,', '\n3,', 'frame 3'),
    ('\n6,', '\nimg6.png,', 'index'),
    ('\n6,', '\n99999999999999999999,', 'index'),
    ('likelihood', 'score', "header, bodypart 'nose'"),
    (TRACKS, HEADER + 'img1.png,1,2,3,4\n', "header, bodypart 'nose'"),
    (TRACKS, 'frame,x,y\n0,1,2\n', 'header'),
])
def test_damaged_predictions_are_refused(tracks_file, refused, old, new,
                                         where):
    edit(tracks_file, (old, new))
    with refused(where):
        read_dlc_tracks(tracks_file)


def test_other_suffix_is_refused(tracks_file, refused):
    renamed = tracks_file.rename(tracks_file.with_suffix('.txt'))
    with refused('file'):
        read_dlc_tracks(renamed)
