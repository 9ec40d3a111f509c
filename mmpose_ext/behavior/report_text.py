"""The report of a run as text."""
from __future__ import annotations

from typing import Any

_PARTS = dict(val='Validation', test='Test')


def render_report(report: dict[str, Any]) -> str:
    """Render a report as Markdown.

    Args:
        report (dict): ``val`` and ``test``, as far as there.
    """
    lines = ['# Behaviour report', '']
    for part, title in _PARTS.items():
        if part in report:
            lines += [f'## {title}', '', *_render_part(report[part])]
    return '\n'.join(lines)


def _render_part(section: dict[str, Any]) -> list[str]:
    figures, data = section['figures'], section['data']
    machine = section['machine']
    lines = [f'Weights: {section["weights"]}. Config: '
             f'`{section["config"]}`.', '']
    tasks = figures['tasks']
    lines += _render_questions(tasks)
    for name, task in tasks.items():
        if task.get('per_class'):
            lines += _render_classes(name, task)
    where = f'`{data["root"]}`, ' if 'root' in data else ''
    records = (f'{data["records"]} records, {data["frames"]:,} frames, '
               if 'records' in data else '')
    return [
        *lines, f'Data: {where}{records}{figures["count"]:,} windows a task. '
        'Intervals draw whole records.', '',
        f'Machine: {machine["device"]}, {machine["precision"]}, '
        f'{machine["threads"]} threads, torch {machine["torch"]}.', '']


def _render_questions(tasks: dict[str, Any]) -> list[str]:
    """A line for each task with a share of right answers."""
    lines = ['| task | right (95 % interval) | most frequent answer | area '
             'under curve | loss |', '|---|---|---|---|---|']
    for name, task in tasks.items():
        main = task['main']
        if 'acc' in main:
            lines.append(
                f'| {name} | {_share(main["acc"])} ({_share(main["acc_low"])} '
                f'to {_share(main["acc_high"])}) | '
                f'{_share(main["acc_trivial"])} | {_number(main.get("auc"))} '
                f'| {_number(main.get("loss"))} |')
        elif 'mae' in main:
            lines.append(
                f'| {name} | off by {_number(main["mae"])} | off by '
                f'{_number(main["mae_trivial"])} | - | - |')
        elif 'error' in main:
            lines.append(
                f'| {name} | off by {_number(main["error"])} | off by '
                f'{_number(main["error_trivial"])} | - | - |')
        elif 'found' in main:
            lines.append(
                f'| {name} | {_share(main["found"])} '
                f'({_share(main["found_low"])} to '
                f'{_share(main["found_high"])}) | '
                f'{_share(main["found_trivial"])} | - | - |')
    return [*lines, '']


def _render_classes(name: str, task: dict[str, Any]) -> list[str]:
    """The figures of behaviours."""
    main = task['main']
    lines = [
        f'### {name}', '',
        f'Macro F1 {_number(main.get("macro_f1"))} '
        f'({_number(main.get("macro_f1_low"))} to '
        f'{_number(main.get("macro_f1_high"))}; most frequent answer '
        f'{_number(main.get("macro_f1_trivial"))}), mean average precision '
        f'{_number(main.get("map"))}.', '',
        '| class | F1 | precision | recall | average precision | frames |',
        '|---|---|---|---|---|---|']
    for label, one in task['per_class'].items():
        lines.append('| ' + ' | '.join([label, *(_number(one[key]) for key in (
            'f1', 'precision', 'recall', 'average_precision')),
            f'{one["count"]:,}']) + ' |')
    return [*lines, '']


def _number(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.3f}'


def _share(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.1%}'
