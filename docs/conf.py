"""Settings of sphinx for the documentation; `make docs` builds it."""

project = 'rlhf_jax'
html_title = 'rlhf_jax'
extensions = ['myst_parser']
html_theme = 'furo'
# Most code of the pages is commands and equations; Python says that it is.
highlight_language = 'text'
myst_heading_anchors = 3
# Types of other libraries stand in signatures, whose pages are not at hand.
nitpick_ignore_regex = [('py:.*', '.*')]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
# Headings of the modules alone stand in the contents.
toc_object_entries = False
