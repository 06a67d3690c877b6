# SPDX-License-Identifier: GPL-2.0
"""build/report.html in a real browser: wide and on a telephone, light and dark. The pictures stay in build/check."""

import collections
import json
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

from program import Program, RECORDED, ROOT, TOOL
from weather import SCRIPTS

PICTURES = ROOT / "build/check"
WIDTHS = {"wide": 1280, "telephone": 390}
# The background of either: style.css says so.
PAPER = {"light": (255, 255, 255), "dark": (0x16, 0x16, 0x16)}
# The browser says by itself what it has made of the page.
MEASURE = """<script>
const box = element => element.getBoundingClientRect();
const outside = [], covered = []; // or so close that two read as one
for (const svg of document.querySelectorAll("svg")) {
    const frame = box(svg), texts = [...svg.querySelectorAll("text")];
    const title = svg.parentElement.querySelector("h3").textContent;
    for (const text of texts) {
        const place = box(text);
        if (place.left < frame.left - 1 || place.right > frame.right + 1 || place.top < frame.top - 1 ||
            place.bottom > frame.bottom + 1)
            outside.push(title + ": " + text.textContent.trim());
    }
    for (let i = 0; i < texts.length; i++)
        for (let j = 0; j < i; j++) {
            const [a, b] = [box(texts[i]), box(texts[j])];
            if (a.left < b.right + 3 && b.left < a.right + 3 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
                covered.push(title + ": " + texts[j].textContent.trim() + " and " + texts[i].textContent.trim());
        }
}
document.title = "measured " + JSON.stringify({
    width: document.documentElement.scrollWidth, window: innerWidth, outside, covered,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    titles: [...document.querySelectorAll("figure h3")].map(title => title.textContent),
});
</script>"""


def pixels(path):
    """Width, height, and the colours of a PNG by how often they come."""
    data = path.read_bytes()
    at, packed, head = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    width, height, depth, colour, *_ = head
    size = {2: 3, 6: 4}[colour]
    if depth != 8:
        raise ValueError(f"{path}: {depth} bits")
    raw, row, seen = zlib.decompress(packed), bytes(width * size), collections.Counter()
    for number in range(height):
        start = number * (width * size + 1)
        row = line(raw[start], bytearray(raw[start + 1:start + 1 + width * size]), row, size)
        # Each fourth line tells enough.
        if number % 4 == 0:
            seen.update(zip(row[0::size], row[1::size], row[2::size]))
    return width, height, seen


def line(method, row, above, size):
    """A line of a PNG, from the differences that it is kept as."""
    for at, value in enumerate(row):
        left = row[at - size] if at >= size else 0
        up = above[at]
        if method == 1:
            row[at] = (value + left) & 255
        elif method == 2:
            row[at] = (value + up) & 255
        elif method == 3:
            row[at] = (value + (left + up) // 2) & 255
        elif method == 4:
            corner = above[at - size] if at >= size else 0
            guess = left + up - corner
            row[at] = (value + min((left, up, corner), key=lambda one: abs(guess - one))) & 255
    return row


class Pages(Program):
    """A person who opens the page."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = subprocess.run([SCRIPTS / "browser"], cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if made.returncode:
            raise unittest.SkipTest(f"no browser: {made.stderr.strip().splitlines()[-1]}")
        cls.browser = made.stdout.strip()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        kept = pathlib.Path(folder.name)
        cls.page = kept / "report.html"
        # As the laboratory gives them since then.
        bench = json.loads((RECORDED / "bench.json").read_text(encoding="utf-8"))
        for record in bench:
            record["quantiles_ns"] = {share: record["p50_ns"] * (1 + int(share) / 5000) for share in (
                "100", "1000", "2500", "5000", "7500", "9000", "9900", "9990", "9999")}
        new = kept / "bench.json"
        new.write_text(json.dumps(bench), encoding="utf-8")
        data = [RECORDED / "native.json", new, RECORDED / "live.json"]
        subprocess.run([TOOL, "report", "--compare", data[1], "-o", cls.page, *data], check=True,
                       stdout=subprocess.DEVNULL)
        PICTURES.mkdir(parents=True, exist_ok=True)

    def open(self, look, width, height, *words, page):
        """What the browser prints."""
        done = subprocess.run(
            [self.browser, f"--window-size={width},{height}", f"--user-data-dir={self.folder / 'profile'}",
             f"--blink-settings=preferredColorScheme={int(look == 'light')}", *words, page.as_uri()],
            check=True, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder)})
        shutil.rmtree(self.folder / "profile", ignore_errors=True)
        return done.stdout

    def measured(self, look, width):
        page = self.folder / "measured.html"
        text = self.page.read_text(encoding="utf-8")
        page.write_text(text.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
        dom = self.open(look, width, 900, "--dump-dom", page=page)
        return json.loads(re.search(r"<title>measured (\{.*?\})</title>", dom)[1].replace("&amp;", "&"))

    def test_all_is_there_and_fits(self):
        for name, width in WIDTHS.items():
            for look in PAPER:
                with self.subTest(name=name, look=look):
                    said = self.measured(look, width)
                    self.assertEqual((said["window"], said["dark"]), (width, look == "dark"))
                    self.assertLessEqual(said["width"], width, "the page is wider than the window")
                    self.assertEqual((said["outside"], said["covered"]), ([], []))
        for title in ("Ratios: the fast path", "Ratios on real cores", "Latency: va_only 1p",
                      "Latency of single operations", "Growth with live areas: va_only, 1 page",
                      "Growth with threads: 1 page", "What each idea is worth", "How far from the limit",
                      "Locks that CPUs share", "Ratios of instructions, 1 CPU"):
            self.assertTrue(any(one.startswith(title) for one in said["titles"]), f"{title}: {said['titles']}")

    def test_pictures_show_it(self):
        for name, width in WIDTHS.items():
            for look, paper in PAPER.items():
                with self.subTest(name=name, look=look):
                    picture = PICTURES / f"page-{name}-{look}.png"
                    picture.unlink(missing_ok=True)
                    self.open(look, width, 2400, f"--screenshot={picture}", page=self.page)
                    wide, _, seen = pixels(picture)
                    self.assertEqual(wide, width)
                    # On a telephone, figures and notes on cards of their own take most of it.
                    self.assertIn(paper, [colour for colour, _ in seen.most_common(2)])
                    # The colours of both sides, as a light and a dark page have them.
                    ours = (0x00, 0x72, 0xb2) if look == "light" else (0x56, 0xb4, 0xe9)
                    for colour in (ours, (0xe6, 0x9f, 0x00), (0x00, 0x9e, 0x73)):
                        self.assertGreater(seen[colour], 20, f"{colour} is not seen")
