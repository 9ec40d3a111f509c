"""Curves of a training run, from what MMEngine logs."""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmpose_ext.drawing.figures import new_figure, save_figure
from mmpose_ext.storage.run_log import EMA, Record, RunLog, figures_of

# of Okabe and Ito, told apart by the colour-blind
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9',
          '#000000', '#999999')
# figures that belong to another one of the same name without the ending
_TRIVIAL, _LOW, _HIGH = '_trivial', '_low', '_high'
_UNITS = {'_deg': 'degrees', '_px': 'px', '_mm': 'mm'}
_SHARE = 'share'
_LINES_A_PANEL = 8
_LOSS, _RATE, _TIME = 'training loss', 'learning rate', 'seconds an iteration'

Curves = dict[str, tuple[list[float], list[float]]]


class Best(NamedTuple):
    """The best value that a validation figure has had.

    Attributes:
        name: Of the figure.
        x: Epoch, or iteration where epochs are not counted.
        value: The figure.
    """

    name: str
    x: float
    value: float


def draw_training_curves(log: RunLog | str | Path,
                         out: str | Path,
                         best: Best | None = None) -> None:
    """Draw losses, learning rates, validation figures and times of a run.

    Validation figures share a panel with those of their unit. A figure
    ``x_trivial`` is drawn dotted, ``x_low`` and ``x_high`` as a band about
    ``x``, and a raw ``x`` faintly behind its smoothed ``x_ema``. Thin lines
    stand where ``phase`` changes. No display is needed.

    Args:
        log (RunLog | str | Path): The log, or what it is read from: a work
            directory or ``vis_data/scalars.json``.
        out (str | Path): Picture to write; its ending decides the format.
        best (Best, optional): The figure that decides, marked with a star.
            Defaults to None.

    Raises:
        DataError: If there is no such log or it holds no records.
    """
    if not isinstance(log, RunLog):
        log = RunLog(log)
    panels = _panels(log.train, log.val, best)
    rows = -(-len(panels) // 2)
    figure = new_figure(14, 3 * rows, dpi=150)
    # A fixed layout, with room for the legends, is drawn in half the time.
    figure.subplots_adjust(.05, .5 / (3 * rows), .81, 1 - .35 / (3 * rows),
                           wspace=.78, hspace=.4)
    unit = 'epoch' if log.epoch_length or not log.train else 'iteration'
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axis in axes[len(panels):]:
        axis.set_visible(False)
    phases = list(phase_changes(log.train))
    end = max(record['x'] for record in (*log.train, *log.val))
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, title, curves)
        if best is not None and best.name in curves:
            _mark_best(axis, best)
        for x in phases:
            axis.axvline(x, color='.5', linewidth=.6, zorder=1)
        axis.set_xlim(0, 1.03 * end)
        axis.set_xlabel(unit)
        axis.legend(fontsize=8, frameon=False, loc='center left',
                    bbox_to_anchor=(1, .5))
    save_figure(figure, Path(out))


def phase_changes(train: Iterable[Record]) -> Iterator[float]:
    """Places ``x`` of the first records of all phases but the first."""
    before = None
    for record in train:
        phase = record.get('phase', before)
        if before not in (None, phase):
            yield record['x']
        before = phase


def learning_rates_of(names: Iterable[str]) -> list[str]:
    """Names of learning rates: those of stages, ``lr`` where there are none.

    Where stages have rates of their own, ``lr`` is that of the first group
    of parameters, whichever that is.
    """
    rates = [name for name in names if name == 'lr' or name.startswith('lr/')
             or name.endswith('/lr')]
    return [name for name in rates if name != 'lr'] or rates


def _panels(train: list[Record], val: list[Record],
            best: Best | None = None) -> dict[str, Curves]:
    """Curves by the title of their panel."""
    names = sorted({name for record in train for name in record})
    panels = {
        _LOSS: _collect(train, [name for name in names if 'loss' in name]),
        _RATE: _collect(train, learning_rates_of(names)),
    }
    # The figure that decides comes first: the last ones may not be drawn.
    first = () if best is None else (best.name, )
    figures = _collect(val, dict.fromkeys((*first, *figures_of(val))))
    for name, curve in figures.items():
        if set(curve[1]) == {-1}:  # COCO's word for: no such objects
            continue
        # a bound, or a trivial figure, goes with the figure it belongs to
        _, values = figures.get(_stem(name), curve)
        title = f'validation, {_unit_of(name, values)}'
        panels.setdefault(title, {})[name] = curve
    panels[_TIME] = _collect(train, ('time', 'data_time'))
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
    parts = _stem(name).split('/')
    for ending, unit in _UNITS.items():
        if any(part.endswith(ending) for part in parts):
            return unit
    if len(parts) < 3 and all(0 <= value <= 1 for value in values):
        return ' '.join([*parts[:-1], _SHARE])
    # a figure of each point, `horse/nme/nose`, has its panel with the others
    return '/'.join(parts[:2])


def _stem(name: str) -> str:
    """The name of the figure that this one belongs to."""
    for ending in (_TRIVIAL, _LOW, _HIGH, EMA):
        name = name.removesuffix(ending)
    return name


def _draw_panel(axis: Any, title: str, curves: Mapping[str, Any]) -> None:
    """Draw the curves of one panel, each named with its last value."""
    stems = list(dict.fromkeys(_stem(name) for name in curves))
    colors = dict(zip(stems[:_LINES_A_PANEL], COLORS, strict=False))
    for name, (x, y) in curves.items():
        color = colors.get(_stem(name))
        if color is None or name.endswith(_HIGH):
            continue
        high = name.removesuffix(_LOW) + _HIGH
        if name.endswith(_LOW) and high in curves and curves[high][0] == x:
            axis.fill_between(x, y, curves[high][1], color=color, alpha=.15,
                              linewidth=0)
            continue
        trivial, raw = name.endswith(_TRIVIAL), name + EMA in curves
        # The losses that the total is the sum of lie behind it.
        behind = title == _LOSS and not name.endswith(EMA)
        axis.plot(x, _positive(y) if title == _RATE else y, color=color,
                  label=f'{name}  {y[-1]:.3g}', zorder=2 if behind else 3,
                  linestyle=':' if trivial else '-',
                  linewidth=.8 if behind else 1.5, alpha=.35 if raw else 1,
                  marker='' if trivial or raw or len(x) >= 60 else '.')
    values = [value for _, y in curves.values() for value in y]
    wide = title == _LOSS and max(values) > 20 * min(values) > 0
    if wide or (title == _RATE and max(values) > 0):
        _scale_by_logarithm(axis)
    if title == _TIME:
        axis.set_ylim(bottom=0)
    hidden = len(stems) - len(colors)
    axis.set_title(f'{title} ({hidden} more not shown)' if hidden else title,
                   loc='left', fontsize=11, fontweight='bold')
    axis.grid(alpha=.25)
    axis.spines[['top', 'right']].set_visible(False)


def _positive(values: Iterable[float]) -> list[float]:
    """Values with gaps where they are zero, as the rate of a frozen stage."""
    return [value if value > 0 else math.nan for value in values]


def _scale_by_logarithm(axis: Any) -> None:
    """Give an axis a logarithmic scale with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    axis.set_yscale('log')
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f'{y:.3g}'))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _mark_best(axis: Any, best: Best) -> None:
    axis.plot(best.x, best.value, marker='*', markersize=13, color='#000000',
              markerfacecolor='#F0E442', linestyle='', zorder=4,
              label=f'best {best.value:.3g} at {best.x:g}')
