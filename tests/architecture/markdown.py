"""Links, commands and paths that the repository's markdown shows."""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.architecture.rules import ROOT

_COMMAND = re.compile(
    r'(?:^|[\s(`])(?P<program>tools/\w+\.py|(?<=-m )mmpose_ext\.[\w.]+)'
    r'(?P<words>[^#|;`]*)')


@dataclass(frozen=True)
class Page:
    """A markdown file.

    Attributes:
        path: Below the repository.
        text: Its source.
    """

    path: Path
    text: str

    @cached_property
    def tokens(self) -> list[Token]:
        """Blocks and, in their order, what is inside of them."""
        blocks = MarkdownIt('commonmark').enable('table').parse(self.text)
        return [token for block in blocks
                for token in (block, *(block.children or ()))]

    @property
    def links(self) -> Iterator[str]:
        """Targets of links and pictures."""
        for token in self.tokens:
            target = token.attrGet('href') or token.attrGet('src')
            if target:
                yield unquote(str(target))

    @property
    def anchors(self) -> set[str]:
        """Anchors of the headings, as GitHub and MyST make them."""
        return {
            re.sub(r'[^\w\- ]', '', heading.content.lower()).replace(' ', '-')
            for opening, heading in zip(self.tokens, self.tokens[1:],
                                        strict=False)
            if opening.type == 'heading_open'
        }

    @property
    def code(self) -> Iterator[str]:
        """Lines of code, continued ones joined, and code in the text."""
        for token in self.tokens:
            if token.type in ('fence', 'code_block'):
                yield from token.content.replace('\\\n', ' ').splitlines()
            elif token.type == 'code_inline':
                yield token.content

    @property
    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Programs, as `tools/x.py` or `mmpose_ext.x`, and their words."""
        for line in self.code:
            for found in _COMMAND.finditer(line):
                yield found['program'], found['words'].split()

    @property
    def paths(self) -> Iterator[str]:
        """Files of the checkout that are named in code."""
        for line in self.code:
            yield from re.findall(
                r'(?<![\w/.])((?:tools|configs|tests|docs)/[\w./{},-]*\w\.'
                r'(?:py|sh|md|yml))(?![\w*])', line)


def read_pages() -> list[Page]:
    """Every markdown file that is, or is to be, under version control."""
    names = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard',
         '--', '*.md'],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Page(Path(name), (ROOT / name).read_text())
            for name in sorted(names.splitlines()) if (ROOT / name).exists()]
