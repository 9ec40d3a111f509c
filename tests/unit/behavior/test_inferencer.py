"""Records and arrays to samples, as the command would write them."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import read_label_table
from mmpose_ext.behavior.embedding_files import read_embedding
from mmpose_ext.behavior.inferencer import TrackInferencer, load
from mmpose_ext.commands import run_command
from mmpose_ext.storage import DataError

from .small_models import CLASSES, write_models
from .track_files import INDIVIDUALS, KEYPOINTS, wander, write_record


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two records, and models that tell behaviours and do not."""
    folder = tmp_path_factory.mktemp('inferencer')
    for seed, record in enumerate(('one', 'two')):
        write_record(folder / 'data' / record, wander(40 + seed, seed=seed))
    write_models(folder)
    return folder


def open_model(world: Path, name: str = 'frame') -> TrackInferencer:
    return load(Config.fromfile(world / f'{name}.py'), world / f'{name}.pth',
                'cpu')


@pytest.mark.parametrize(('words', 'options'), [
    ((), {}), (('--stride', '3'), dict(stride=3)),
    (('--dense', ), dict(mode='dense'))])
def test_a_folder_gives_what_the_command_writes(
        world: Path, tmp_path: Path, words: tuple[str, ...],
        options: dict[str, Any]) -> None:
    assert run_command('predict', '', [
        str(world / 'frame.py'), str(world / 'frame.pth'),
        str(world / 'data'), '--out', str(tmp_path / 'out'), '--embeddings',
        '--device', 'cpu', *words]) == 0
    samples = list(open_model(world)(world / 'data', **options))
    assert [sample.record for sample in samples] == ['one', 'two']
    for sample in samples:
        folder = tmp_path / 'out' / sample.record
        found = sample.pred_instances
        np.testing.assert_array_equal(
            found.embeddings, read_embedding(folder / 'embedding.nc').values)
        names, labels = read_label_table(
            folder / 'machineAnnotation_lisbet.csv')
        assert sample.classes == names == tuple(CLASSES)
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_allclose(found.scores.sum(1), 1, atol=1e-5)
        assert sample.keypoints == KEYPOINTS
        assert sample.individuals == INDIVIDUALS
        assert sample.fps == 30 and len(sample.frames) == len(found)


def test_an_array_gives_what_a_file_of_it_gives(world: Path) -> None:
    model = open_model(world)
    track = wander(40)
    track[5:8, 0, 1] = np.nan  # closed alike
    write_record(world / 'gap', track)
    from_file, = model(world / 'gap' / 'tracking.nc')
    from_array, = model(track, fps=30.)
    np.testing.assert_array_equal(from_array.pred_instances.embeddings,
                                  from_file.pred_instances.embeddings)
    assert from_array.record == 'inputs' and from_array.fps == 30
    assert np.isnan(track[5:8, 0, 1]).all()  # the caller's own


def test_a_size_of_the_arena_scales_as_a_file_that_states_it(
        world: Path) -> None:
    model = open_model(world, 'window')
    write_record(world / 'sized', wander(40), image_size=(640., 480.))
    from_file, = model(world / 'sized' / 'tracking.nc')
    sized, = model(wander(40), fps=30., image_size=(640, 480))
    free, = model(wander(40), fps=30.)
    wanted = from_file.pred_instances.embeddings
    np.testing.assert_array_equal(sized.pred_instances.embeddings, wanted)
    assert abs(free.pred_instances.embeddings - wanted).max() > 1e-4


def test_a_model_without_behaviours_gives_embeddings_alone(
        world: Path) -> None:
    sample, = open_model(world, 'window')(wander(20))
    assert sample.pred_instances.keys() == ['embeddings']
    assert sample.classes == () and sample.fps is None
    sample, = open_model(world)(wander(20), embeddings=False)
    assert sorted(sample.pred_instances.keys()) == ['labels', 'scores']


def test_an_endless_stream_is_read_record_by_record(world: Path) -> None:
    given = []

    def arrays() -> Iterator[Any]:
        yield world / 'data' / 'one' / 'tracking.nc'
        while True:
            given.append(len(given))
            yield wander(20, seed=len(given))

    samples = open_model(world)(arrays())
    assert not given
    assert [next(samples).record for _ in range(3)] == [
        'tracking', 'inputs[1]', 'inputs[2]']
    assert given == [0, 1]


def broken(part: int) -> np.ndarray:
    track = wander(20)
    track[4, 0, 1, part] = np.inf
    return track


@pytest.mark.parametrize(('inputs', 'told'), [
    ('nothing', 'nothing: folder'),
    (wander(20, keypoints=2), r'inputs: tracks: .* \(T, 2, 3, 2\)'),
    (wander(20)[0], 'inputs: tracks: .* found float32'),
    (wander(20).astype(object), 'inputs: tracks: .* found object'),
    (wander(20)[:0], r'inputs: tracks: .*\(0, 2, 3, 2\)'),
    ([], 'inputs: .* found none'),
    ([wander(20), None], r'inputs\[1\]: tracks: .* found NoneType'),
    ([wander(20), broken(0)], r"inputs\[1\]: frame 4, 'resident', 'neck'"),
    ([wander(20), np.full((20, 2, 3, 2), np.nan)], r'inputs\[1\]: .*missing'),
])
def test_what_cannot_be_read_is_named_when_its_turn_comes(
        world: Path, inputs: Any, told: str) -> None:
    model = open_model(world)
    seen = 0
    with pytest.raises(DataError, match=told):
        for _ in model(inputs):
            seen += 1
    assert seen == (1 if r'\[1\]' in told else 0)


@pytest.mark.parametrize(('options', 'kind', 'told'), [
    (dict(stride=0), ValueError, 'stride'),
    (dict(stride=2, mode='dense'), ValueError, 'stride'),
    (dict(threshold=1.), ValueError, 'threshold'),
    (dict(mode='fast'), DataError, "one of exact, .* found 'fast'"),
    (dict(mode='causal'), DataError, 'looks back only'),
    (dict(fps=-1.), DataError, 'fps'),
    (dict(image_size=(3., )), DataError, 'image size'),
    (dict(pace=2), TypeError, 'pace'),
])
def test_wrong_options_are_errors_at_once(
        world: Path, options: dict[str, Any], kind: type[Exception],
        told: str) -> None:
    with pytest.raises(kind, match=told):
        open_model(world)(wander(20), **options)
