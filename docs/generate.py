"""Write the pages that follow from the code: ``python -m docs.generate``.

The model zoo and the READMEs of ``configs/`` come from the metafiles and the
configs, the reference from the registered classes. With ``--check`` nothing
is written, and stale pages make the exit code 1.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.model_zoo import zoo_pages
from docs.registered import reference_page

ROOT = Path(__file__).resolve().parent.parent
NOTE = '<!-- Written by `python -m docs.generate`. -->\n'


def generated_pages() -> dict[str, str]:
    """Texts of all generated pages by their path below the repository."""
    pages = {**zoo_pages(ROOT), 'docs/hooks.md': reference_page(ROOT)}
    return {path: NOTE + text for path, text in pages.items()}


def stale_pages() -> dict[str, str]:
    """Texts of the pages that are not what the code says, by path."""
    return {
        path: text for path, text in generated_pages().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    }


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(
        prog='python -m docs.generate', description=__doc__)
    parser.add_argument('--check', action='store_true',
                        help='write nothing; exit code 1 if a page is stale')
    check = parser.parse_args().check
    stale = stale_pages()
    for path, text in stale.items():
        print(f'{"stale" if check else "written"}: {path}')
        if not check:
            (ROOT / path).write_text(text)
    return int(check and bool(stale))


if __name__ == '__main__':
    sys.exit(main())
