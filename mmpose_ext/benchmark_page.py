"""The page that ``tools/benchmark.py --all --markdown`` writes."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmpose_ext.drawing.scaling_curves import draw_scaling_curves
from mmpose_ext.storage import atomic_file

_HEADER = '''\
# Benchmark

What the tiny configs of all families cost, with synthetic data. This page is
written by

    python tools/benchmark.py --all --markdown docs/benchmark.md

which measures each config in a process of its own.
'''
_LEGEND = '''\
* **Rates** are per CPU-second and, in brackets, per second of wall time. Other
  work on the machine changes the wall time most, the CPU time a little.
* **MFLOP**: additions and multiplications of one forward pass of the network,
  for one of what is counted; for one volume where the network takes volumes.
* **load**: the training data loader alone. **train**: MMEngine's Runner with
  all hooks of the config, loading and augmentation included. **predict**: from
  a batch in memory to predictions.
* **of bare**: the rate beside it over that of a bare PyTorch loop on ready
  tensors, by CPU time, in the same process and in turns; the loop loads and
  augments nothing. 1 is as fast as the network alone.
* **MiB**: the most memory that the process of a training took.
'''
_COLUMNS = ('config', 'counts', 'parameters', 'MFLOP', 'load', 'train',
            'of bare', 'predict', 'of bare', 'MiB')


def write_page(results: Mapping[str, Any], target: str) -> None:
    """Write the page, and the pictures in ``images`` beside it.

    Args:
        results (Mapping): See :class:`~mmpose_ext.benchmark_all.Results`.
        target (str): File, or ``-`` to print the page without pictures.
    """
    if target == '-':
        print(render_page(results))
        return
    pictures = {}
    for family, found in results['scaling'].items():
        if 'error' not in found:
            pictures[family] = f'images/benchmark_{family}.png'
            out = Path(target).parent / pictures[family]
            out.parent.mkdir(exist_ok=True)
            draw_scaling_curves(found['scaling'], found['unit'], out)
    with atomic_file(target) as temporary:
        temporary.write_text(render_page(results, pictures))


def render_page(results: Mapping[str, Any],
                pictures: Mapping[str, str] | None = None) -> str:
    """The page as text.

    Args:
        results (Mapping): See :class:`~mmpose_ext.benchmark_all.Results`.
        pictures (Mapping[str, str], optional): By family the file of its
            curves. Defaults to None.
    """
    parts = [_HEADER, _machine(results), _table(results['configs']), _LEGEND]
    if results['scaling']:
        parts.append(_SCALING)
        parts += [_curves(family, found, (pictures or {}).get(family))
                  for family, found in results['scaling'].items()]
    return '\n'.join(parts)


def _machine(results: Mapping[str, Any]) -> str:
    host = results['machine']
    lines = [f'Machine: {host["cpu"]}, {host["cores"]} cores, load '
             f'{host["load"]:.1f} (processes that wanted a core as this '
             'began)']
    machines = [found['machine'] for found in results['configs'].values()
                if 'machine' in found]
    if machines:
        first = machines[0]
        threads = 'one thread' if first['threads'] == 1 else (
            f'{first["threads"]} threads')
        lines[0] += f'; Python {host["python"]}, torch {first["torch"]}'
        lines.append(
            f'Figures are of {threads} in {first["precision"]}; a GPU was '
            'not at hand.' if first['device'] == 'cpu' else
            f'Networks ran on {first["device"]}, in {first["precision"]}.')
    return '.\n'.join(lines) + '\n'


def _table(configs: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [_COLUMNS, ('---', '---', *['---:'] * (len(_COLUMNS) - 2))]
    for name, found in configs.items():
        short = f'`{Path(name).stem.removesuffix("_tiny_synthetic")}`'
        if 'error' in found:
            text = found['error'].replace('|', '/')
            rows.append((short, f'failed: {text}',
                         *[''] * (len(_COLUMNS) - 2)))
        else:
            rows.append((short, *_cells(found)))
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _cells(found: Mapping[str, Any]) -> Iterator[str]:
    training, inference = found['training'], found['inference']
    yield found['unit']
    yield f'{found["complexity"]["parameters"]:,}'
    yield _digits(found['complexity']['flops'] / 1e6)
    yield _rate(found['loading'])
    yield _rate(training['runner'])
    yield f'{training["ratio"]:.2f}'
    yield _rate(inference['ours'])
    yield f'{inference["ratio"]:.2f}'
    memory = found['peak_memory_mib']
    yield f'{memory["process"]:,.0f}' + (
        f' and {memory["gpu"]:,.0f} of the GPU' if 'gpu' in memory else '')


def _rate(rates: Mapping[str, float]) -> str:
    return (f'{_digits(rates["per_cpu_second"])} '
            f'({_digits(rates["per_second"])})')


def _digits(value: float) -> str:
    """Three digits are as many as a rate is sure of."""
    rounded = float(f'{value:.3g}')
    return f'{rounded:,.0f}' if rounded >= 100 else f'{rounded:g}'


_SCALING = '''\
## What the cost depends on

Curves are CPU-milliseconds of one of what is counted, with logarithmic scales:
a *training step* of the bare loop, *preparing* a sample for it in the data
preprocessor, and *prediction*. Points of several processes are wall time:
processes share the machine with all else that runs, so the rate per CPU-second
of a process stands in the
text. `tools/benchmark.py CONFIG --scaling [AXIS ...]` gives the figures of any
config.
'''


def _curves(family: str, found: Mapping[str, Any],
            picture: str | None) -> str:
    lines = [f'### {family}', '']
    if 'error' in found:
        return '\n'.join([*lines, f'failed: {found["error"]}', ''])
    name = Path(found['config']).stem
    axes = ', '.join(axis['label'] for axis in found['scaling'].values())
    lines.append(f'`{name}`: {axes}.')
    if 'processes' in found['scaling']:
        lines.append(_processes(found['scaling']['processes']['values'],
                                found['unit']))
    if picture is not None:
        lines += ['', f'![What a sample of {family} costs]({picture})']
    return '\n'.join([*lines, ''])


def _processes(values: Mapping[str, Mapping[str, float]], unit: str) -> str:
    told = [
        f'{count} train {_digits(found["per_second"])} {unit} a second, '
        f'{_digits(found["per_cpu_second"])} a CPU-second of each (load '
        f'{found["load"]:.1f} before)' for count, found in values.items()]
    return f'Processes: {"; ".join(told)}.'
