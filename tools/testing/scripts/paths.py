# SPDX-License-Identifier: GPL-2.0
"""What scripts/check-paths finds."""

from weather import BadWeather


class Paths(BadWeather):
    """check-paths in a tree with one document."""

    def write(self, name, text=""):
        file = self.top / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def found(self, text):
        """The status and the complaints about a document of this text, and of one good path."""
        self.write("rust/va/alloc.rs")
        self.write("Documentation/guide/one.rst", f"See rust/va/alloc.rs.\n{text}\n")
        result = self.run_script("check-paths")
        return result.returncode, result.stdout.splitlines()[:-1]

    def test_paths_that_exist(self):
        self.write("rust/va/mod.rs")
        self.assertEqual(self.found("``rust/va/mod.rs`` (scripts/vm), rust/va/*.rs, rust/va/."), (0, []))

    def test_a_path_that_does_not_exist(self):
        self.assertEqual(self.found("one\nrust/va/gone.rs, scripts/vm"),
                         (1, ["Documentation/guide/one.rst:3: no rust/va/gone.rs"]))

    def test_a_folder_that_does_not_exist(self):
        self.assertEqual(self.found("F:	tools/gone/"), (1, ["Documentation/guide/one.rst:2: no tools/gone/"]))

    def test_other_trees_and_built_files_are_left_out(self):
        self.assertEqual(self.found("lib/rust/none.rs /usr/include/x.h tools/vmapcache/target/release/x "
                                    "rust/va/NAME.rs scripts/get_maintainer.pl"), (0, []))

    def test_top_documents_count(self):
        self.write("README.md", "include/gone.h")
        self.assertEqual(self.found(""), (1, ["README.md:1: no include/gone.h"]))

    def test_no_path_at_all_is_a_fault(self):
        self.assertEqual(self.run_script("check-paths").returncode, 1)
