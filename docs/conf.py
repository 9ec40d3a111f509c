"""Sphinx configuration: `sphinx-build -W --keep-going docs docs/_build`."""
project = 'mmpose_ext'
extensions = ['myst_parser']
exclude_patterns = ['_build']
html_theme = 'alabaster'
html_theme_options = {'page_width': '64em', 'sidebar_width': '14em'}
html_show_copyright = False
# `page.md#heading` works, as it does where the sources are browsed
myst_heading_anchors = 4
