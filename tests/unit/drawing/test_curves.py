"""Curves from MMEngine's log, also of runs that were taken up again."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest

from mmpose_ext.drawing import Best, curves, draw_training_curves
from mmpose_ext.storage import DataError
from mmpose_ext.storage.run_log import RunLog


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


def test_panels_go_by_unit() -> None:
    records = [{**train(1, .5), 'x': 1}], [{**val(1, 40.), 'x': 1}]
    panels = curves._panels(*records)
    assert list(panels) == ['training loss', 'learning rate',
                            'validation, degrees', 'validation, px',
                            'validation, dir share', 'seconds an iteration']
    assert set(panels['training loss']) == {'loss', 'loss_points'}
    assert set(panels['validation, dir share']) == {'dir/acc@10'}
    assert len(panels['validation, degrees']) == 4


def test_picture_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / 'curves.png'
    draw_training_curves(write(tmp_path / 's.json', RUN), out)
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 600 and picture.shape[1] > 1000
    blue = (picture == (0xB2, 0x72, 0x00)).all(-1)  # the first line's colour
    assert blue.sum() > 500


def test_figure_of_each_point_shares_a_panel_with_the_other_points() -> None:
    figures = {f'horse/{kind}/{point}': value
               for kind, value in (('PCK@0.1', .5), ('epe_px', 3.),
                                   ('nme', 1.5)) for point in ('nose', 'hoof')}
    panels = curves._panels([], [{**figures, 'step': 1, 'x': 1}])
    assert {title: len(lines) for title, lines in panels.items()} == {
        'validation, horse/PCK@0.1': 2, 'validation, px': 2,
        'validation, horse/nme': 2}


def test_figure_that_decides_is_drawn_and_starred(tmp_path: Path) -> None:
    """It is the last of more figures than a panel has lines."""
    records = [{**{f'a{i}': .5 for i in range(20)}, 'z/AP': .5 + .1 * step,
                'step': step} for step in (1, 2)]
    path = write(tmp_path / 's.json', [*RUN[:2], *records])
    pictures = {}
    for best in (None, Best('z/AP', 2, .7)):
        draw_training_curves(path, tmp_path / 'c.png', best)
        pictures[best] = cv2.imread(str(tmp_path / 'c.png'))
    yellow = [(picture == (0x42, 0xE4, 0xF0)).all(-1).sum()
              for picture in pictures.values()]
    # at the point and in the legend
    assert yellow[0] == 0 and yellow[1] > 100


def test_value_that_says_no_such_object_is_not_drawn() -> None:
    val = [{'coco/AP': .5, 'coco/AP (M)': -1., 'step': 1, 'x': 1}]
    panels = curves._panels([], val)
    assert [list(lines) for lines in panels.values()] == [['coco/AP']]


def test_rates_of_stages_stand_for_the_one_of_all() -> None:
    assert curves.learning_rates_of(['lr', 'loss']) == ['lr']
    assert curves.learning_rates_of(['lr', 'lr/head', 'lr/stage1']) == [
        'lr/head', 'lr/stage1']
    assert curves.learning_rates_of(['base_lr', 'mlr']) == []


def test_frozen_stage_has_a_gap_in_place_of_a_rate_of_zero(
        tmp_path: Path) -> None:
    records = [{'loss': .5, 'lr/head': 1e-3, 'lr/stem': 0., 'iter': i}
               for i in range(1, 9)]
    draw_training_curves(write(tmp_path / 's.json', records),
                         tmp_path / 'c.png')
    picture = cv2.imread(str(tmp_path / 'c.png'))
    # the colour of the second line is in the legend alone
    rows, _ = (picture == (0x00, 0x5E, 0xD5)).all(-1).nonzero()
    assert len(rows) and rows.max() - rows.min() < 20


def test_phases_change_where_their_number_does() -> None:
    phases = [None, 1, 1, 2, 2, 3]
    records = [{'x': x} if phase is None else {'x': x, 'phase': phase}
               for x, phase in enumerate(phases)]
    assert list(curves.phase_changes(records)) == [3, 5]
    assert not list(curves.phase_changes(records[:3]))


def test_bounds_go_with_their_figure_whatever_their_values() -> None:
    panels = curves._panels([], [{
        'horse/NE': 1.3, 'horse/NE_low': .9, 'horse/NE_high': 1.7,
        'horse/NE_trivial': .5, 'step': 1, 'x': 1}])
    assert {title: len(lines) for title, lines in panels.items()} == {
        'validation, horse/NE': 4}


def test_unknown_numbers_leave_gaps(tmp_path: Path) -> None:
    records = [*RUN, train(50, float('nan'), 3), val(3, float('nan'))]
    path = write(tmp_path / 's.json', records)
    draw_training_curves(path, tmp_path / 'curves.png')
    log = RunLog(path)
    panels = curves._panels(log.train, log.val)
    assert len(panels['training loss']['loss'][0]) == 4
    assert len(panels['validation, degrees']['dir/head_mae_deg'][0]) == 2


@pytest.mark.parametrize('text', ['', '{"a": 1}\n', 'x\n', '[1]\n'])
def test_log_without_records_is_refused(tmp_path: Path, text: str) -> None:
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
