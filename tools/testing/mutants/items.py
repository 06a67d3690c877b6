# SPDX-License-Identifier: GPL-2.0
"""Finds the items of a source tree by name: deliberate faults are placed in items.

An item is named as its language names it, and found in whatever file defines it:

  Rust    `function`, `Type::method`, `Trait for Type::method`, `Trait::method`, `CONSTANT`,
          `Type`, `impl Type`, `macro!`. Generics are left out, unless they tell two items
          apart: `From<Fail> for Error::from`. An attribute in front picks one of two items
          of the same name: `#[cfg(loom)] HELD`.
  C       a function, a macro, a variable with a value, `struct tag`, `union tag`,
          `enum tag`. The condition that surrounds it picks one of two items of the same
          name, or its beginning: `#if: node`, and `#else: node` after that.
  shell   a function
  Python  a function, `Class`, `Class.method`
  any     the name of a file: the whole of it; if several have it, the one at the top

Modules, files and folders in front, as in `area::claim` or `host::Lock::lock`, tell apart
items of the same name. They are only needed then.

White space does not matter where an item's text is compared.
"""

import ast
import os
import pathlib
import re

# Nobody's source, by the name of a file or folder.
LEFT_OUT = re.compile(r"^(build|target|\.git|seeds|__pycache__|generated\.rs)$|"
                      r"\.(o|ko|mod|cmd|a|rmeta|pyc)$|\.mod\.c$|^modules\.order$|^Module\.symvers$")
TOKEN = re.compile(r"\w+|[^\w\s]")

RUST_OPAQUE = re.compile(
    r"""//[^\n]*
      | (?P<comment>/\*)
      | \b[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)
      | \b[bc]?"(?:\\.|[^"\\])*" | "(?:\\.|[^"\\])*"
      | b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])'""", re.X | re.S)
C_OPAQUE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+'""", re.X | re.S)
C_DIRECTIVE = re.compile(r"^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*", re.M)
# A condition in front of a name picks one of two.
CONDITION = re.compile(r"#\[.*?\](?=\s)|#[^\[:]+(?=:\s)")
RUST_ITEM = re.compile(
    r"""(?:(?:pub(?:\s*\([^)]*\))?|default|async|unsafe|safe|extern
          |const(?=\s+(?:fn|unsafe|async|extern)\b))\s+)*
        (?:(?P<kind>fn|struct|enum|union|trait|mod|const|static|type)\s+(?:mut\s+)?(?:r\#)?(?P<name>\w+)
          |(?P<impl>impl)\b
          |(?P<use>use|extern\s+crate)\b
          |macro_rules\s*!\s*(?P<macro>\w+)
          |(?P<call>\w[\w:]*)\s*!)""", re.X)
RUST_EXTERN = re.compile(r"(?:unsafe\s+)?extern\s*(?=\{)")
SHELL_FUNCTION = re.compile(r"^(\w+)[ \t]*\(\)[ \t]*[{(]", re.M)
HERE_DOCUMENT = re.compile(r"<<-?[ \t]*(['\"\\]?)(\w+)['\"]?[^\n]*\n(.*?)^\t*\2$", re.M | re.S)
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Unclear(Exception):
    """An item that is not there, or there twice; or a text in it."""


class Item:
    """A piece of a file that has a name."""

    def __init__(self, path, span, names, modules=(), attributes=()):
        self.path = path
        self.start, self.end = span
        # For each part of the name, all that it may be called.
        self.names = names
        self.modules = [*folders(path), *modules]
        self.attributes = ["".join(text.split()) for text in attributes]

    def is_called(self, parts, attributes):
        """Whether a name, given in parts, is this item's."""
        own = len(self.names)
        if len(parts) < own or any(part not in name for part, name in zip(parts[-own:], self.names)):
            return False
        modules = iter(self.modules)
        return (all(any(part in module for module in modules) for part in parts[:-own])
                and all(any(mark.startswith(text) for mark in self.attributes) for text in attributes))


def folders(path):
    """The qualifiers that the name of an item of this file may have in front."""
    return [{part} for part in path.parts[:-1]] + [{path.name, path.stem}]


def blank(text, match):
    """White space in place of a match, but for its line ends."""
    return re.sub(r"[^\n]", " ", text[match.start():match.end()])


def rust_mask(text):
    """The text, with comments and literals blanked."""
    out, at = [], 0
    while match := RUST_OPAQUE.search(text, at):
        end = match.end()
        if match["comment"]:
            # They nest.
            depth = 1
            while depth and (mark := re.compile(r"/\*|\*/").search(text, end)):
                depth += 1 if mark[0] == "/*" else -1
                end = mark.end()
            end = end if not depth else len(text)
        out += [text[at:match.start()], re.sub(r"[^\n]", " ", text[match.start():end])]
        at = end
    return "".join(out) + text[at:]


def closed(mask, at, end):
    """Where the bracket at `at` is closed, and one further."""
    depth = 0
    for mark in re.compile(r"[()\[\]{}]").finditer(mask, at, end):
        depth += 1 if mark[0] in CLOSING else -1
        if depth == 0:
            return mark.end()
    return end


