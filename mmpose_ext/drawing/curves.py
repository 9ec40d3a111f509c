"""Curves of a training run, from what MMEngine logs."""
from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmpose_ext.storage import DataError, atomic_file, check_file

# of Okabe and Ito, told apart by the colour-blind
_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9',
           '#000000', '#999999')
_NOT_METRICS = {'step', 'time', 'data_time', 'epoch', 'iter', 'memory'}
# figures that belong to another one of the same name without the ending
_TRIVIAL, _LOW, _HIGH = '_trivial', '_low', '_high'
_UNITS = {'_deg': 'degrees', '_px': 'px', '_mm': 'mm'}
_SHARE = 'share'
_LINES_A_PANEL = 8

Record = dict[str, Any]
Curves = dict[str, tuple[list[float], list[float]]]


def draw_training_curves(scalars: str | Path, out: str | Path) -> None:
    """Draw losses, learning rate and validation figures of a run.

    Validation figures share a panel with those of their unit. A figure
    ``x_trivial`` is drawn dotted, ``x_low`` and ``x_high`` as a band about
    ``x``. No display is needed.

    Args:
        scalars (str | Path): ``vis_data/scalars.json``, or a work directory,
            whose runs are then taken in the order of their names. Where the
            count of steps goes back, as after a resume, what had been logged
            beyond is replaced.
        out (str | Path): Picture to write; its ending decides the format.

    Raises:
        DataError: If there is no such log or a line of it is damaged.
    """
    train, val = read_scalars(scalars)
    panels = _panels(train, val)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(14, 3 * rows), dpi=110)
    FigureCanvasAgg(figure)
    # A fixed layout, with room for the legends, is drawn in half the time.
    figure.subplots_adjust(.05, .5 / (3 * rows), .81, 1 - .35 / (3 * rows),
                           wspace=.78, hspace=.4)
    unit = 'epoch' if any('epoch' in record for record in train) else 'step'
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axis in axes[len(panels):]:
        axis.set_visible(False)
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, title, curves)
        axis.set_xlabel(unit)
    out = Path(out)
    with atomic_file(out) as temporary:
        figure.savefig(temporary)


def read_scalars(path: str | Path) -> tuple[list[Record], list[Record]]:
    """Read MMEngine's log.

    Args:
        path (str | Path): File or work directory, as for
            :func:`draw_training_curves`.

    Returns:
        tuple[list[dict], list[dict]]: Training and validation records by
        rising step. Where training counts epochs, each training record has
        its place ``x`` in epochs, else in iterations; so do validation
        records, whose step MMEngine gives in the same unit.

    Raises:
        DataError: If there is none, or a line is damaged.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(path.glob('*/vis_data/scalars.json'))
        if not files:
            raise DataError(path, 'folder', '*/vis_data/scalars.json', 'none')
    train: list[Record] = []
    val: list[Record] = []
    for record in (line for file in files for line in _read_lines(file)):
        if 'iter' in record:
            _drop_from(train, 'iter', record['iter'])
            epochs = 'epoch' in record
            _drop_from(val, 'step', record['epoch' if epochs else 'iter'])
            train.append(record)
        elif 'step' in record:
            _drop_from(val, 'step', record['step'])
            val.append(record)
    if not train and not val:
        raise DataError(files[-1], 'file', 'records of a run', 'none')
    _place_in_time(train)
    return train, [{**record, 'x': record['step']} for record in val]


def _read_lines(path: Path) -> Iterable[Record]:
    """Records of one file; a last line cut short by a kill is left out."""
    lines = check_file(path).read_text(errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError('not an object')
        except ValueError as error:
            if number == len(lines):
                return
            raise DataError(path, f'line {number}', 'a JSON object',
                            repr(line[:40])) from error
        yield record


def _drop_from(records: list[Record], key: str, limit: float) -> None:
    """Drop the last records if they lie at or beyond a limit."""
    while records and records[-1][key] >= limit:
        records.pop()


def _place_in_time(train: list[Record]) -> None:
    """Give each record its place ``x``: epochs where they are counted."""
    # Not every iteration is logged; the length of an epoch is the smallest
    # that puts none into a later epoch than its own.
    length = max((math.ceil(record['iter'] / record['epoch'])
                  for record in train if 'epoch' in record), default=1)
    for record in train:
        record['x'] = record['iter'] / length


def _panels(train: list[Record], val: list[Record]) -> dict[str, Curves]:
    """Curves by the title of their panel."""
    names = sorted({name for record in train for name in record})
    losses = [name for name in names if 'loss' in name]
    rates = [name for name in names if name == 'lr' or name.endswith('/lr')]
    panels = {
        'training loss': _collect(train, losses),
        'learning rate': _collect(train, rates)
    }
    figures = _collect(val, {
        name: None for record in val for name, value in record.items()
        if name not in _NOT_METRICS | {'x'} and isinstance(value, (int, float))
    })
    for name, curve in figures.items():
        title = f'validation, {_unit_of(name, curve[1])}'
        panels.setdefault(title, {})[name] = curve
    return {title: curves for title, curves in panels.items() if curves}


def _collect(records: list[Record], names: Iterable[str]) -> Curves:
    """Known values of each name and their places."""
    curves: Curves = {}
    for name in names:
        known = [(record['x'], record[name]) for record in records
                 if math.isfinite(record.get(name, math.nan))]
        if known:
            x, y = zip(*known, strict=True)
            curves[name] = (list(x), list(y))
    return curves


def _unit_of(name: str, values: Iterable[float]) -> str:
    stem = _stem(name)
    for ending, unit in _UNITS.items():
        if stem.endswith(ending):
            return unit
    return _SHARE if all(0 <= value <= 1 for value in values) else stem


def _stem(name: str) -> str:
    """The name of the figure that this one belongs to."""
    for ending in (_TRIVIAL, _LOW, _HIGH):
        name = name.removesuffix(ending)
    return name


def _draw_panel(axis: Any, title: str, curves: Mapping[str, Any]) -> None:
    """Draw the curves of one panel, each named with its last value."""
    stems = list(dict.fromkeys(_stem(name) for name in curves))
    colors = dict(zip(stems[:_LINES_A_PANEL], _COLORS, strict=False))
    for name, (x, y) in curves.items():
        color = colors.get(_stem(name))
        if color is None or name.endswith(_HIGH):
            continue
        high = name.removesuffix(_LOW) + _HIGH
        if name.endswith(_LOW) and high in curves and curves[high][0] == x:
            axis.fill_between(x, y, curves[high][1], color=color, alpha=.15,
                              linewidth=0)
            continue
        trivial = name.endswith(_TRIVIAL)
        axis.plot(x, y, color=color, label=f'{name}  {y[-1]:.3g}',
                  linestyle=':' if trivial else '-', linewidth=1.5,
                  marker='.' if len(x) < 60 and not trivial else '')
    values = [value for _, y in curves.values() for value in y]
    if 'validation' not in title and max(values) > 20 * min(values) > 0:
        axis.set_yscale('log')
    hidden = len(stems) - len(colors)
    axis.set_title(f'{title} ({hidden} more not shown)' if hidden else title,
                   loc='left', fontsize=11, fontweight='bold')
    axis.grid(alpha=.25)
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc='center left',
                bbox_to_anchor=(1, .5))
