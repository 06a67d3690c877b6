# SPDX-License-Identifier: GPL-2.0
# pylint: disable=invalid-name # Sphinx knows these names
"""How Sphinx reads the documents here: with the kernel's own extensions, from its source.

scripts/doc calls Sphinx. It says in the environment where the kernel's source is (srctree), which
the extension kerneldoc asks for, too.
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, os.path.join(os.environ["srctree"], "Documentation", "sphinx"))

project = "vmapcache"
author = "the authors of vmapcache"
copyright = "2026, " + author  # pylint: disable=redefined-builtin
version = release = (ROOT / "VERSION").read_text(encoding="utf-8").strip()

extensions = ["kerneldoc"]
kerneldoc_srctree = str(ROOT)
primary_domain = "c"
highlight_language = "none"
nitpicky = True
# Types are described in headers, the kernel's and vmapcache's.
nitpick_ignore_regex = [("c:(identifier|type|struct)", ".*"), ("c:func", r"(?!vmapcache_).*")]
exclude_patterns = ["ABI"]

html_theme = "alabaster"
html_title = f"vmapcache {version}"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "description": f"version {version}",
    "page_width": "70em",
    "sidebar_width": "16em",
    "fixed_sidebar": True,
    "sidebar_collapse": True,
}
html_sidebars = {"**": ["about.html", "searchbox.html", "navigation.html"]}
