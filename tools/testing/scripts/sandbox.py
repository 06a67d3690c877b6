# SPDX-License-Identifier: GPL-2.0
"""scripts/sandbox and scripts/keep.sh."""

import os
import shutil
import signal
import subprocess

from weather import NOBODY, NO_NETWORK, BadWeather

MMDEBSTRAP = """
for last; do :; done
mkdir -p "$last/etc" && echo whole >"$last/etc/whole"
"""


class Sandbox(BadWeather):
    def setUp(self):
        super().setUp()
        self.stub("mmdebstrap", MMDEBSTRAP)

    def test_is_made_once(self):
        self.assert_ok(self.run_script("sandbox", "--prepare"))
        self.stub("mmdebstrap", NO_NETWORK)
        self.assert_ok(self.run_script("sandbox", "--prepare"))
        self.assertEqual([name.split("/", 1)[1] for name in self.kept()], ["etc/whole"])

    def test_no_network(self):
        self.stub("mmdebstrap", NO_NETWORK)
        self.assert_fails(self.run_script("sandbox", "true"), "is the network there?",
                          "could not make sandbox-")
        self.assertEqual((self.top / "slept").read_text().split(), ["3", "10"])
        self.assertEqual(self.kept(), [])
        self.assert_nothing_half()

    def test_network_comes_back(self):
        self.stub("mmdebstrap", f"""
echo half >"$(for last; do :; done; echo "$last")/half"
[ -e {self.top}/tried ] || {{ : >{self.top}/tried; exit 100; }}
{MMDEBSTRAP}""" + 'rm "$last/half"')
        self.assert_ok(self.run_script("sandbox", "--prepare"))
        self.assertEqual([name.split("/", 1)[1] for name in self.kept()], ["etc/whole"])

    def test_a_failed_try_leaves_nothing_to_the_next(self):
        self.stub("mmdebstrap", f"""
for last; do :; done
[ -z "$(ls "$last")" ] || : >{self.top}/found-leftovers
echo half >"$last/half"
exit 100""")
        self.assert_fails(self.run_script("sandbox", "true"))
        self.assertFalse((self.top / "found-leftovers").exists())

    def test_no_space_is_said_first(self):
        result = self.run_script("sandbox", "true", within=[
            "unshare", "--mount", "sh", "-c",
            'busybox mount -t tmpfs -o size=1m none "$VMAPCACHE_CACHE" && "$@"; status=$?; '
            'ls -A "$VMAPCACHE_CACHE"; exit $status', "sh"])
        self.assert_fails(result, "not enough room", "VMAPCACHE_CACHE=")
        self.assertEqual(result.stdout.split(), ["unfinished"])

    def test_no_space_left_on_the_way(self):
        self.stub("df", "printf 'x\\nx x x 99999\\n'")
        self.stub("mmdebstrap", MMDEBSTRAP + 'head -c 3000000 /dev/zero >"$last/half"')
        result = self.run_script("sandbox", "true", within=[
            "unshare", "--mount", "sh", "-c",
            'busybox mount -t tmpfs -o size=1m none "$VMAPCACHE_CACHE" && "$@"; status=$?; '
            'find "$VMAPCACHE_CACHE" -name half; exit $status', "sh"])
        self.assert_fails(result, "no space left", "could not make sandbox-")
        self.assertEqual(result.stdout, "")

    def test_interrupted(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL:
            with self.subTest(signal=number.name):
                self.stub("mmdebstrap", f"""
for last; do :; done
[ -e {self.top}/hung ] || {{ echo half >"$last/half"; : >{self.top}/hung; exec /bin/sleep 60; }}
{MMDEBSTRAP}""")
                self.interrupt(number, "sandbox", "--prepare")
                self.assertEqual(self.kept(), [])
                if number != signal.SIGKILL:
                    self.assert_nothing_half()
                self.assert_ok(self.run_script("sandbox", "--prepare"))
                self.assertEqual([name.split("/", 1)[1] for name in self.kept()], ["etc/whole"])
                self.assert_nothing_half()
                shutil.rmtree(self.cache)
                self.cache.mkdir()
                (self.top / "hung").unlink()

    def test_tree_and_cache_are_seen_in_it(self):
        # This tree and its cache lie in /tmp, over which the sandbox mounts a /tmp of its own. An
        # ordinary user's PATH has no chroot.
        self.path = "/usr/bin:/bin"
        self.stub("mount", 'exec busybox mount "$@"')
        self.stub("mmdebstrap", """
for last; do :; done
cd "$last" && mkdir -p bin dev etc proc run tmp usr/bin etc/ssl/certs
: >etc/resolv.conf >etc/ssl/certs/ca-certificates.crt
cp "$(command -v busybox)" bin/busybox
cat >usr/bin/env <<'END'
#!/bin/busybox sh
for word; do
	case $word in -* | *=*) shift ;; *) break ;; esac
done
exec "$@"
END
chmod +x usr/bin/env""")
        result = self.run_script("sandbox", "/bin/busybox", "ls", self.scripts / "sandbox",
                                 self.cache / "home")
        self.assert_ok(result)
        self.assertIn(str(self.scripts / "sandbox"), result.stdout)
        self.assertIn("cargo", result.stdout)
        result = self.run_script("sandbox", "/bin/busybox", "touch", "/etc/written")
        self.assert_fails(result, "Read-only file system")

    def test_two_at_a_time_make_it_once(self):
        self.stub("mmdebstrap", f'echo once >>{self.top}/made; /bin/sleep 0.5; {MMDEBSTRAP}')
        runs = [subprocess.Popen([self.scripts / "sandbox", "--prepare"], env=self.environment(),
                                 stderr=subprocess.DEVNULL) for _ in range(3)]
        self.assertEqual([run.wait(timeout=30) for run in runs], [0, 0, 0])
        self.assertEqual((self.top / "made").read_text(), "once\n")

    def only(self, *tools):
        """A host with these tools alone."""
        (self.stubs / "mmdebstrap").unlink()
        self.path = str(self.top / "host")
        os.mkdir(self.path)
        for tool in ("sh", "bash", "env", "dirname", "basename", "cat", "sed", "cut", "sha256sum",
                     "id", "mkdir", "rm", "mv", "find", "df", "awk", "uname", "getent", "tr",
                     "setpriv", "sync", "date", "wc", "tail", "cp", "head", *tools):
            os.symlink(shutil.which(tool), f"{self.path}/{tool}")

    def test_missing_tools_are_named(self):
        self.only("flock")
        self.assert_fails(self.run_script("sandbox", "true"), "lacks: mmdebstrap unshare")
        self.assertEqual(self.kept(), [])

    def test_ordinary_user_is_told_what_is_missing(self):
        self.only("flock", "unshare")
        os.chmod(self.top, 0o755)
        os.chown(self.cache, NOBODY, NOBODY)
        result = self.run_script("sandbox", "true", within=[
            "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"])
        self.assert_fails(result, "lacks: mmdebstrap uidmap")

    def test_root_gets_mmdebstrap_installed(self):
        self.only("flock", "unshare", "chmod")
        (self.top / "new-mmdebstrap").write_text("#!/bin/sh\n" + MMDEBSTRAP)
        self.stub("apt-get", f"""
case "$*" in
	*update*) : >{self.top}/updated; exit ;;
esac
[ -e {self.top}/updated ] || exit 100
cp {self.top}/new-mmdebstrap {self.stubs}/mmdebstrap
chmod +x {self.stubs}/mmdebstrap""")
        self.assert_ok(self.run_script("sandbox", "--prepare"))
        self.assertEqual([name.split("/", 1)[1] for name in self.kept()], ["etc/whole"])

    def test_root_without_network_is_told_so(self):
        self.only("flock", "unshare")
        self.stub("apt-get", NO_NETWORK)
        self.assert_fails(self.run_script("sandbox", "true"), "is the network there?",
                          "lacks: mmdebstrap")
