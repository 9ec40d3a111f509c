"""Curves from MMEngine's log, also of runs that were taken up again."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest

from mmpose_ext.drawing import curves, draw_training_curves
from mmpose_ext.storage import DataError


def train(step: int, loss: float, epoch: int | None = None) -> dict:
    record = {'lr': 1e-3, 'loss': loss, 'loss_points': loss / 2,
              'grad_norm': 1., 'time': .1, 'iter': step, 'step': step}
    return record if epoch is None else {**record, 'epoch': epoch}


def val(step: int, error: float) -> dict:
    return {'dir/head_mae_deg': error, 'dir/head_mae_deg_low': error - 1,
            'dir/head_mae_deg_high': error + 1,
            'dir/head_mae_deg_trivial': 71., 'dir/base_px': 2.,
            'dir/acc@10': .5, 'time': 1., 'data_time': .1, 'step': step}


def write(path: Path, records: list[dict], end: str = '\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(json.dumps(item) for item in records) + end)
    return path


RUN = [train(10, .5, 1), train(20, .4, 1), val(1, 40.), train(30, .3, 2),
       train(40, .2, 2), val(2, 20.)]


def test_records_are_split_and_placed_in_epochs(tmp_path: Path) -> None:
    found = curves.read_scalars(write(tmp_path / 'scalars.json', RUN))
    assert [record['x'] for record in found[0]] == [.5, 1., 1.5, 2.]
    assert [record['x'] for record in found[1]] == [1, 2]
    assert [record['dir/head_mae_deg'] for record in found[1]] == [40., 20.]


def test_iterations_are_kept_where_there_are_no_epochs(
        tmp_path: Path) -> None:
    path = write(tmp_path / 's.json', [train(5, .5), val(5, 30.),
                                       train(10, .4)])
    found = curves.read_scalars(path)
    assert [record['x'] for record in found[0]] == [5, 10]
    assert [record['x'] for record in found[1]] == [5]


def test_resumed_run_replaces_what_lay_beyond(tmp_path: Path) -> None:
    write(tmp_path / 'run_1' / 'vis_data' / 'scalars.json', RUN)
    # taken up after the first epoch: 30 comes again, 40 has not come yet
    write(tmp_path / 'run_2' / 'vis_data' / 'scalars.json',
          [train(30, .9, 2)])
    found = curves.read_scalars(tmp_path)
    assert [(item['iter'], item['loss']) for item in found[0]] == [
        (10, .5), (20, .4), (30, .9)]
    assert [item['dir/head_mae_deg'] for item in found[1]] == [40.]


def test_repeated_step_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / 's.json', [*RUN, val(2, 15.)])
    assert curves.read_scalars(path)[1][-1]['dir/head_mae_deg'] == 15.
    assert len(curves.read_scalars(path)[1]) == 2


def test_panels_go_by_unit() -> None:
    records = [{**train(1, .5), 'x': 1}], [{**val(1, 40.), 'x': 1}]
    panels = curves._panels(*records)
    assert list(panels) == ['training loss', 'learning rate',
                            'validation, degrees', 'validation, px',
                            'validation, share']
    assert set(panels['training loss']) == {'loss', 'loss_points'}
    assert set(panels['validation, share']) == {'dir/acc@10'}
    assert len(panels['validation, degrees']) == 4


def test_picture_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / 'curves.png'
    draw_training_curves(write(tmp_path / 's.json', RUN), out)
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 600 and picture.shape[1] > 1000
    blue = (picture == (0xB2, 0x72, 0x00)).all(-1)  # the first line's colour
    assert blue.sum() > 500


def test_unknown_numbers_leave_gaps(tmp_path: Path) -> None:
    records = [*RUN, train(50, float('nan'), 3), val(3, float('nan'))]
    path = write(tmp_path / 's.json', records)
    draw_training_curves(path, tmp_path / 'curves.png')
    panels = curves._panels(*curves.read_scalars(path))
    assert len(panels['training loss']['loss'][0]) == 4
    assert len(panels['validation, degrees']['dir/head_mae_deg'][0]) == 2


def test_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / 's.json', RUN, end='\n{"lr": 0.0')
    assert len(curves.read_scalars(path)[0]) == 4


@pytest.mark.parametrize('text', ['', '{"a": 1}\n', 'x\n{"iter": 1}\n',
                                  '[1]\n{"iter": 1}\n'])
def test_damaged_log_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 's.json'
    path.write_text(text)
    with pytest.raises(DataError, match=r's\.json'):
        draw_training_curves(path, tmp_path / 'curves.png')
    assert not (tmp_path / 'curves.png').exists()


def test_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='vis_data'):
        draw_training_curves(tmp_path, tmp_path / 'curves.png')
    with pytest.raises(DataError):
        draw_training_curves(tmp_path / 'no.json', tmp_path / 'curves.png')


def test_no_window_system_is_touched(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pyplot is what would look for one
    monkeypatch.setitem(sys.modules, 'matplotlib.pyplot', None)
    draw_training_curves(write(tmp_path / 's.json', RUN), tmp_path / 'c.png')
    assert (tmp_path / 'c.png').stat().st_size > 10_000
