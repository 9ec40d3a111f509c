"""The report of a run as text."""
from __future__ import annotations

from typing import Any

_PARTS = dict(val='Validation', test='Test')
_NAMES = ('head', 'body', 'overall')


def render_report(report: dict[str, Any]) -> str:
    """Render a report as Markdown.

    Args:
        report (dict): ``val`` and ``test``, as far as there, each as
            :func:`~mmpose_ext.direction.report.describe_run` makes it.
    """
    lines = ['# Direction report', '']
    for part, title in _PARTS.items():
        if part in report:
            lines += [f'## {title}', '', *_render_part(report[part])]
    return '\n'.join(lines)


def _render_part(section: dict[str, Any]) -> list[str]:
    figures, data = section['figures'], section['data']
    floor, training = section['label_floor_deg'], section['training']
    machine = section['machine']
    lines = [
        f'Weights: {section["weights"]}. Config: `{section["config"]}`.', '',
        '| angle | mean (95 % interval) | median | 95 % below | within 10 '
        '| reversed | constant answer | label floor |',
        '|---|---|---|---|---|---|---|---|'
    ]
    for name in _NAMES:
        angle = figures['angles'][name]
        low, high = angle['mae_deg_interval']
        lines.append(
            f'| {name} | {_deg(angle["mae_deg"])} ({_deg(low)} to '
            f'{_deg(high)}) | {_deg(angle["median_deg"])} | '
            f'{_deg(angle["p95_deg"])} | {_share(angle["acc@10"])} | '
            f'{_share(angle["reversal_rate"])} | '
            f'{_deg(figures["trivial"][f"{name}_mae_deg"])} | '
            f'{_deg(floor[name])} |')
    lines += ['', '| point | mean px | median px | 95 % below | within 2 px |',
              '|---|---|---|---|---|']
    for name, point in figures['points'].items():
        lines.append(f'| {name} | {_number(point["mean_px"])} | '
                     f'{_number(point["median_px"])} | '
                     f'{_number(point["p95_px"])} | '
                     f'{_share(point["pck@2px"])} |')
    head = figures['angles']['head']
    lines += [
        '', f'Mean squared error in label space: {figures["mse_norm"]:.5f}. '
        f'Heads without a direction: {_share(head["invalid_frac"])}.', '',
        f'Label floor: labels that are {section["label_sigma_px"]:g} px off '
        'along each axis are this far off in angle by themselves. A smaller '
        'error cannot be claimed from such labels.', '',
        *_render_calibration(figures['calibration']),
        *_render_groups(figures['groups']),
        f'Data: `{data["file"]}`, {data["rows"]} images in {data["groups"]} '
        f'groups; {data["split"]}.', ''
    ]
    speed = training.get('images_per_second')
    lines += [
        f'Machine: {machine["device"]}, {machine["precision"]}, '
        f'{machine["threads"]} threads, torch {machine["torch"]}'
        + (f'; trained {training["epochs"]} epochs'
           f' at {speed:,.0f} images a second' if speed else '')
        + f'. Code: {section["git"] or "not under version control"}.', ''
    ]
    return lines


def _render_calibration(calibration: dict[str, Any]) -> list[str]:
    if not calibration['bins']:
        return ['The model gives no confidence that differs between images.',
                '']
    bins = ', '.join(_deg(value) for value in calibration['bins'])
    return [f'Mean head error from the least to the most confident tenth: '
            f'{bins}. Of the surest 90 %: '
            f'{_deg(calibration["mae_deg_at_90"])}.', '']


def _render_groups(groups: dict[str, dict[str, float]]) -> list[str]:
    lines = []
    for grouping, values in groups.items():
        ordered = sorted(values.items(), key=lambda item: -(item[1] or 0))
        shown = ', '.join(f'{name} {_deg(value)}'
                          for name, value in ordered[:6])
        more = f' ({len(values)} in all)' if len(values) > 6 else ''
        lines += [f'Mean head error by {grouping}, worst first: '
                  f'{shown}{more}.', '']
    return lines


def _number(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.2f}'


def _deg(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.1f}°'


def _share(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.1%}'
