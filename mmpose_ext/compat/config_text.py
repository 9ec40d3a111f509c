"""Formatting a config's text once instead of five times.

At every start MMEngine writes, logs and hands out the text of the config, and
has yapf format it each time: 0.1 s for a small config, 0.5 s for a large one.
"""
from __future__ import annotations

import functools
from typing import Any

from mmengine.config import config as config_module

_MOST = 8  # texts to remember


def remember_formatted_texts() -> None:
    """Let MMEngine's yapf remember the last texts that it formatted."""
    format_code = config_module.FormatCode
    if hasattr(format_code, '__wrapped__'):
        return
    known: dict[tuple[str, str], Any] = {}

    @functools.wraps(format_code)
    def remembering(text: str, **settings: Any) -> Any:
        key = (text, repr(settings))
        if key not in known:
            if len(known) == _MOST:
                known.pop(next(iter(known)))
            known[key] = format_code(text, **settings)
        return known[key]

    config_module.FormatCode = remembering
