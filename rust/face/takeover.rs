// SPDX-License-Identifier: GPL-2.0

//! Takeover: callers that know nothing of vmapcache get areas of the arena, as long as somebody wants that.
//!
//! C side: [`rust/face/takeover.c`](takeover.c), which has the hooks, and [`rust/face/filter.c`](filter.c).

use crate::{
    bindings::{self, export},
    face::{allocator::Allocator, published::with},
    va::count::{
        callers::{is_unaware, unaware},
        counters::Totals,
    },
};
use core::ffi::CStr;
use kernel::{
    error::{code::ENOMEM, to_result},
    ffi::c_ulong,
    page::PAGE_SHIFT,
    prelude::*,
};

// C makes and reads the mark by this bit alone, in addresses of the kernel.
const _: () = assert!(unaware(usize::MAX) == usize::MAX ^ bindings::VC_UNAWARE as usize);
const _: () = assert!(is_unaware(usize::MAX ^ bindings::VC_UNAWARE as usize));

/// Takeover can be turned on from now on. Dropping it takes the hooks off; takeover is off, or the module
/// could not go.
pub(crate) struct Takeover(());

impl Takeover {
    /// Nothing is hooked. The guards are on.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Drop for Takeover {
    fn drop(&mut self) {
        // SAFETY: The module goes, in task context. Nobody can turn takeover on any more.
        unsafe { bindings::vc_takeover_stop() };
    }
}

/// Whether takeover is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No, and there are no hooks.
    Unhooked,
    /// No, but the hooks are there.
    Off,
    /// Yes.
    On,
}

impl Mode {
    const ALL: [(Self, &'static str, bindings::vc_takeover_mode); 3] = [
        (
            Self::Unhooked,
            "unhooked",
            bindings::vc_takeover_mode_VC_TAKEOVER_UNHOOKED,
        ),
        (Self::Off, "off", bindings::vc_takeover_mode_VC_TAKEOVER_OFF),
        (Self::On, "on", bindings::vc_takeover_mode_VC_TAKEOVER_ON),
    ];

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(mode, _, _)| *mode == self)
            .map_or("?", |(_, word, _)| word)
    }

    /// The mode of that word.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known, _)| *known == word)
            .map(|(mode, _, _)| *mode)
    }

    /// The present mode. Sleeps.
    pub(crate) fn now() -> Self {
        // SAFETY: No precondition but task context.
        let now = unsafe { bindings::vc_takeover_get() };
        Self::ALL
            .iter()
            .find(|(_, _, known)| *known == now)
            .map_or(Self::Unhooked, |(mode, _, _)| *mode)
    }

    /// Makes it the present mode. Sleeps. The caller keeps the module loaded.
    ///
    /// # Errors
    ///
    /// After a line that says why.
    pub(crate) fn set(self) -> Result {
        let found = Self::ALL.iter().find(|(mode, _, _)| *mode == self);
        let (_, _, value) = found.ok_or(EINVAL)?;
        // SAFETY: No precondition but task context and the module, which the caller keeps.
        to_result(unsafe { bindings::vc_takeover_set(*value) })
    }
}

