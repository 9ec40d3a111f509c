"""A page about training runs: one file that opens anywhere."""
from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mmpose_ext.drawing.curves import COLORS
from mmpose_ext.drawing.figures import new_figure, save_figure
from mmpose_ext.storage import atomic_file
from mmpose_ext.storage.run_log import EMA, Record, RunLog

_STYLE = '''
:root { color-scheme: light dark; --text: #1c2128; --ground: #fff;
  --faint: #59636e; --line: #d1d9e0; --bad: #cf222e; --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3;
  --ground: #0d1117; --faint: #9198a1; --line: #3d444d; --bad: #ff7b72;
  --warn: #e3b341; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text);
  background: var(--ground); max-width: 75rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .2rem 2rem .2rem 0;
  border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; color: var(--faint); }
ul { list-style: none; padding: 0; }
li { border-left: 4px solid var(--warn); padding-left: .8rem;
  margin: .6rem 0; }
li.fatal { border-color: var(--bad); }
li small { display: block; color: var(--faint); }
img { width: 100%; height: auto; background: #fff; border-radius: 6px; }
footer { color: var(--faint); margin: 2rem 0; }
'''


@dataclass(frozen=True)
class Note:
    """A remark under a run.

    Attributes:
        name: What it is about.
        text: What is the case.
        hint: What to do about it, may be empty.
        fatal: Whether it is of the worst kind.
    """

    name: str
    text: str
    hint: str = ''
    fatal: bool = False


@dataclass(frozen=True)
class ComparedRun:
    """One of several runs that are drawn together.

    Attributes:
        name: For the legend.
        log: Its log.
        metric: Validation figure that decides; None without validation.
        batch: Images of an iteration; None where unknown.
    """

    name: str
    log: RunLog
    metric: str | None
    batch: int | None


def write_run_page(out: str | Path, title: str, footer: str,
                   runs: Mapping[str, Mapping[str, str]],
                   notes: Mapping[str, Sequence[Note]],
                   pictures: Mapping[str, Path]) -> None:
    """Write a page with a table, remarks and pictures, all in one file.

    It needs no network and no script, and follows the reader's choice of
    light or dark.

    Args:
        out (str | Path): HTML file to write.
        title (str): Title of the page.
        footer (str): Last line.
        runs (Mapping): Texts by label, by name of the run: its column.
        notes (Mapping): Remarks by name of the run.
        pictures (Mapping): PNG files by caption.

    Raises:
        DataError: If the folder is missing.
    """
    labels = dict.fromkeys(label for rows in runs.values() for label in rows)
    head = ''.join(f'<th scope="col">{escape(name)}</th>' for name in runs)
    body = '\n'.join(
        f'<tr><th scope="row">{escape(label)}</th>' + ''.join(
            f'<td>{escape(rows.get(label, ""))}</td>'
            for rows in runs.values()) + '</tr>' for label in labels)
    remarks = '\n'.join(
        _list_notes(name if len(runs) > 1 else '', items)
        for name, items in notes.items())
    images = '\n'.join(
        f'<h2>{escape(caption)}</h2>\n<img alt="{escape(caption)}" src='
        f'"data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for caption, path in pictures.items())
    with atomic_file(out) as temporary:
        temporary.write_text(f'''<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
{remarks}
<table>
<thead><tr><td></td>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
{images}
<footer>{escape(footer)}</footer>
</body>
</html>
''', encoding='utf-8')


def draw_comparison(runs: Sequence[ComparedRun], out: str | Path) -> None:
    """Draw the smoothed loss and the metric of runs over one another.

    The left half is aligned by epochs (iterations where one run does not
    count epochs), the right half by the images trained on so far; runs of
    unknown batch size are left out there.

    Args:
        runs (Sequence[ComparedRun]): The runs.
        out (str | Path): Picture to write.

    Raises:
        DataError: If the folder is missing.
    """
    figure = new_figure(14, 7, dpi=150)
    figure.subplots_adjust(.05, .13, .98, .95, wspace=.12, hspace=.2)
    axes = figure.subplots(2, 2, sharex='col')
    by_epoch = all(run.log.epoch_length for run in runs)
    for index, run in enumerate(runs):
        style: dict[str, Any] = dict(
            color=COLORS[index % len(COLORS)], linewidth=1.5, label=run.name,
            linestyle='-' if index < len(COLORS) else '--')
        # iterations of one unit of ``x``
        unit = run.log.epoch_length or 1
        scales = (1 if by_epoch else unit,
                  None if run.batch is None else unit * run.batch)
        for row, (records, name) in enumerate((
                (run.log.train, f'loss{EMA}'), (run.log.val, run.metric))):
            for column, scale in enumerate(scales):
                _draw_curve(axes[row, column], records, name, scale, style)
    metrics = dict.fromkeys(run.metric for run in runs if run.metric)
    titles = ('training loss, smoothed', ' / '.join(metrics) or 'validation')
    for row, title in enumerate(titles):
        for axis in axes[row]:
            axis.set_title(title, loc='left', fontsize=11, fontweight='bold')
            axis.grid(alpha=.25)
            axis.spines[['top', 'right']].set_visible(False)
    axes[1, 0].set_xlabel('epoch' if by_epoch else 'iteration')
    axes[1, 1].set_xlabel('images trained on')
    axes[1, 1].xaxis.set_major_formatter('{x:,.0f}')
    for axis in axes[1]:
        axis.set_xlim(left=0)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False,
                  loc='lower center', ncols=min(4, len(runs)), fontsize=9)
    save_figure(figure, Path(out))


def _draw_curve(axis: Any, records: Sequence[Record], name: str | None,
                scale: float | None, style: Mapping[str, Any]) -> None:
    points = [(record['x'] * scale, record[name]) for record in records
              if name in record] if scale and name else []
    if points:
        axis.plot(*zip(*points, strict=True), **style,
                  marker='.' if len(points) < 60 else '')


def _list_notes(heading: str, notes: Sequence[Note]) -> str:
    if not notes:
        return ''
    items = '\n'.join(
        f'<li class="{"fatal" if note.fatal else "warning"}">'
        f'<b>{escape(note.name)}</b>: {escape(note.text)}'
        f'<small>{escape(note.hint)}</small></li>' for note in notes)
    title = f'<h2>{escape(heading)}</h2>\n' if heading else ''
    return f'{title}<ul>\n{items}\n</ul>'
