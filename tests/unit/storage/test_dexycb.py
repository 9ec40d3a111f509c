from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mmpose_ext.storage import DataError
from mmpose_ext.storage.dexycb import (
    SERIALS,
    SUBJECTS,
    list_sequences,
    ranked,
    read_betas,
    read_intrinsics,
    read_meta,
)

META = dict(
    serials=list(SERIALS), num_frames=72, extrinsics='20200702_151821',
    ycb_ids=[2, 5, 21], ycb_grasp_ind=1, mano_sides=['left'],
    mano_calib=['20200709-subject-01_left'])
COLOR = dict(fx=613.076, fy=611.999, ppx=313.028, ppy=245.009)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str)
                    else yaml.safe_dump(content))
    return path


def without(key: str) -> dict:
    return {name: value for name, value in META.items() if name != key}


def refused(call: Callable[[], Any], file: Path, where: str, expected: str,
            found: str) -> DataError:
    with pytest.raises(DataError) as caught:
        call()
    error = caught.value
    assert '\n' not in str(error)
    assert (error.file, error.where) == (str(file), where)
    assert expected in error.expected and found in error.found
    return error


def test_meta_is_read(tmp_path):
    meta = read_meta(write(tmp_path / 'meta.yml', META))
    assert meta.serials == SERIALS and meta.num_frames == 72
    assert meta.ycb_ids == (2, 5, 21) and meta.grasped == 1
    assert meta.side == 'left' and meta.mano == '20200709-subject-01_left'


def test_calibration_ids_stay_texts(tmp_path):
    text = yaml.safe_dump(META).replace("'", '')
    assert 'extrinsics: 20200702_151821' in text
    assert yaml.safe_load(text)['extrinsics'] == 20200702151821
    meta = read_meta(write(tmp_path / 'meta.yml', text))
    assert meta.extrinsics == '20200702_151821' and meta.serials == SERIALS


@pytest.mark.parametrize('content, where, expected, found', [
    ('{', 'file', 'YAML', 'flow'),
    ('- 1\n- 2\n', 'file', 'keys and values', "['1', '2']"),
    ('serials: !!python/object:os.system []', "key 'num_frames'",
     "key 'num_frames'", "only 'serials'"),
    ('', 'file', 'content', 'an empty file'),
    (without('serials'), "key 'serials'", "key 'serials'", 'only '),
    (without('ycb_grasp_ind'), "key 'ycb_grasp_ind'",
     "key 'ycb_grasp_ind'", "'ycb_ids'"),
    ({**META, 'serials': []}, 'serials', 'cameras, each once', '[]'),
    ({**META, 'serials': ['1', '1']}, 'serials', 'each once', "['1', '1']"),
    ({**META, 'serials': '836212060125'}, 'serials', 'a list', '836212'),
    ({**META, 'num_frames': 0}, 'num_frames', 'from 1', "'0'"),
    ({**META, 'num_frames': 7.5}, 'num_frames', 'whole number', "'7.5'"),
    ({**META, 'ycb_ids': [2, 22]}, 'ycb_ids', 'from 1 to 21', "'22'"),
    ({**META, 'ycb_ids': [0, 2]}, 'ycb_ids', 'from 1 to 21', "'0'"),
    ({**META, 'ycb_ids': [2, 2]}, 'ycb_ids', 'each once', "['2', '2']"),
    ({**META, 'ycb_grasp_ind': 3}, 'ycb_grasp_ind', 'from 0 to 2', "'3'"),
    ({**META, 'ycb_grasp_ind': -1}, 'ycb_grasp_ind', 'from 0 to 2', "'-1'"),
    ({**META, 'mano_sides': ['both']}, 'mano_sides',
     "['right'] or ['left']", "['both']"),
    ({**META, 'mano_sides': ['left', 'right']}, 'mano_sides', "['right']",
     "['left', 'right']"),
    ({**META, 'mano_calib': []}, 'mano_calib', 'one calibration', '[]'),
    ({**META, 'extrinsics': ['a']}, 'extrinsics', 'calibration', "['a']"),
])
def test_damaged_meta_is_refused(tmp_path, content, where, expected, found):
    path = write(tmp_path / 'meta.yml', content)
    refused(lambda: read_meta(path), path, where, expected, found)