def upto(mask, at, end, stops):
    """The first of `stops` that is in no brackets, or the end."""
    while match := re.compile(r"[()\[\]{};]").search(mask, at, end):
        if match[0] in stops:
            return match.start()
        at = closed(mask, match.start(), end) if match[0] in CLOSING else match.end()
    return end


def type_names(text):
    """The names of the type or trait of an impl: without its generics, or as it is written."""
    written = "".join(text.split())
    text = text.replace("->", "  ")
    while "<" in text and (shorter := re.sub(r"<[^<>]*>", "", text)) != text:
        text = shorter
    words = re.findall(r"\w+", text.split("::")[-1])
    return {words[-1] if words else written, written}


def impl_names(header):
    """The names of an implementation: one or more, from the text between `impl` and `{`."""
    header = header.strip()
    if header.startswith("<"):
        depth = 0
        for at, char in enumerate(header):
            depth += (char == "<") - (char == ">" and header[at - 1] not in "-=")
            if depth == 0:
                header = header[at + 1:]
                break
    header = re.split(r"\bwhere\b", header)[0]
    what, is_trait, target = header.partition(" for ")
    if not is_trait:
        return type_names(what)
    return {f"{a} for {b}" for a in type_names(what) for b in type_names(target)}


def rust_items(path, text):
    """The items of a Rust file, those of its inner modules, impls, traits and macro calls, too."""
    mask = rust_mask(text)
    found = []

    def region(at, end, owner, modules, around):
        while at < end:
            if mask[at].isspace():
                at += 1
                continue
            begin, attributes = at, list(around)
            while attribute := re.compile(r"#\s*(!?)\s*(?=\[)").match(mask, at, end):
                at = closed(mask, attribute.end(), end)
                if attribute[1]:
                    begin = at
                else:
                    attributes.append(text[attribute.start():at])
                while at < end and mask[at].isspace():
                    at += 1
            if block := RUST_EXTERN.match(mask, at, end):
                at = closed(mask, block.end(), end)
                region(block.end() + 1, at - 1, owner, modules, attributes)
                continue
            match = RUST_ITEM.match(mask, at, end)
            if not match:
                # Nothing that has a name, as in a macro's arguments.
                at = closed(mask, at, end) if mask[at] in CLOSING else at + 1
                continue
            # It ends at a brace, if there is one before the semicolon.
            braced = match["kind"] not in ("const", "static", "type") and not match["use"]
            brace = upto(mask, match.end(), end, "{;" if braced else ";")
            at = closed(mask, brace, end) if mask[brace:brace + 1] == "{" else min(brace + 1, end)
            inner = brace + 1, at - 1
            if match["call"]:
                region(*inner, owner, modules, attributes)
            elif match["macro"]:
                found.append(Item(path, (begin, at), [{match["macro"] + "!"}], modules, attributes))
            elif match["impl"]:
                names = impl_names(mask[match.end():brace])
                found.append(Item(path, (begin, at), [{f"impl {name}" for name in names}],
                                  modules, attributes))
                region(*inner, [names], modules, attributes)
            elif match["kind"]:
                names = [*owner, {match["name"]}]
                found.append(Item(path, (begin, at), names, modules, attributes))
                if match["kind"] == "mod" and mask[brace:brace + 1] == "{":
                    region(*inner, [], [*modules, {match["name"]}], attributes)
                elif match["kind"] == "trait":
                    region(*inner, names, modules, attributes)

    region(0, len(text), [], [], [])
    return found


def c_items(path, text):
    """The functions, macros, variables with a value and types of a C file."""
    found = []
    mask = C_OPAQUE.sub(lambda match: blank(text, match), text)
    # The conditions that hold from each directive on.
    conditions, changes = [], [(0, ())]
    for match in C_DIRECTIVE.finditer(mask):
        word = re.match(r"\s*#\s*(\w*)", match[0])[1]
        if word == "define":
            name = re.match(r"\s*#\s*define\s+(\w+)", match[0])[1]
            found.append(Item(path, match.span(), [{name}], (), conditions))
            continue
        if conditions and word in ("else", "elif", "endif"):
            conditions.pop()
        if word in ("if", "ifdef", "ifndef", "elif", "else"):
            conditions.append(match[0])
        changes.append((match.start(), tuple(conditions)))
    mask = C_DIRECTIVE.sub(lambda match: blank(mask, match), mask)

    begin = at = 0
    while match := re.compile(r"[{;(\[]").search(mask, at):
        at = match.end()
        if match[0] in "([":
            at = closed(mask, match.start(), len(mask))
            continue
        head = mask[begin:match.start()]
        # Without the text in brackets.
        flat = re.sub(r"\{.*\}|\[[^\]]*\]", " ", head, flags=re.S)
        while (shorter := re.sub(r"\([^()]*\)", "@", flat)) != flat:
            flat = shorter
        calls = re.findall(r"(\w+)\s*@", flat)
        is_function = match[0] == "{" and calls and "=" not in flat
        if match[0] == "{":
            # A brace in the first column ends the item, also where the two sides of
            # an #if each open one.
            last = re.compile(r"^\}", re.M).search(mask, at)
            line = mask.find("\n", at)
            same = closed(mask, match.start(), len(mask))
            at = same if same <= line or not last else last.end()
            if not is_function:
                continue
        elif not flat.strip():
            begin = at
            continue
        start = begin + len(head) - len(head.lstrip())
        name = None
        if is_function:
            name = next((call for call in calls if not call.startswith("__")), calls[0])
        elif kind := re.match(r"\s*(?:typedef\s+)?((?:struct|union|enum)\s+\w+)\s*\{", head):
            name = " ".join(kind[1].split())
        elif "=" in flat or ("@" not in flat and "extern" not in flat and "{" in head):
            name = re.findall(r"\w+", flat.partition("=")[0])[-1:]
            name = name[0] if name else None
        if name:
            around = [held for change, held in changes if change <= start][-1]
            found.append(Item(path, (start, at), [{name}], (), around))
        begin = at
    return found


