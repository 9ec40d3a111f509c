"""Sphinx configuration: `sphinx-build docs docs/_build`."""
project = 'mmpose_ext'
extensions = ['myst_parser']
exclude_patterns = ['_build']
