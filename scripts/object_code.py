# SPDX-License-Identifier: GPL-2.0
"""What the scripts that read object code share."""

import re
import subprocess

# The first line of a function, as objdump and llvm-objdump print it.
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")


def output(*command, **more):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout
