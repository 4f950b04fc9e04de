"""
How Sphinx makes one site of these texts and pydoctor's API pages.
"""

import runpy
import sys
from pathlib import Path

DOCS = Path(__file__).parent
TOP = DOCS.parent
sys.path.insert(0, str(DOCS / "site"))

project = "asynqueue"
version = release = runpy.run_path(str(TOP / "asynqueue" / "version.py"))["__version__"]

extensions = ["sphinx.ext.intersphinx", "pydoctor.sphinx_ext.build_apidocs", "links"]
exclude_patterns = ["site", "examples", "pictures"]
nitpicky = True
highlight_language = "none"
smartquotes = False

html_theme = "furo"
html_title = f"asynqueue {release}"
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False

# The same pages as "pydoctor" makes by itself; they replace what Sphinx makes of
# api/index.rst, and their names are known to intersphinx, without any network.
pydoctor_args = [
    f"--config={TOP / 'pyproject.toml'}",
    f"--add-package={TOP / 'asynqueue'}",
    f"--project-base-dir={TOP}",
    f"--template-dir={DOCS / 'site' / 'pydoctor'}",
    "--project-url=../index.html",
    "--html-output={outdir}/api",
]
pydoctor_url_path = "api"
