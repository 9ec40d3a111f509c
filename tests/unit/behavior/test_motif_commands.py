"""From embeddings on the disk to motifs and prototypes, by command."""
from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.behavior.annotation_files import read_label_table
from mmpose_ext.behavior.embedding_files import (
    write_embedding,
    write_number_table,
)
from mmpose_ext.behavior.motif_files import (
    read_model,
    read_motifs,
    write_model,
)
from mmpose_ext.commands import run_command
from mmpose_ext.storage import DataError, NpzArchive

from .test_motifs import make_records

CONFIG = "custom_imports = dict(imports=['mmpose_ext.behavior'])\n"


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings, and motifs of 2 to 5 states."""
    folder = tmp_path_factory.mktemp('motifs')
    (folder / 'config.py').write_text(CONFIG)
    for i, values in enumerate(make_records(4)[0]):
        path = folder / 'embeddings' / f'cage{i % 2}' / f'r{i}'
        path.mkdir(parents=True)
        write_embedding(path / 'embedding.nc', [values],
                        np.arange(len(values)), 25.)
    assert segment(folder, 'motifs') == 0
    return folder


def segment(folder: Path, out: str, *options: str) -> int:
    return run_command('segment_motifs', '', [
        str(folder / 'config.py'), str(folder / 'embeddings'), '--out',
        str(folder / out), '--max-states', '5', '--jobs', '1', *options])


def select(folder: Path, motifs: str, out: str, *options: str) -> int:
    return run_command('select_prototypes', '', [
        str(folder / 'config.py'), str(folder / motifs), '--out',
        str(folder / out), '--min-states', '2', '--max-states', '5',
        *options])


def test_motifs_are_written_for_each_record_and_number(world: Path) -> None:
    motifs = world / 'motifs'
    for number in range(2, 6):
        names, labels = read_label_table(
            motifs / 'cage1' / 'r3' / f'machineAnnotation_hmm{number}.csv')
        assert names == tuple(f'Motif_{i}' for i in range(number))
        assert (labels.sum(1) == 1).all()
        assert read_model(
            motifs / f'model_hmm{number}.npz', 6).num_states == number
        history = (motifs / f'history_hmm{number}.csv').read_text()
        assert history.startswith('iteration,log_likelihood\n0,')
    with (motifs / 'metrics_hmm.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row['n'] for row in rows] == ['2', '3', '4', '5']
    assert min(rows, key=lambda row: float(row['bic']))['n'] == '4'
    noted = json.loads((motifs / 'motifs.json').read_text())
    assert noted['fps'] == 25
    assert noted['records'] == ['cage0/r0', 'cage0/r2', 'cage1/r1',
                                'cage1/r3']
    for name in ('criteria', 'bouts', 'transitions'):
        assert cv2.imread(str(motifs / f'{name}.png')).std() > 5


def test_motifs_are_read_from_either_file(world: Path,
                                          tmp_path: Path) -> None:
    compact = read_motifs(world / 'motifs', 2, 4)
    assert list(compact.states) == [2, 3, 4]
    names, table = compact.table()
    assert names[2] == 'HMM_3_Motif_0'
    assert table.shape == (sum(compact.lengths), 9)
    for source in (world / 'motifs').rglob('machineAnnotation_*.csv'):
        path = tmp_path / source.relative_to(world / 'motifs')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    plain = read_motifs(tmp_path, 2, 4)
    assert plain.records == compact.records
    for number, states in plain.states.items():
        assert np.array_equal(states, compact.states[number])
    assert plain.fps is None


def test_pretrained_models_segment_the_same(world: Path) -> None:
    assert segment(world, 'again', '--pretrained',
                   str(world / 'motifs')) == 0
    one, other = (read_motifs(world / name, 2, 5)
                  for name in ('motifs', 'again'))
    for number in one.states:
        assert np.array_equal(one.states[number], other.states[number])


def test_prototypes_have_the_originals_files(
        world: Path, capsys: pytest.CaptureFixture) -> None:
    assert select(world, 'motifs', 'prototypes', '--bout-threshold',
                  '.2') == 0
    assert 'covered' in capsys.readouterr().out
    info = NpzArchive(world / 'prototypes' / 'info_hmmbest_2_5.npz')
    assert set(info.names) >= {
        'cond_dist_matrix', 'link_matrix', 'all_score', 'all_n_clusters',
        'all_labels', 'best_n_clusters', 'best_score', 'best_labels',
        'prototypes'}
    names, labels = read_label_table(
        world / 'prototypes' / 'cage0' / 'r2'
        / 'machineAnnotation_hmmbest_2_5.csv')
    assert list(names) == info.read('prototypes').tolist()
    number, motif = int(names[0].split('_')[1]), int(names[0].split('_')[-1])
    motifs = read_motifs(world / 'motifs', 2, 5)
    states = np.split(motifs.states[number], np.cumsum(motifs.lengths)[:-1])[
        motifs.records.index('cage0/r2')]
    assert np.array_equal(labels[:, 0], states == motif)
    assert (world / 'prototypes' / 'prototypes.png').is_file()


def test_results_are_not_replaced_unasked(
        world: Path, capsys: pytest.CaptureFixture) -> None:
    before = (world / 'motifs' / 'metrics_hmm.csv').read_bytes()
    assert segment(world, 'motifs', '--seed', '3') == 1
    assert 'error: ' in capsys.readouterr().err
    assert (world / 'motifs' / 'metrics_hmm.csv').read_bytes() == before
    assert segment(world, 'embeddings', '--overwrite') == 1
    assert 'which is read' in capsys.readouterr().err


@pytest.mark.parametrize('options, told', [
    (('--min-states', '1'), '--min-states'),
    (('--min-states', '6'), '--min-states'),
    (('--fit-fraction', '2'), 'fit_fraction'),
    (('--iterations', '0'), 'iterations'),
    (('--fps', '-1'), '--fps'),
    (('--jobs', '0'), '--jobs'),
    (('--pretrained', 'nowhere'), 'model_hmm2.npz'),
])
def test_wrong_options_write_nothing(
        world: Path, capsys: pytest.CaptureFixture,
        options: tuple[str, ...], told: str) -> None:
    assert segment(world, 'wrong', *options) == 1
    assert told in capsys.readouterr().err
    assert not (world / 'wrong').exists()


def test_records_of_two_frame_rates_need_a_word(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'config.py').write_text(CONFIG)
    for fps, values in zip((25., 30.), make_records(2)[0], strict=True):
        path = tmp_path / 'embeddings' / f'{fps:g}'
        path.mkdir(parents=True)
        write_embedding(path / 'embedding.nc', [values],
                        np.arange(len(values)), fps)
    assert segment(tmp_path, 'motifs') == 1
    assert 'the same in all records' in capsys.readouterr().err
    assert segment(tmp_path, 'motifs', '--fps', '25') == 0


def test_too_few_prototypes_are_told(world: Path,
                                     capsys: pytest.CaptureFixture) -> None:
    assert select(world, 'motifs', 'none', '--frame-threshold', '.9') == 1
    assert '--frame-threshold' in capsys.readouterr().err
    assert select(world, 'embeddings', 'none') == 1
    assert 'tools/segment_motifs.py writes them' in capsys.readouterr().err
    for options in (('--fps', '0'), ('--min-states', '6')):
        assert select(world, 'motifs', 'none', *options) == 1
        assert options[0] in capsys.readouterr().err
    assert not (world / 'none').exists()


def test_motifs_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    def write(record: str, number: int, rows: int = 5) -> None:
        (tmp_path / record).mkdir(exist_ok=True)
        write_number_table(
            tmp_path / record / f'machineAnnotation_hmm{number}.csv',
            [f'Motif_{i}' for i in range(number)],
            np.eye(number, dtype=np.uint8)[np.zeros(rows, int)])

    write('a', 2)
    write('a', 3)
    write('b', 2)
    with pytest.raises(DataError, match='as other records have it'):
        read_motifs(tmp_path, 2, 3)
    write('b', 3, rows=4)
    with pytest.raises(DataError, match='5, as machineAnnotation_hmm2'):
        read_motifs(tmp_path, 2, 3)
    (tmp_path / 'a/machineAnnotation_hmm2.csv').write_text(
        ',Motif_0\n' + ''.join(f'{i},1\n' for i in range(5)))
    with pytest.raises(DataError, match='2 motifs, found 1'):
        read_motifs(tmp_path, 2, 2)


def test_models_of_something_else_are_refused(world: Path,
                                              tmp_path: Path) -> None:
    source = world / 'motifs' / 'model_hmm3.npz'
    with pytest.raises(DataError, match='7 features'):
        read_model(source, 7)
    model = read_model(source)
    write_model(tmp_path / 'model_hmm3.npz', model.reordered(
        np.array([0, 1])))
    assert read_model(tmp_path / 'model_hmm3.npz').num_states == 2
    np.savez(tmp_path / 'other.npz', a=np.ones(3))
    with pytest.raises(DataError, match='a model of motifs'):
        read_model(tmp_path / 'other.npz')