def test_missing_meta_is_refused(tmp_path):
    path = tmp_path / 'meta.yml'
    refused(lambda: read_meta(path), path, 'file', 'a file', 'nothing')


def intrinsics_file(root: Path, size: str = '640x480') -> Path:
    return root / f'calibration/intrinsics/{SERIALS[0]}_{size}.yml'


def test_intrinsics_are_read(tmp_path):
    write(intrinsics_file(tmp_path), dict(color=COLOR, depth={}))
    np.testing.assert_array_equal(
        read_intrinsics(tmp_path, SERIALS[0]), [*COLOR.values()])


@pytest.mark.parametrize('content, where, expected, found', [
    ({'depth': COLOR}, "key 'color'", "key 'color'", "'depth'"),
    ({'color': [1, 2]}, 'color', 'fx, fy', "['1', '2']"),
    ({'color': dict(fx=613, ppx=313, ppy=245)}, "key 'fy'", "key 'fy'",
     "'ppx'"),
    ({'color': dict(COLOR, fx='wide')}, 'color', 'finite', "'wide'"),
    ({'color': dict(COLOR, fx='.nan')}, 'color', 'finite', "'.nan'"),
    ({'color': dict(COLOR, fx=-613)}, 'color', '640 x 480', 'fx -613'),
    # 1280 x 720 and 320 x 240
    ({'color': dict(fx=920, fy=919, ppx=632, ppy=367)}, 'color',
     '640 x 480 px', 'ppx 632'),
    ({'color': dict(fx=307, fy=306, ppx=157, ppy=122)}, 'color',
     '640 x 480 px', 'ppx 157'),
])
def test_damaged_intrinsics_are_refused(tmp_path, content, where, expected,
                                        found):
    path = write(intrinsics_file(tmp_path), content)
    refused(lambda: read_intrinsics(tmp_path, SERIALS[0]), path, where,
            expected, found)


def test_missing_intrinsics_are_refused(tmp_path):
    path = intrinsics_file(tmp_path)
    refused(lambda: read_intrinsics(tmp_path, SERIALS[0]), path, 'file',
            'a file', 'nothing')
    write(intrinsics_file(tmp_path, '1280x720'), dict(color=COLOR))
    error = refused(lambda: read_intrinsics(tmp_path, SERIALS[0]), path,
                    'file', 'a file', 'nothing')
    assert '1280x720.yml is of another resolution' in error.hint


def test_betas_are_read_and_checked(tmp_path):
    path = tmp_path / 'calibration/mano_a/mano.yml'
    refused(lambda: read_betas(tmp_path, 'a'), path, 'file', 'a file',
            'nothing')
    write(path, dict(betas=[.5] * 9))
    refused(lambda: read_betas(tmp_path, 'a'), path, 'betas', '10 numbers',
            '0.5')
    write(path, dict(betas=[.5] * 10))
    np.testing.assert_array_equal(read_betas(tmp_path, 'a'), [.5] * 10)


def test_sequences_are_listed_by_name(tmp_path):
    for name in ('b', 'a', '_set_aside', '.hidden'):
        (tmp_path / SUBJECTS[1] / name).mkdir(parents=True)
    (tmp_path / SUBJECTS[1] / 'notes.txt').write_text('')
    (tmp_path / SUBJECTS[0] / 'c').mkdir(parents=True)
    (tmp_path / 'calibration').mkdir()
    assert list(list_sequences(tmp_path).items()) == [
        (SUBJECTS[0], ('c', )), (SUBJECTS[1], ('a', 'b'))]


def test_folders_without_sequences_are_refused(tmp_path):
    refused(lambda: list_sequences(tmp_path / 'none'), tmp_path / 'none',
            'folder', 'the data root', 'nothing')
    refused(lambda: list_sequences(tmp_path), tmp_path, 'folder',
            'folders of subjects', 'none')
    (tmp_path / SUBJECTS[0]).mkdir()
    refused(lambda: list_sequences(tmp_path), tmp_path / SUBJECTS[0],
            'folder', 'sequences', 'none')


def test_a_part_of_the_data_set_keeps_its_numbers():
    assert ranked(SERIALS[2:4], SERIALS) == SERIALS
    assert ranked(['9', '10'], SERIALS) == ('10', '9')
    assert tuple(sorted(SERIALS)) == SERIALS
