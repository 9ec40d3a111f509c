"""MMEngine's log: resumed, cut short, growing, damaged."""
from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.run_log import Record, RunLog, figures_of


def train(step: int, loss: float, epoch: int | None = None) -> dict:
    record = {'lr': 1e-3, 'loss': loss, 'time': .1, 'iter': step,
              'step': step}
    return record if epoch is None else {**record, 'epoch': epoch}


def val(step: int, score: float) -> dict:
    return {'coco/AP': score, 'time': 1., 'data_time': .1, 'step': step}


def write(path: Path, records: list[dict], end: str = '\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(json.dumps(item) for item in records) + end)
    return path


RUN = [train(10, .5, 1), train(20, .4, 1), val(1, .1), train(30, .3, 2),
       train(40, .2, 2), val(2, .2)]


def records(path: Path) -> tuple[list[Record], list[Record]]:
    log = RunLog(path)
    return log.train, log.val


def test_records_are_split_and_placed_in_epochs(tmp_path: Path) -> None:
    found = records(write(tmp_path / 'scalars.json', RUN))
    assert [record['x'] for record in found[0]] == [.5, 1., 1.5, 2.]
    assert [record['x'] for record in found[1]] == [1, 2]
    assert [record['coco/AP'] for record in found[1]] == [.1, .2]
    assert figures_of(found[1]) == ['coco/AP']


def test_iterations_are_kept_where_there_are_no_epochs(
        tmp_path: Path) -> None:
    log = RunLog(write(tmp_path / 's.json', [train(5, .5), val(5, .3),
                                             train(10, .4)]))
    assert [record['x'] for record in log.train] == [5, 10]
    assert [record['x'] for record in log.val] == [5]
    assert log.epoch_length is None


def test_loss_is_smoothed_without_what_is_not_finite(tmp_path: Path) -> None:
    losses = [1., 2., math.nan, 3., math.inf]
    log = RunLog(write(tmp_path / 's.json', [
        train(i, loss) for i, loss in enumerate(losses, 1)]))
    by_hand = [1., .9 * 1 + .1 * 2, 1.1, .9 * 1.1 + .1 * 3, 1.29]
    assert [item['loss_ema'] for item in log.train] == pytest.approx(by_hand)
    assert math.isnan(log.train[2]['loss'])


def test_resumed_run_replaces_what_lay_beyond(tmp_path: Path) -> None:
    write(tmp_path / 'run_1' / 'vis_data' / 'scalars.json', RUN)
    # taken up after the first epoch: 30 comes again, 40 has not come yet
    write(tmp_path / 'run_2' / 'vis_data' / 'scalars.json',
          [train(30, .9, 2)])
    found = records(tmp_path)
    assert [(item['iter'], item['loss']) for item in found[0]] == [
        (10, .5), (20, .4), (30, .9)]
    assert [item['coco/AP'] for item in found[1]] == [.1]


def test_one_run_of_a_work_directory_can_be_read_alone(
        tmp_path: Path) -> None:
    write(tmp_path / 'run_1' / 'vis_data' / 'scalars.json', RUN)
    write(tmp_path / 'run_2' / 'vis_data' / 'scalars.json', RUN[:2])
    assert len(RunLog(tmp_path / 'run_1').train) == 4


def test_repeated_step_counts_once(tmp_path: Path) -> None:
    _, found = records(write(tmp_path / 's.json', [*RUN, val(2, .15)]))
    assert [record['coco/AP'] for record in found] == [.1, .15]


def test_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    log = RunLog(write(tmp_path / 's.json', RUN, end='\n{"lr": 0.0'))
    assert len(log.train) == 4 and not log.warnings


@pytest.mark.parametrize('line', [
    '{"lr": 0.0{"lr": 0.1}', '[1]', '\x00\x00', '{"iter": NaN, "step": 1}',
    '{"iter": -3, "step": 1}', '{"iter": 3, "epoch": 0}', '\udcff'])
def test_broken_line_amid_others_is_named_and_left_out(
        tmp_path: Path, line: str) -> None:
    lines = [json.dumps(record) for record in RUN]
    lines.insert(1, line)
    path = tmp_path / 's.json'
    path.write_text('\n'.join(lines) + '\n', errors='surrogateescape')
    log = RunLog(path)
    assert len(log.train) == 4 and len(log.val) == 2
    assert len(log.warnings) == 1 and 's.json: line 2 ' in log.warnings[0]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    record = {**train(1, .5), 'note': 'x', 'list': [1], 'none': None}
    log = RunLog(write(tmp_path / 's.json', [record]))
    assert not {'note', 'list', 'none'} & set(log.train[0])


@pytest.mark.parametrize('content', ['', '{"a": 1}\n', 'x\n'])
def test_log_without_records_is_refused(tmp_path: Path,
                                        content: str) -> None:
    path = tmp_path / 's.json'
    path.write_text(content)
    with pytest.raises(DataError, match=r's\.json'):
        RunLog(path)


def test_missing_log_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / 'nothing'):
        with pytest.raises(DataError):
            RunLog(path)


