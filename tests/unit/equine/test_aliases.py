from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.equine.aliases import looks_equine, map_names
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.transfer import ANIMALPOSE_NAMES, AP10K_NAMES
from mmpose_ext.storage import DataError

FILE = Path('labels.json')
HORSE10 = ('Nose', 'Eye', 'Nearknee', 'Nearfrontfetlock', 'Nearfrontfoot',
           'Offknee', 'Offfrontfetlock', 'Offfrontfoot', 'Shoulder',
           'Midshoulder', 'Elbow', 'Girth', 'Wither', 'Nearhindhock',
           'Nearhindfetlock', 'Nearhindfoot', 'Hip', 'Stifle', 'Offhindhock',
           'Offhindfetlock', 'Offhindfoot', 'Ischium')


def targets(names: tuple[str, ...]) -> dict[str, str | None]:
    found = map_names(names, FILE)
    return dict(zip(names, found.targets, strict=True))


def test_own_names_are_themselves() -> None:
    assert map_names(NAMES, FILE).targets == NAMES
    assert map_names([name.upper() for name in NAMES], FILE).targets == NAMES


def test_names_of_ap10k() -> None:
    assert targets(AP10K_NAMES) == {
        'L_Eye': 'l_eye', 'R_Eye': 'r_eye', 'Nose': 'nose', 'Neck': 'neck',
        'Root of tail': 'tail_base', 'L_Shoulder': None,
        'L_Elbow': 'l_elbow', 'L_F_Paw': 'lf_hoof', 'R_Shoulder': None,
        'R_Elbow': 'r_elbow', 'R_F_Paw': 'rf_hoof', 'L_Hip': 'l_hip',
        'L_Knee': 'l_hock', 'L_B_Paw': 'lh_hoof', 'R_Hip': 'r_hip',
        'R_Knee': 'r_hock', 'R_B_Paw': 'rh_hoof'}
    # as its files spell them
    assert targets(('left_eye', 'root_of_tail', 'left_front_paw',
                    'right_back_paw', 'left_knee')) == {
        'left_eye': 'l_eye', 'root_of_tail': 'tail_base',
        'left_front_paw': 'lf_hoof', 'right_back_paw': 'rh_hoof',
        'left_knee': 'l_hock'}


def test_names_of_animal_pose() -> None:
    found = targets(ANIMALPOSE_NAMES)
    assert found['L_EarBase'] == 'l_ear'
    assert found['TailBase'] == 'tail_base'
    assert found['R_F_Elbow'] == 'r_elbow'
    assert found['R_F_Knee'] == 'r_knee'
    assert found['R_B_Knee'] == 'r_hock'
    # other places on the horse
    assert [name for name, target in found.items() if target is None] == [
        'Throat', 'L_B_Elbow', 'R_B_Elbow']


def test_the_knee_of_a_horse_is_in_front() -> None:
    assert targets(('l_knee', 'l_hock', 'l_paw'))['l_knee'] == 'l_knee'
    assert targets(('left knee', 'left hip'))['left knee'] == 'l_knee'


@pytest.mark.parametrize('name, target', [
    ('HoofLF', 'lf_hoof'), ('hoof_front_left', 'lf_hoof'),
    ('RearRightHoof', 'rh_hoof'), ('rear', 'r_ear'), ('ear.R', 'r_ear'),
    ('right tarsus', 'r_hock'), ('carpus_l', 'l_knee'), ('back', 'back'),
    ('l_back', None), ('hoof', None), ('front_eye', None), ('', None)])
def test_spellings(name: str, target: str | None) -> None:
    assert map_names(('nose', name), FILE).targets[1] == target


@pytest.mark.parametrize('near_side, near', [('left', 'l'), ('right', 'r')])
@pytest.mark.parametrize('ahead, seen', [(1, 'r'), (-1, 'l')])
def test_near_and_seen_sides(near_side: str, near: str, ahead: int,
                             seen: str) -> None:
    """A horse that looks to the right shows its right side."""
    names = map_names(HORSE10, FILE)
    x = [100 if 'hind' in name or name in ('Hip', 'Stifle', 'Ischium')
         else 200 for name in HORSE10]
    points = np.stack([ahead * np.array(x), np.arange(22.)], 1)
    found, visibility = names.apply(points, np.full(22, 2), near_side)
    far = 'lr'['rl'.index(near)]

    def has(target: str, name: str) -> bool:
        return np.array_equal(found[NAMES.index(target)],
                              points[HORSE10.index(name)])

    assert has(f'{near}f_hoof', 'Nearfrontfoot')
    assert has(f'{far}_hock', 'Offhindhock')
    assert has(f'{seen}_eye', 'Eye') and has(f'{seen}_hip', 'Hip')
    assert (visibility > 0).sum() == 17


def test_no_side_is_guessed_from_behind() -> None:
    names = map_names(HORSE10, FILE)
    points = np.stack([np.full(22, 50.), np.arange(22.) * 10], 1)
    _, visibility = names.apply(points, np.full(22, 2), 'unknown')
    assert [NAMES[i] for i in np.flatnonzero(visibility)] == [
        'nose', 'withers']


def test_a_point_with_a_side_ranks_first() -> None:
    names = map_names(('Eye', 'r_eye', 'nose', 'tail_base'), FILE)
    points = np.array([[9., 0], [8, 0], [10, 0], [0, 0]])
    found, _ = names.apply(points, np.full(4, 2), 'left')
    assert found[NAMES.index('r_eye')].tolist() == [8, 0]


def test_two_names_for_one_point_are_refused() -> None:
    with pytest.raises(DataError, match='one name for lf_hoof.*L_F_Paw'):
        map_names(('lf_hoof', 'L_F_Paw'), FILE)
    with pytest.raises(DataError, match='names of points of a horse'):
        map_names(('wing', 'beak'), FILE)


@pytest.mark.parametrize('names, is_horse', [
    (NAMES, True), (AP10K_NAMES, True), (HORSE10, True),
    (('snout', 'leftear', 'rightear', 'tailbase'), False),
    # a mouse from above has enough of a horse's points but no legs
    (('nose', 'leftear', 'rightear', 'neck', 'tailbase', 'tailtip'), False),
    (('wing', ), False)])
def test_a_horse_is_known_by_its_legs(names: tuple[str, ...],
                                      is_horse: bool) -> None:
    assert looks_equine(names, FILE) == is_horse
