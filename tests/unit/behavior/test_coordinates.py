"""Selecting and renaming what tracks are about."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.coordinates import (
    parse_renaming,
    parse_selection,
    rename_tracks,
    select_tracks,
)
from mmpose_ext.storage import DataError
from tests.unit.behavior.track_files import tracks_of, wander


def select(text, tracks=None):
    return select_tracks(tracks or tracks_of(), parse_selection(text))


def rename(text, tracks=None):
    return rename_tracks(select('', tracks), parse_renaming(text))


def test_a_selection_reorders_every_axis():
    confidence = np.arange(60 * 2 * 3).reshape(60, 2, 3).astype(np.float32)
    tracks = tracks_of(confidence=confidence, image_size=(640., 480.))
    chosen = select('intruder,resident;*;tail, nose', tracks)
    assert chosen.individuals == ('intruder', 'resident')
    assert chosen.keypoints == ('tail', 'nose')
    expected = tracks.position[:, [1, 0]][:, :, [2, 0]]
    np.testing.assert_array_equal(chosen.position, expected)
    np.testing.assert_array_equal(chosen.confidence,
                                  confidence[:, [1, 0]][:, :, [2, 0]])


def test_axes_take_the_size_of_the_picture_with_them():
    tracks = tracks_of(wander(axes=3), image_size=(640., 480., 200.))
    chosen = select('*;z,x;*', tracks)
    assert chosen.axes == ('z', 'x')
    assert chosen.image_size == (200., 640.)
    np.testing.assert_array_equal(chosen.position,
                                  tracks.position[..., [2, 0]])


@pytest.mark.parametrize('text', ['', ';;', '*;*;*', '*;;', {}])
def test_no_selection_keeps_everything(text):
    tracks = tracks_of()
    chosen = select(text, tracks)
    assert chosen.individuals == tracks.individuals
    np.testing.assert_array_equal(chosen.position, tracks.position)


def test_a_dict_says_the_same_as_a_text():
    assert parse_selection('b,a;*;nose') == parse_selection(
        dict(individuals=['b', 'a'], keypoints=['nose']))
    assert parse_renaming('a:b;*;*') == parse_renaming(
        dict(individuals=dict(a='b')))


def test_what_was_read_once_can_be_read_again():
    """Options are copied with ``dataclasses.replace``."""
    selection = parse_selection('b,a;*;nose')
    assert parse_selection(selection) == selection


@pytest.mark.parametrize('text', [
    'a', 'a;b', 'a;b;c;d', 'a,a;*;*', '*,a;*;*', {'individual': ['a']},
    {'keypoints': [1]}, '*;x;*'])
def test_a_selection_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match='select'):
        parse_selection(text)


@pytest.mark.parametrize('text', [
    'a:b', 'a;*;*', 'a:b:c;*;*', ':b;*;*', 'a:;*;*', ';*;*', 'a:b,a:c;*;*',
    {'axis': {'x': 'y'}}])
def test_a_renaming_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match='rename'):
        parse_renaming(text)


def test_an_unknown_name_is_answered_by_close_ones():
    with pytest.raises(DataError, match='did you mean resident') as caught:
        select('residant;*;*')
    assert caught.value.where == 'select.individuals'


def test_names_can_be_exchanged():
    tracks = rename('resident:intruder,intruder:resident;*;nose:snout')
    assert tracks.individuals == ('intruder', 'resident')
    assert tracks.keypoints == ('snout', 'neck', 'tail')


def test_two_things_of_one_name_are_refused():
    with pytest.raises(DataError, match='nothing else has') as caught:
        rename('*;*;nose:neck')
    assert caught.value.where == 'rename.keypoints'


def test_a_text_that_the_command_line_cut_at_its_commas_is_joined():
    text = 'a,b;x,y;nose,tail'
    assert parse_selection(text.split(',')) == parse_selection(text)
    text = 'a:one,b:two;*;*'
    assert parse_renaming(text.split(',')) == parse_renaming(text)
