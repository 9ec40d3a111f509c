"""A config's text is formatted once."""
from __future__ import annotations

from mmengine.config import Config
from mmengine.config import config as config_module

from mmpose_ext.compat.config_text import remember_formatted_texts


def test_same_text_and_one_formatting(monkeypatch) -> None:
    remember_formatted_texts()
    original = config_module.FormatCode.__wrapped__
    config = Config(dict(model=dict(type='A', sizes=[1, 2, 3]), lr=.1))
    monkeypatch.setattr(config_module, 'FormatCode', original)
    expected = config.pretty_text
    calls = []

    def counted(text, **settings):
        calls.append(text)
        return original(text, **settings)

    monkeypatch.setattr(config_module, 'FormatCode', counted)
    remember_formatted_texts()
    remember_formatted_texts()  # wraps once
    assert [config.pretty_text for _ in range(3)] == [expected] * 3
    assert len(calls) == 1
    config.lr = .2
    assert config.pretty_text != expected
    assert len(calls) == 2
