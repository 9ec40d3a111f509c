"""Nothing is fetched unasked: few files can open a connection."""
from __future__ import annotations

import ast

from tests.architecture import rules

CONNECTING = {'ftplib', 'http', 'pooch', 'requests', 'socket', 'ssl',
              'urllib.request', 'urllib3'}
# a URL that someone gives as a checkpoint; the command that downloads
ASKED = {'mmpose_ext/compat/checkpoints.py', 'mmpose_ext/storage/downloads.py'}


def connects(source: rules.Source) -> bool:
    """Whether a file imports what opens connections, or fetches by torch."""
    names = {name for _, name in rules.imported_modules(source)}
    return any(name == module or name.startswith(f'{module}.')
               for name in names for module in CONNECTING) or any(
        isinstance(node, ast.Attribute)
        and node.attr in ('download_url_to_file', 'load_state_dict_from_url')
        for node in ast.walk(source.tree))


def test_two_files_open_connections() -> None:
    found = {str(source.path)
             for source in rules.read_sources('mmpose_ext', 'tools')
             if connects(source)}
    assert found == ASKED


def test_no_config_names_a_url() -> None:
    named = [str(source.path) for source in rules.read_sources('configs')
             if any(isinstance(node, ast.Constant)
                    and str(node.value).startswith(('http:', 'https:'))
                    for node in ast.walk(source.tree))]
    assert not named
