"""The command behind ``tools/monitor_training.py``.

It reads logs alone and imports neither torch nor MMPose, so that it answers
at once, also on a machine that has neither.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mmpose_ext.drawing import draw_training_curves
from mmpose_ext.drawing.run_page import (
    ComparedRun,
    Note,
    draw_comparison,
    write_run_page,
)
from mmpose_ext.run_summary import (
    RunSummary,
    batch_size,
    format_duration,
    summarize,
)
from mmpose_ext.storage.errors import DataError
from mmpose_ext.storage.plain_files import without_nan
from mmpose_ext.storage.run_log import RunLog

DATA_ERROR, FATAL = 1, 3
_WIDTH = 100  # of text that goes to a file


def run_monitor(description: str, argv: Sequence[str] | None = None) -> int:
    """Run ``tools/monitor_training.py``.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 0 fine, 1 no log, 2 wrong usage, 3 a fatal verdict.
    """
    arguments = _parse(description, argv)
    try:
        logs = [RunLog(path) for path in (arguments.work_dir,
                                          *arguments.compare)]
        if arguments.follow:
            _follow(logs, arguments)
        summaries = [summarize(log, arguments.metric) for log in logs]
        if arguments.json:
            print(json.dumps(_to_json(logs, summaries, bool(
                arguments.compare)), indent=2))
        elif not arguments.follow:
            _console().print(_render(logs, summaries))
        out = arguments.out_dir or arguments.work_dir / 'monitor'
        if not arguments.json or arguments.out_dir:
            for path in write_pictures(logs, summaries, out):
                print(f'written: {path}', file=sys.stderr)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return DATA_ERROR
    return FATAL if any(summary.fatal for summary in summaries) else 0


def table_rows(summary: RunSummary) -> dict[str, str]:
    """The figures that are known, as texts by their labels."""
    epochs = summary.epoch is not None
    unit = 'epoch' if epochs else 'iteration'
    place, last = ((summary.epoch, summary.max_epochs) if epochs else
                   (summary.iteration, summary.max_iterations))
    best = summary.best
    slope = summary.loss_slope
    share = summary.loading_share
    rows = {
        unit: _join(place, last),
        'iteration': _join(summary.iteration, summary.max_iterations),
        'time left': 'finished' if summary.finished else _known(
            summary.eta_s, format_duration),
        'loss, smoothed': _known(summary.loss, '{:.4g}'.format),
        'loss slope': _known(slope, f'{{:+.2g}} an {unit}'.format),
        'metric': summary.metric or '',
        'best': '' if best is None else
        f'{best.value:.4g} at {unit} {best.x:g}',
        'last': _known(summary.last, '{:.4g}'.format),
        'since the best': '' if best is None else
        f'{summary.since_best:.4g} {unit}s, '
        f'{summary.validations_since_best} validations',
        'images a second': _known(summary.images_per_s, '{:.4g}'.format),
        'images seen': _known(summary.images_seen, '{:,}'.format),
        'memory': _known(summary.memory_mb, '{:,.0f} MB'.format),
        'waiting for data': _known(share, '{:.0%} of the time'.format),
        'phase': _known(summary.phase, '{:g}'.format),
        'trainable': _known(summary.trainable_m, '{:.3g} M'.format),
        **{f'learning rate {_part(name)}'.strip(): f'{value:.3g}'
           for name, value in summary.learning_rates.items()},
    }
    return {label: text for label, text in rows.items() if text}


def write_pictures(logs: Sequence[RunLog], summaries: Sequence[RunSummary],
                   out: Path) -> list[Path]:
    """Write the curves of the first run, the comparison and the page.

    Args:
        logs (Sequence[RunLog]): Of the runs.
        summaries (Sequence[RunSummary]): Of the same runs.
        out (Path): Folder, made if it is missing.

    Returns:
        list[Path]: ``curves.png``, ``report.html`` and, for several runs,
        ``compare.png``.

    Raises:
        DataError: If the folder cannot be written.
    """
    names = _name_runs(summaries)
    pictures = {'Curves' if len(logs) == 1 else f'Curves of {names[0]}':
                out / 'curves.png'}
    page = out / 'report.html'
    try:
        out.mkdir(parents=True, exist_ok=True)
        draw_training_curves(logs[0], out / 'curves.png', summaries[0].best)
        if len(logs) > 1:
            pictures['Comparison'] = out / 'compare.png'
            draw_comparison([
                ComparedRun(name, log, summary.metric, batch_size(log))
                for name, log, summary in zip(names, logs, summaries,
                                              strict=True)
            ], out / 'compare.png')
        written = time.strftime('%Y-%m-%d %H:%M:%S')
        write_run_page(
            page, f'Training run {names[0]}', f'Written {written}',
            dict(zip(names, map(table_rows, summaries), strict=True)),
            {name: _notes(log, summary) for name, log, summary in zip(
                names, logs, summaries, strict=True)}, pictures)
    except OSError as error:
        raise DataError(out, 'folder', 'a folder to write into',
                        error.strerror or str(error),
                        'choose another one by --out-dir') from error
    return [*pictures.values(), page]


def _parse(description: str,
           argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='tools/monitor_training.py',
                                     description=description)
    parser.add_argument('work_dir', type=Path, metavar='WORK_DIR',
                        help='work directory of a training, of any family')
    parser.add_argument('--compare', type=Path, nargs='+', default=[],
                        metavar='DIR', help='other work directories')
    parser.add_argument('--metric', metavar='NAME',
                        help='validation figure that decides, as '
                        'coco/AP (default: what the best checkpoint is '
                        'chosen by)')
    parser.add_argument('--out-dir', type=Path, metavar='DIR',
                        help='folder for curves.png and report.html '
                        '(default: WORK_DIR/monitor; with --json none)')
    parser.add_argument('--json', action='store_true',
                        help='print the figures as JSON')
    parser.add_argument('--follow', type=_positive, metavar='SECONDS',
                        help='look again every so many seconds, until the '
                        'training ends')
    return parser.parse_args(argv)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'not above zero: {text}')
    return value


def _follow(logs: Sequence[RunLog], arguments: argparse.Namespace) -> None:
    """Show the table until all runs have ended or the user has seen enough."""
    with Live(console=_console(stderr=arguments.json),
              auto_refresh=False) as live:
        try:
            while True:
                summaries = [summarize(log, arguments.metric)
                             for log in logs]
                live.update(_render(logs, summaries), refresh=True)
                if all(summary.finished for summary in summaries):
                    return
                time.sleep(arguments.follow)
                for log in logs:
                    log.update()
        except KeyboardInterrupt:
            return


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(
        stderr=stderr, highlight=False, width=_WIDTH)


def _render(logs: Sequence[RunLog],
            summaries: Sequence[RunSummary]) -> Group:
    """A table with a column for each run, and the verdicts."""
    names = _name_runs(summaries)
    table = Table('', *map(escape, names), box=None,
                  pad_edge=False)
    columns = [table_rows(summary) for summary in summaries]
    for label in dict.fromkeys(label for rows in columns for label in rows):
        table.add_row(Text(label, 'dim'),
                      *(Text(rows.get(label, '')) for rows in columns))
    lines: list[Text] = []
    for name, log, summary in zip(names, logs, summaries, strict=True):
        for note in _notes(log, summary):
            of = f' ({name})' if len(names) > 1 else ''
            kind, style = (('FATAL', 'bold red') if note.fatal else
                           ('warning', 'yellow'))
            text = Text(f'{kind}{of} ', style)
            text.append(f'{note.name}: {note.text}', 'not bold')
            if note.hint:
                text.append(f'\n  {note.hint}', 'dim')
            lines.append(text)
    return Group(table, *lines)


def _notes(log: RunLog, summary: RunSummary) -> list[Note]:
    """Verdicts, and the lines of the log that were left out."""
    return [Note(item.name, item.text, item.hint, item.fatal)
            for item in summary.verdicts] + [
                Note('line left out', text) for text in log.warnings]


def _name_runs(summaries: Sequence[RunSummary]) -> list[str]:
    """Names of the work directories, numbered where they are the same."""
    names: list[str] = []
    for summary in summaries:
        name, number = summary.name, 2
        while name in names:
            name, number = f'{summary.name} ({number})', number + 1
        names.append(name)
    return names


def _to_json(logs: Sequence[RunLog], summaries: Sequence[RunSummary],
             several: bool) -> Any:
    """The figures of the run, or of the runs; what is not finite is null."""
    runs = []
    for log, summary in zip(logs, summaries, strict=True):
        figures = asdict(summary)
        best = summary.best
        figures['best'] = None if best is None else best._asdict()
        runs.append(without_nan({
            'work_dir': str(log.path), **figures, 'fatal': summary.fatal,
            'warnings': log.warnings}))
    return runs if several else runs[0]


def _join(place: float | None, last: float | None) -> str:
    if place is None:
        return ''
    return f'{place:,}' if last is None else f'{place:,} / {last:,}'


def _known(value: float | None, form: Any) -> str:
    return '' if value is None else form(value)


def _part(name: str) -> str:
    """The stage that a learning rate belongs to; '' for that of all."""
    return name.removeprefix('lr').removesuffix('lr').strip('/')
