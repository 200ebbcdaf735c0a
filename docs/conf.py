"""How Sphinx builds the documentation's site; see ``make docs``."""

from importlib.metadata import version as version_of

project = "aefi-bluesky"
author = "the aefi-bluesky developers"
project_copyright = "2026, the aefi-bluesky developers"
version = release = version_of("aefi-bluesky")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    # Reads numpydoc's sections; numpydoc's own extension fails on a NewType.
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_design",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "how-to/examples"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A page for each public module, made anew by each build.
autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# Base classes of ophyd and bluesky have docstrings of another markup.
autodoc_inherit_docstrings = False
# The windows have a venv of their own.
autodoc_mock_imports = [
    "pylablib",
    "pymodaq",
    "pymodaq_data",
    "pymodaq_gui",
    "pymodaq_utils",
    "qtpy",
]
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "py:obj"
# A name is documented where it is defined, and where a package offers it: a reference
# to it has two targets, and either is right.
suppress_warnings = ["ref.python"]

maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = "aefi-bluesky"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_depth": 3,
    "secondary_sidebar_items": ["page-toc"],
}
html_context = {"default_mode": "light"}
html_show_sourcelink = False