def shell_items(path, text):
    """The functions of a shell script, whose last brace is in the first column."""
    mask = HERE_DOCUMENT.sub(lambda match: blank(text, match), text)
    found = []
    for match in SHELL_FUNCTION.finditer(mask):
        line = mask.find("\n", match.end())
        line = len(mask) if line < 0 else line
        if not mask[match.end():line].rstrip().endswith((" }", ";}", ")")):
            last = re.compile(r"^[})][^\n]*", re.M).search(mask, line)
            line = last.end() if last else len(mask)
        found.append(Item(path, (match.start(), line), [{match[1]}]))
    return found


def python_items(path, text):
    """The functions and classes of a Python file, and the methods of these."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []

    def region(nodes, owner):
        for node in nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
                name = owner + node.name
                found.append(Item(path, (starts[first - 1], starts[node.end_lineno]), [{name}]))
                if isinstance(node, ast.ClassDef):
                    region(node.body, name + ".")

    region(ast.parse(text).body, "")
    return found


def language(path, first):
    """The function that finds the items of a file, by its name or its first line, or None."""
    if path.suffix == ".rs":
        return rust_items
    if path.suffix in (".c", ".h"):
        return c_items
    if path.suffix == ".py" or re.match(r"#!.*python", first):
        return python_items
    if path.suffix == ".sh" or re.match(r"#!.*sh\b|# shellcheck shell=", first):
        return shell_items
    return None


def files(folder):
    """The sources below a folder, by their paths in it."""
    for path, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not LEFT_OUT.search(name)]
        for name in names:
            if not LEFT_OUT.search(name):
                yield (pathlib.Path(path) / name).relative_to(folder)


def read(path):
    """The text of a file, with its line ends as they are."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def write(path, text):
    """The other way."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


class Tree:
    """All items of a source tree."""

    def __init__(self, root):
        self.items = []
        self.texts = {}
        for path in sorted(files(root)):
            try:
                text = self.texts[path] = read(root / path)
            except UnicodeDecodeError:
                continue
            self.items.append(Item(path, (0, len(text)), [{path.name}]))
            # That is the item's own name already.
            self.items[-1].modules.pop()
            if parse := language(path, text.partition("\n")[0]):
                self.items += parse(path, text)

    def find(self, name):
        """The one item of that name."""
        attributes = ["".join(text.split()) for text in CONDITION.findall(name)]
        # The colons within generics are no separators.
        parts = re.split(r"::(?![^<]*>)", CONDITION.sub("", name).lstrip(": "))
        parts = [re.sub(r"\s+", " ", part) for part in parts]
        found = [item for item in self.items if item.is_called(parts, attributes)]
        # A file at the top has no folder that tells it from others.
        at_the_top = [item for item in found if str(item.path) == name]
        found = at_the_top or found
        if not found:
            raise Unclear(f"there is no item {name}")
        if len(found) > 1:
            raise Unclear(f"{len(found)} items are called {name}, in "
                          + ", ".join(str(item.path) for item in found))
        return found[0]

    def place(self, name, old):
        """The path of an item, and where `old` is in that file."""
        item = self.find(name)
        spans = occurrences(self.texts[item.path], item.start, item.end, old)
        if len(spans) != 1:
            raise Unclear(f"{len(spans)} such places in {name} ({item.path})")
        return item.path, spans[0]


def occurrences(text, start, end, wanted):
    """Where the same tokens are, between start and end."""
    tokens = list(TOKEN.finditer(text, start, end))
    key = [token[0] for token in TOKEN.finditer(wanted)]
    if not key:
        return []
    return [(tokens[at].start(), tokens[at + len(key) - 1].end())
            for at in range(len(tokens) - len(key) + 1)
            if tokens[at][0] == key[0]
            and [token[0] for token in tokens[at:at + len(key)]] == key]
