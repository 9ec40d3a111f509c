"""What a step costs for several values of what it depends on."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmpose_ext.drawing.curves import COLORS
from mmpose_ext.drawing.figures import new_figure, save_figure

_NAMES = dict(training='training step', inference='prediction',
              preparing='preparing for training')
_COLUMNS = 2


def draw_scaling_curves(scaling: Mapping[str, Mapping[str, Any]], unit: str,
                        out: Path) -> None:
    """Draw a panel an axis, costs with logarithmic scales.

    A panel of processes has the rate of a training by wall time, and a
    dashed line for what no exchange and enough cores would give.

    Args:
        scaling (Mapping): By axis ``label`` and ``values``, as
            ``tools/benchmark.py --scaling`` gives them.
        unit (str): What is counted.
        out (Path): Picture to write; its ending decides the format.
    """
    rows = -(-len(scaling) // _COLUMNS)
    figure = new_figure(7.6, .4 + 2.5 * rows, 90, layout='constrained')
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes[len(scaling):]:
        axis.set_visible(False)
    for (name, found), axis in zip(scaling.items(), axes, strict=False):
        if name == 'processes':
            _draw_processes(axis, found, unit)
        else:
            _draw_costs(axis, found)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper center', frameon=False,
                  ncols=len(labels), fontsize=9)
    save_figure(figure, out)


def _draw_costs(axis: Any, found: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
    values = [int(value) for value in found['values']]
    for color, (name, label) in zip(COLORS, _NAMES.items(), strict=False):
        costs = [1e3 / rates[name]['per_cpu_second']
                 for rates in found['values'].values()]
        axis.plot(values, costs, 'o-', color=color, label=label, lw=1.2,
                  ms=4)
    axis.set(xscale='log', yscale='log', xlabel=found['label'],
             ylabel='CPU-ms each')
    _tick_values(axis, values)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
    axis.yaxis.set_minor_locator(NullLocator())


def _draw_processes(axis: Any, found: Mapping[str, Any], unit: str) -> None:
    values = [int(value) for value in found['values']]
    rates = [rate['per_second'] for rate in found['values'].values()]
    axis.plot(values, [rates[0] * value / values[0] for value in values],
              '--', color='#999999', lw=1)
    axis.plot(values, rates, 'o-', color=COLORS[0], lw=1.2, ms=4)
    axis.set(xscale='log', xlabel=found['label'], ylim=(0, None),
             ylabel=f'{unit}/s in training')
    _tick_values(axis, values)


def _tick_values(axis: Any, values: list[int]) -> None:
    """Name the values that were tried."""
    from matplotlib.ticker import NullLocator
    axis.set_xticks(values, [str(value) for value in values])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(True, which='major', color='#e0e0e0', lw=.6)
    axis.spines[['top', 'right']].set_visible(False)
