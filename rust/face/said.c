// SPDX-License-Identifier: GPL-2.0
/*
 * Reports in the kernel log: misuse, failures, leaks. In C, since only printk can name
 * a code address.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "face.h"

/* Reports of one kind in 5 s. All are counted. */
#define MISUSES_IN_A_ROW	3

static const char * const misuses[] = {
	[VC_MISUSE_FOREIGN] = "free of an address outside of the arena",
	[VC_MISUSE_NO_AREA] = "free of an address without an area",
	[VC_MISUSE_INNER] = "free of an address inside an area",
	[VC_MISUSE_DOUBLE_FREE] = "double free",
	[VC_MISUSE_BAD_UNPIN] = "unpin without a pin",
	[VC_MISUSE_COUNT] = "vm_unmap_ram() with another page count than vm_map_ram()",
	[VC_MISUSE_ZERO_SIZE] = "allocation of no bytes",
};

/**
 * vc_code_name() - name a code address for printk
 * @addr: the address
 * @name: has room for VC_SYMBOL_NAME bytes
 *
 * "%pS" would show an address that has no symbol.
 *
 * Context: Any.
 * Return: @name, or a text.
 */
const char *vc_code_name(unsigned long addr, char *name)
{
	return vc_symbol_name(addr, name) ? name : "unknown code";
}

/**
 * vc_report_misuse() - report a caller's error, each kind at a limited rate
 * @misuse: its kind
 * @addr: the address that the caller passed
 * @caller: the code that called
 *
 * Context: Any.
 */
void vc_report_misuse(enum vc_misuse misuse, unsigned long addr, unsigned long caller)
{
	/* So one buggy driver does not hide another one's bug of another kind. */
	static struct ratelimit_state limits[ARRAY_SIZE(misuses)] = {
		[0 ... ARRAY_SIZE(misuses) - 1] =
			RATELIMIT_STATE_INIT_FLAGS(misuse, DEFAULT_RATELIMIT_INTERVAL,
						   MISUSES_IN_A_ROW, RATELIMIT_MSG_ON_RELEASE),
	};
	char name[VC_SYMBOL_NAME];

	if (misuse >= ARRAY_SIZE(misuses) || !__ratelimit(&limits[misuse]))
		return;
	pr_warn("%s: %p by %s; it has no effect\n", misuses[misuse], (void *)addr,
		vc_code_name(caller, name));
}

/**
 * vc_report_failure_now() - whether to report a failed allocation
 *
 * This limits the rate, so that the caller gathers no numbers without a report.
 *
 * Context: Any.
 */
bool vc_report_failure_now(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&limit);
}

/**
 * vc_report_failure() - say why an allocation failed
 * @failure: the request, and the state of the arena as debugfs info shows it
 *
 * Context: Any.
 */
void vc_report_failure(const struct vc_failure *failure)
{
	gfp_t gfp = failure->gfp;
	char name[VC_SYMBOL_NAME];

	pr_warn("allocation %s (%s): size %lu, align %lu, flags %pGg, for %s; largest free extent %lu of %lu free bytes, fragmentation %u%%, %lu bytes lazy\n",
		failure->waits ? "waits" : "failed", failure->reason, failure->size,
		failure->align, &gfp, vc_code_name(failure->caller, name),
		failure->largest_pages * PAGE_SIZE, failure->free_pages * PAGE_SIZE,
		failure->fragmentation, failure->lazy_pages * PAGE_SIZE);
}

/**
 * vc_report_leak() - an area that its owner did not free before the module goes
 * @size: bytes
 * @caller: the number of the caller that allocated it
 * @pins: its pins
 *
 * Context: Any.
 */
void vc_report_leak(unsigned long size, unsigned int caller, unsigned int pins)
{
	char name[VC_SYMBOL_NAME];

	pr_warn("leaked area of %lu bytes, allocated by %s, %u pins: unmapped\n",
		size, vc_caller_name(caller, name) ? name : "[gone module]", pins);
}

/**
 * vc_tell_holder() - somebody still holds areas that takeover made
 * @caller: the number of the caller that allocated them
 * @areas: how many
 *
 * Context: Any.
 */
void vc_tell_holder(unsigned int caller, unsigned long areas)
{
	char name[VC_SYMBOL_NAME];

	pr_info("takeover: %lu areas of %s\n", areas,
		vc_caller_name(caller, name) ? name : "[gone module]");
}