/// The targets of takeover, by the bits of [`what`].
pub(crate) fn targets() -> impl Iterator<Item = &'static CStr> {
    (0..).map_while(|index| {
        // SAFETY: `vc_takeover_target` takes any index.
        let name = unsafe { bindings::vc_takeover_target(index) };
        // SAFETY: It is a static string where it is not null.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    })
}

/// What is taken over: a bit for each of [`targets`].
pub(crate) fn what() -> u32 {
    // SAFETY: No precondition.
    unsafe { bindings::vc_takeover_what() }
}

/// Chooses what is taken over. Sleeps.
pub(crate) fn set_what(mask: u32) {
    // SAFETY: No precondition but task context.
    unsafe { bindings::vc_takeover_set_what(mask) };
}

/// A function that has a hook, and "on", or why not.
pub(crate) fn hooks() -> impl Iterator<Item = (&'static CStr, &'static CStr)> {
    (0..).map_while(|index| {
        let mut state = c"".as_char_ptr();
        // SAFETY: `vc_takeover_hook` takes any index, and sets `state` to a static string where it returns
        // one.
        unsafe {
            let name = bindings::vc_takeover_hook(index, &mut state);
            (!name.is_null()).then(|| (CStr::from_char_ptr(name), CStr::from_char_ptr(state)))
        }
    })
}

/// How many calls of a target met which fate.
pub(crate) fn calls(target: u32) -> impl Iterator<Item = (&'static CStr, u64)> {
    (0..).map_while(move |index| {
        let (mut fate, mut sum) = (c"".as_char_ptr(), 0);
        // SAFETY: `vc_takeover_calls` takes any numbers, and sets `fate` to a static string where it returns
        // true.
        unsafe {
            bindings::vc_takeover_calls(target, index, &mut fate, &mut sum)
                .then(|| (CStr::from_char_ptr(fate), sum))
        }
    })
}

/// Makes the kernel give back the stacks that it keeps for later. Sleeps.
pub(crate) fn drain(allocator: &Allocator) {
    // SAFETY: No precondition but task context.
    unsafe { bindings::vc_takeover_drain() };
    allocator.finish_deferred();
}

/// What unaware callers hold.
pub(crate) fn held(allocator: &Allocator) -> Totals {
    let mut sum = Totals::default();
    for caller in allocator.manager().unaware_callers() {
        sum.add(&caller.totals);
    }
    sum
}

/// Most callers that the kernel log names.
const NAMED: usize = 5;

fn tell_holders(allocator: &Allocator) {
    let held = held(allocator);
    pr_info!(
        "takeover is off; {} areas of {} bytes are still in use, and the module stays until they are freed\n",
        held.areas(),
        held.pages() << PAGE_SHIFT
    );
    let holders = allocator.manager().unaware_callers();
    for holder in holders.filter(|top| top.totals.areas() > 0).take(NAMED) {
        // SAFETY: No precondition.
        unsafe { bindings::vc_tell_holder(holder.caller, holder.totals.areas() as usize) };
    }
}

/// A filter that nobody uses yet.
pub(crate) struct Filter(*mut bindings::vc_filter);

impl Filter {
    /// A filter for that many rules. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(rules: usize) -> Result<Self> {
        // SAFETY: No precondition but task context.
        let filter = unsafe { bindings::vc_filter_new(rules as u32) };
        if filter.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(filter))
    }

    /// Adds a rule. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the name is too long, `ENOENT` if there is no such function.
    pub(crate) fn add(&mut self, name: &str, module: bool, exclude: bool) -> Result {
        let mut text = [0u8; bindings::VC_RULE_NAME as usize];
        let room = text.get_mut(..name.len()).ok_or(EINVAL)?;
        room.copy_from_slice(name.as_bytes());
        let name = CStr::from_bytes_until_nul(&text).map_err(|_| EINVAL)?;
        // SAFETY: The filter is ours alone, and the name is a string.
        let err = unsafe { bindings::vc_filter_add(self.0, name.as_char_ptr(), module, exclude) };
        to_result(err)
    }

    /// Lets it take effect. Sleeps.
    pub(crate) fn install(self) {
        let filter = self.0;
        core::mem::forget(self);
        // SAFETY: The filter is ours, and we give it away.
        unsafe { bindings::vc_filter_install(filter) };
    }

    /// Lets all callers pass. Sleeps.
    pub(crate) fn clear() {
        // SAFETY: No precondition but task context.
        unsafe { bindings::vc_filter_install(core::ptr::null_mut()) };
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: It was not installed.
        unsafe { bindings::vc_filter_free(self.0) };
    }
}

/// Calls `show` with the name of each rule in effect, whether that is a module's, and whether the rule
/// excludes. Sleeps.
pub(crate) fn rules(mut show: impl FnMut(&str, bool, bool)) {
    let mut index = 0;
    let mut text = [0u8; bindings::VC_RULE_NAME as usize];
    let (mut module, mut exclude) = (false, false);
    loop {
        // SAFETY: The room is as long as it must be, and the others are local variables.
        let len = unsafe {
            bindings::vc_filter_rule(index, text.as_mut_ptr().cast(), &mut module, &mut exclude)
        };
        match text.get(..len).map(core::str::from_utf8) {
            Some(Ok(name)) if len > 0 => show(name, module, exclude),
            _ => return,
        }
        index += 1;
    }
}

export! {
    fn vc_rs_has_number(caller: c_ulong) -> bool {
        with(|a| a.manager().has_number(caller as usize))
    }

    fn vc_rs_held() -> bool {
        with(|a| held(a).areas() != 0)
    }

    fn vc_rs_tell_holders() {
        with(tell_holders);
    }
}
