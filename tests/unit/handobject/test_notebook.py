"""The notebook calls commands that exist, and does nothing else."""
from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / 'docs/notebooks/handobject.ipynb'
START = '!cd ../.. && python '  # a notebook runs in its own folder

CONTENT = json.loads(NOTEBOOK.read_text(encoding='utf-8'))
CODE = [cell for cell in CONTENT['cells'] if cell['cell_type'] == 'code']
COMMANDS = [''.join(cell['source']) for cell in CODE]


def words_of(command: str) -> list[str]:
    assert command.startswith(START), command
    return shlex.split(command.removeprefix(START))


def test_format_is_that_of_notebooks():
    assert CONTENT['nbformat'] == 4
    names = [cell['id'] for cell in CONTENT['cells']]
    assert len({*names}) == len(names)
    for cell in CONTENT['cells']:
        assert cell['cell_type'] in ('code', 'markdown')
        assert all(isinstance(line, str) for line in cell['source'])


def test_nothing_was_run():
    for cell in CODE:
        assert cell['outputs'] == []
        assert cell['execution_count'] is None


def test_each_cell_is_one_command():
    for command in COMMANDS:
        assert '\n' not in command
        # nothing that a shell would do beside it
        assert not {*';|&><$`'} & {*command.removeprefix(START)}


def test_commands_exist():
    for command in COMMANDS:
        tool, *rest = words_of(command)
        if tool == '-m':
            assert importlib.util.find_spec(rest[0]) is not None, command
        else:
            assert tool.startswith('tools/'), command
            assert (ROOT / tool).is_file(), command


def test_configs_exist():
    configs = {word for command in COMMANDS for word in words_of(command)
               if word.startswith('configs/')}
    assert 'configs/handobject/hot_tiny_synthetic.py' in configs
    assert all((ROOT / config).is_file() for config in configs)


def test_steps_are_in_order():
    steps = [Path(words_of(command)[0]).stem for command in COMMANDS]
    wanted = ['synthesize', 'browse_dataset', 'model_report', 'train',
              'monitor_training', 'test', 'predict', 'visualize',
              'export_onnx']
    places = [steps.index(step) for step in wanted]
    assert places == sorted(places)
