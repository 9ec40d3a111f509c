"""The model zoo, from the metafiles and what each config says of itself."""
from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

ZOO = 'docs/model_zoo.md'
INTRODUCTION = '''# Model zoo

Every config that is shipped, with what it learns from, what it reaches and
what that costs. Figures are of the tests that the config names, with one
thread of a CPU; figures of the best constant answer stand beside them. No
weights are published: what is trained here takes minutes, and the rest needs
data that we may not pass on or do not have.
'''


@dataclass(frozen=True)
class Entry:
    """A config in a metafile.

    Attributes:
        name: Of the config, without suffix.
        config: Its path below the repository.
        about: What it is, from the comment at its top.
        data: What it learns from.
        parameters: Of the model.
        cost: Of the training, or ''.
        results: Each with ``Dataset`` and ``Metrics``.
    """

    name: str
    config: str
    about: str
    data: str
    parameters: int
    cost: str
    results: list[dict[str, Any]]


def zoo_pages(root: Path) -> dict[str, str]:
    """The zoo and a README for each folder of configs.

    Args:
        root (Path): The repository.

    Returns:
        dict[str, str]: Texts by path below the repository.
    """
    pages, zoo = {}, [INTRODUCTION]
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    for metafile in index['Import']:
        folder = Path(metafile).parent
        content = yaml.safe_load((root / metafile).read_text())
        entries = [_read_entry(root, model) for model in content['Models']]
        family = f'mmpose_ext/{folder.name}/README.md'
        title, about = _opening((root / family).read_text())
        papers = [paper for collection in content['Collections']
                  if (paper := _paper(collection['Paper']))]
        head = [*papers, f'[The family]({_link(family, folder)}) has the '
                f'commands, [metafile.yml](metafile.yml) the figures for '
                '`mim search`.']
        pages[str(folder / 'README.md')] = '\n'.join(
            [f'# Configs: {title}\n', f'{about}\n', *(f'{line}\n'
             for line in head), *_sections(entries, folder, '##')])
        zoo += [f'\n## {title}\n', f'{about}\n', *_overview(entries), '',
                *_sections(entries, Path('docs'), '###')]
    pages[ZOO] = '\n'.join(zoo)
    return pages


def _read_entry(root: Path, model: dict[str, Any]) -> Entry:
    metadata = model['Metadata']
    cost = ', '.join(str(metadata[key]) for key in
                     ('Training Time', 'Training Resources')
                     if key in metadata)
    return Entry(model['Name'], model['Config'],
                 _comment((root / model['Config']).read_text()),
                 metadata['Training Data'], metadata['Parameters'], cost,
                 model.get('Results', []))


def _comment(source: str) -> str:
    """The comment that a config begins with, as one paragraph."""
    lines = takewhile(lambda line: line.startswith('#'), source.splitlines())
    return ' '.join(line.lstrip('# ') for line in lines)


def _opening(readme: str) -> tuple[str, str]:
    """Title and first paragraph of prose of a README."""
    title, *blocks = readme.strip().split('\n\n')
    prose = next(block for block in blocks if not block.startswith('!['))
    return title.lstrip('# '), ' '.join(prose.split())


def _paper(paper: dict[str, str]) -> str:
    """A link to a paper, '' if it has none."""
    title = ' '.join(paper['Title'].split())
    return f'[{title}]({paper["URL"]})' if 'URL' in paper else ''


def _link(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _overview(entries: list[Entry]) -> Iterator[str]:
    yield '| config | data | parameters | result |'
    yield '|---|---|---|---|'
    for entry in entries:
        yield (f'| [{entry.name}](#{_anchor(entry.name)}) | {entry.data} | '
               f'{entry.parameters:,} | {_first_figure(entry)} |')


def _first_figure(entry: Entry) -> str:
    if not entry.results:
        return 'none'
    name, value = next(iter(entry.results[0]['Metrics'].items()))
    return f'{name}: {value}'


def _anchor(heading: str) -> str:
    """The anchor that GitHub and MyST make of a heading."""
    return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


def _sections(entries: list[Entry], folder: Path,
              level: str) -> Iterator[str]:
    """A section a config, with links that hold in a folder."""
    for entry in entries:
        yield f'{level} {entry.name}\n'
        yield f'{_escape(entry.about)}\n'
        yield (f'* config: [{Path(entry.config).name}]'
               f'({_link(entry.config, folder)}), '
               f'{entry.parameters:,} parameters')
        yield f'* data: {entry.data}'
        for result in entry.results:
            figures = '; '.join(f'{name}: {value}' for name, value
                                in result['Metrics'].items())
            yield f'* result on {result["Dataset"]}: {figures}'
        if not entry.results:
            yield f'* result: {_why_none(entry)}'
        if entry.cost:
            yield f'* training: {entry.cost}'
        yield f'\n      python tools/train.py {entry.config}\n'


def _why_none(entry: Entry) -> str:
    if 'synthetic' in entry.data:
        return 'no figure is kept; tests run it'
    return f'not trained here, needs data: {entry.data}'


def _escape(text: str) -> str:
    """A comment's text as markdown: no emphasis, no tags."""
    parts = text.split('`')
    parts[::2] = [re.sub(r'([*_<>])', r'\\\1', part) for part in parts[::2]]
    return '`'.join(parts)
