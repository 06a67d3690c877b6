# SPDX-License-Identifier: GPL-2.0
"""Sound and video without hardware."""

import struct
import time
from pathlib import Path

from .machine import WORK, check, collection, finish, run, wait

USES, use = collection()


@use("snd-pcm")
def snd_pcm(at):
    """Sound played on one end of a loop and recorded on the other, from buffers mapped to user space."""
    at.load("snd-aloop", "pcm_substreams=1", "timer_source=")
    wait(lambda: Path("/dev/snd/pcmC0D0p").exists(), "no sound device appears")
    rate, seconds = 8000, 3
    samples = [index % 30000 + 1 for index in range(rate * seconds)]
    played, recorded = WORK / "played", WORK / "recorded"
    played.write_bytes(struct.pack(f"<{len(samples)}h", *samples))
    words = ("-q", "-M", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate), "--buffer-size=8000")
    recorder = at.start("arecord", *words, "-D", "hw:0,1", "-d", str(seconds + 3), recorded)
    time.sleep(1)
    run("aplay", *words, "-D", "hw:0,0", played)
    finish(recorder)
    data = recorded.read_bytes()
    heard = struct.unpack(f"<{len(data) // 2}h", data)
    start = heard.index(1)
    check(list(heard[start:start + len(samples) // 2]) == samples[:len(samples) // 2],
          "other samples are recorded than were played")


def video(name):
    """The node of a driver, by the name that it tells."""

    def nodes():
        return [node.name for node in Path("/sys/class/video4linux").glob("video*")
                if (node / "name").read_text(encoding="utf-8").startswith(name)]

    wait(nodes, f"no node of {name} appears")
    return f"/dev/{sorted(nodes())[0]}"


@use("vivid", "videobuf2-vmalloc")
def vivid(at):
    """Frames of a test pattern, captured twice."""
    at.load("vivid", "n_devs=1", "node_types=0x1", "no_error_inj=1")
    node = video("vivid")
    shots = []
    for name in "first", "second":
        file = WORK / f"frames-{name}"
        run("v4l2-ctl", "-d", node, "--set-fmt-video=width=320,height=180,pixelformat=YUYV",
            "--set-ctrl=osd_text_mode=2", "--stream-mmap", "--stream-count=1", f"--stream-to={file}")
        shots.append(file.read_bytes())
    check(len(shots[0]) == 320 * 180 * 2, f"a frame has {len(shots[0])} bytes")
    check(len(set(shots[0][i:i + 4] for i in range(0, 640, 4))) >= 4, "the frame shows no pattern")
    check(shots[0] == shots[1], "the same pattern gives two frames")
