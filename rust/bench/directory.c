// SPDX-License-Identifier: GPL-2.0
/* Files of the laboratory in debugfs: as those of vmapcache.ko, in this module. */
#include "../face/files/directory.c"
