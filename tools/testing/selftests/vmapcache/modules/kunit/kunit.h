/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit suites call in C.
 */
#ifndef VMAPCACHE_KUNIT_H
#define VMAPCACHE_KUNIT_H

#include "sys.h"

void vc_kunit_fail(const char *file, int line, const char *message);
void vc_kunit_say(const char *message);
void vc_kunit_run_on(unsigned int number);
void vc_kunit_atomic(bool atomic);
void vc_kunit_may_sleep(void);
void vc_kunit_yield(void);

#endif /* VMAPCACHE_KUNIT_H */