def test_run_that_logged_nothing_does_not_hide_the_others(
        tmp_path: Path) -> None:
    write(tmp_path / 'run_1' / 'vis_data' / 'scalars.json', RUN)
    (tmp_path / 'run_2' / 'vis_data').mkdir(parents=True)
    (tmp_path / 'run_3' / 'vis_data').mkdir(parents=True)
    (tmp_path / 'run_3' / 'vis_data' / 'scalars.json').touch()
    assert len(RunLog(tmp_path).train) == 4


def test_file_named_by_its_time_is_read_where_scalars_are_missing(
        tmp_path: Path) -> None:
    run = tmp_path / '20260101_000000'
    write(run / 'vis_data' / '20260101_000000.json', RUN)
    assert RunLog(tmp_path).train[-1]['loss'] == .2


def test_tensorboard_events_are_read_where_lines_are_missing(
        tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter
    records = [train(1, .5, 1), val(1, .25), train(2, .125, 2)]
    with SummaryWriter(str(tmp_path / 'run' / 'vis_data')) as writer:
        for record in records:
            # MMEngine's order
            for name, value in sorted(record.items(),
                                      key=lambda item: item[0] == 'iter'):
                if name != 'step':
                    writer.add_scalar(name, value, record['step'])
    log = RunLog(tmp_path)
    assert [(item['iter'], item['loss']) for item in log.train] == [
        (1, .5), (2, .125)]
    assert [(item['x'], item['coco/AP']) for item in log.val] == [(1, .25)]
    assert log.update() is False


def test_only_what_was_appended_is_read_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmpose_ext.storage import run_log
    path = write(tmp_path / 's.json', RUN[:3], end='\n{"iter": 30, "los')
    log = RunLog(path)
    assert not log.update()
    parsed: list[bytes] = []
    parse = run_log._parse
    monkeypatch.setattr(run_log, '_parse',
                        lambda line: parsed.append(line) or parse(line))
    with path.open('a') as stream:
        stream.write('s": 0.25, "epoch": 2, "step": 30}\n')
    assert log.update()
    assert len(parsed) == 1
    assert [(item['iter'], item['x']) for item in log.train] == [
        (10, .5), (20, 1.), (30, 1.5)]
    assert not log.update()


def test_run_that_begins_meanwhile_is_followed(tmp_path: Path) -> None:
    write(tmp_path / 'run_1' / 'vis_data' / 'scalars.json', RUN)
    log = RunLog(tmp_path)
    write(tmp_path / 'run_2' / 'vis_data' / 'scalars.json',
          [train(30, .9, 2)])
    assert log.update()
    assert log.train[-1]['loss'] == .9 and len(log.train) == 3


def test_length_of_an_epoch_is_what_the_text_log_says(tmp_path: Path) -> None:
    # of 70 iterations, each 50th is logged
    run = tmp_path / 'run'
    write(run / 'vis_data' / 'scalars.json', [train(50, .5, 1),
                                              train(120, .4, 2)])
    assert RunLog(tmp_path).epoch_length == 60  # the best guess without
    (run / 'run.log').write_text(
        '    GPU number: 4\n'
        'mmengine - INFO - Epoch(train) [2][ 50/70]  base_lr: 4e-03\n')
    log = RunLog(tmp_path)
    assert log.epoch_length == 70 and log.processes == 4
    assert [item['x'] for item in log.train] == [50 / 70, 120 / 70]
