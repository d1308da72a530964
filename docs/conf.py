"""Sphinx configuration. Build from the repository's root: ``sphinx-build -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
sys.path.insert(1, str(DOCS.parent))  # the package of this checkout, installed or not

import generate_methods  # noqa: E402

import tfxai  # noqa: E402

generate_methods.write(DOCS)

project = "tfxai"
author = "the tfxai authors"
release = version = tfxai.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "methods_intro.md"]
templates_path = ["_templates"]
default_role = "py:obj"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_inherit_docstrings = False  # or every method of the package would repeat the base class
autodoc_typehints = "none"  # numpydoc sections tell more than the annotations do
numpydoc_show_class_members = False  # autosummary has them
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("tfxai",),
    # The order in which to read them.
    "within_subsection_order": "generate_methods.ReadingOrder",
    "reset_modules": ("matplotlib", "generate_methods.run_as_written"),
    "capture_repr": (),  # examples print what is worth seeing
    "image_srcset": ["2x"],
    "show_memory": False,
    "parallel": 2,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_title = f"tfxai {release}"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
