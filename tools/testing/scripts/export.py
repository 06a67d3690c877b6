# SPDX-License-Identifier: GPL-2.0
"""`vmapcache export` on recorded files of the module, as Prometheus and node_exporter meet it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from program import Program, RECORDED, TOOL

OPENMETRICS = "application/openmetrics-text"


class Export(Program):
    """A server, and a writer of files."""

    def start(self, *words, source=RECORDED):
        """The program, while it runs."""
        program = subprocess.Popen([TOOL, "export", "--from", source, *words], stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(program.wait)
        self.addCleanup(program.stderr.close)
        self.addCleanup(program.kill)
        return program

    def serve(self, source=RECORDED):
        """The same, and where it serves."""
        program = self.start("--listen", "127.0.0.1:0", source=source)
        said = program.stderr.readline()
        self.assertTrue(said.startswith("vmapcache: http://127.0.0.1:"), said)
        return program, said.split()[1]

    def get(self, url, accept="*/*"):
        """Status, type and text of an answer."""
        request = urllib.request.Request(url, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    def copies(self):
        """A folder with the module's files."""
        copies = self.folder / "copies"
        shutil.copytree(RECORDED, copies)
        return copies

    def wait_for(self, what, seconds=30):
        end = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), end, "never came")
            time.sleep(0.1)
        return found

    def program(self, name):
        found = shutil.which(name, path=os.environ.get("PROMETHEUS", os.environ["PATH"]))
        if not found:
            self.skipTest(f"no {name} (Debian's package prometheus)")
        return found

    def test_both_formats_are_served_until_a_signal(self):
        program, url = self.serve()
        for _ in range(2):
            status, kind, text = self.get(url)
            self.assertEqual((status, kind.split(";")[0]), (200, "text/plain"))
            self.assertIn("\n# TYPE vmapcache_allocations_total counter\nvmapcache_allocations_total 130\n", text)
        status, kind, text = self.get(url, OPENMETRICS + ";version=1.0.0")
        self.assertEqual((status, kind.split(";")[0]), (200, OPENMETRICS))
        self.assertTrue(text.endswith("\n# EOF\n"), text[-80:])
        self.assertEqual(self.get(url.replace("/metrics", "/x"))[0], 404)
        refused = subprocess.run([TOOL, "export", "--listen", url.split("/")[2]], check=False, capture_output=True,
                                 text=True, timeout=20)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("in use", refused.stderr)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(20), 143)
        program, _ = self.serve()
        program.send_signal(signal.SIGINT)
        self.assertEqual(program.wait(20), 0)

    def test_a_module_that_goes_and_comes_back(self):
        copies = self.copies()
        _, url = self.serve(copies)
        self.assertEqual(self.get(url)[0], 200)
        copies.rename(self.folder / "away")
        status, _, text = self.get(url)
        self.assertEqual(status, 503)
        self.assertIn("stats", text)
        (self.folder / "away").rename(copies)
        self.assertEqual(self.get(url)[0], 200)

    def test_nobody_else_reaches_it_unless_told(self):
        _, url = self.serve()
        port = int(url.split(":")[2].split("/")[0])
        # All of 127.0.0.0/8 is this machine, and each is an address of its own.
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with self.assertRaises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass

    def test_files_are_whole_and_follow_the_module(self):
        copies = self.copies()
        target = self.folder / "textfile"
        target.mkdir()
        program = self.start("--textfile", target, "--seconds", "1", source=copies)
        file = target / "vmapcache.prom"
        self.wait_for(file.exists)
        self.assertIn("vmapcache_areas 93\n", file.read_text())
        stats = (copies / "stats").read_text()
        (copies / "stats.new").write_text(stats.replace("areas 93\n", "areas 94\n", 1))
        (copies / "stats.new").rename(copies / "stats")
        self.wait_for(lambda: "vmapcache_areas 94\n" in file.read_text())
        self.assertEqual([path.name for path in target.iterdir()], ["vmapcache.prom"])
        (copies / "stats").unlink()
        self.wait_for(lambda: not file.exists())
        time.sleep(2.5)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(20), 143)
        self.assertEqual(program.stderr.read().count("No such file"), 1, "said once")

    def test_promtool_has_nothing_to_say(self):
        promtool = self.program("promtool")
        subprocess.run([TOOL, "export", "--from", RECORDED, "--textfile", self.folder, "--once"], check=True)
        checked = subprocess.run([promtool, "check", "metrics"], check=False, capture_output=True, text=True,
                                 input=(self.folder / "vmapcache.prom").read_text())
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_prometheus_scrapes_it(self):
        prometheus = self.program("prometheus")
        _, url = self.serve()
        with socket.create_server(("127.0.0.1", 0)) as free:
            own = "127.0.0.1:%d" % free.getsockname()[1]
        config = self.folder / "prometheus.yml"
        config.write_text("scrape_configs:\n- job_name: vmapcache\n  scrape_interval: 1s\n  static_configs:\n"
                          f"  - targets: ['{url.split('/')[2]}']\n")
        server = subprocess.Popen([prometheus, f"--config.file={config}", f"--web.listen-address={own}",
                                   f"--storage.tsdb.path={self.folder / 'data'}"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)

        def ask(query):
            try:
                answer = self.get(f"http://{own}/api/v1/query?query={urllib.parse.quote(query)}")[2]
                return [float(one["value"][1]) for one in json.loads(answer)["data"]["result"]]
            except (OSError, ValueError, KeyError):
                return []

        scrapes = int(os.environ.get("SCRAPES", "10"))
        self.wait_for(lambda: ask("count_over_time(up[5m])") >= [scrapes], 60 + 2 * scrapes)
        self.assertEqual(ask("min_over_time(up[5m])"), [1])
        self.assertEqual(ask("vmapcache_areas"), [93])
        self.assertEqual(ask("increase(vmapcache_allocations_total[5m])"), [0])
        self.assertEqual(ask("sum(vmapcache_caller_live_bytes)"), [6909952])
        self.assertEqual(len(ask("vmapcache_build_info{version='0.2'}")), 1)
