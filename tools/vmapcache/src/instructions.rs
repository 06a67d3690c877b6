// SPDX-License-Identifier: GPL-2.0

//! Instructions in place of time.
//!
//! `qemu -icount shift=0` makes the guest's clock count instructions, one a nanosecond. Then what
//! the laboratory measures as time is how many instructions an operation took, and repeats far
//! better than any time does.

use crate::{
    lab,
    machine::Machine,
    matrix::{self, Extent, SWITCHES},
    module,
    record::{self, Record},
    tables,
};
use std::{path::Path, thread::sleep, time::Duration};

/// Set in the environment by `scripts/vm --instructions`: nothing in the guest tells such a clock
/// from another one.
const VARIABLE: &str = "VMAPCACHE_ICOUNT";

/// Two counts of the same work that are further apart are no counts.
const MOST_APART: f64 = 0.02;

/// Adds counts to the results in `out` that are of the same work in the same setting, and shows
/// them. False where something was not measured, or does not repeat.
pub fn count(out: &Path, options: &module::Options) -> Result<bool, String> {
    if std::env::var_os(VARIABLE).is_none() {
        return Err("the clock counts no instructions here: scripts/vm --instructions".into());
    }
    let mut records = record::load(out)?;
    // Until the kernel has found its clock and settled.
    sleep(Duration::from_secs(8));
    let _module = module::Loaded::take(options)?;
    let machine = Machine::here();
    let lines = matrix::lines(Extent::Instructions, &lab::switches()?);
    let (first, mut trouble) = lab::measure(&lines, &machine)?;
    let (second, again) = lab::measure(&lines, &machine)?;
    trouble.extend(again);

    let mut apart: f64 = 0.0;
    for (a, b) in first.iter().zip(&second) {
        let (low, high) = (
            a.run_min_ns.min(b.run_min_ns),
            a.run_min_ns.max(b.run_min_ns),
        );
        apart = apart.max(high / low - 1.0);
        if high > low * (1.0 + MOST_APART) {
            trouble.push(format!(
                "{} of {}: {low} and {high} instructions",
                a.scenario, a.allocator
            ));
        }
        // Of several the first is the one with the module's own lazy_max_pages, which is another
        // one with another number of CPUs.
        let same = |r: &&mut Record| {
            r.allocator == a.allocator
                && r.same(a)
                && SWITCHES
                    .iter()
                    .all(|name| r.switches.get(*name) == a.switches.get(*name))
        };
        match records.iter_mut().find(same) {
            Some(record) => {
                record.instructions = Some(low);
                record.instruction_source = Some("icount".into());
            }
            None => trouble.push(format!(
                "{} has no {} of {} to count for",
                out.display(),
                a.scenario,
                a.allocator
            )),
        }
    }
    record::save(out, &records)?;
    tables::instructions(&records);
    println!("  counted twice: at most {:.2} % apart", apart * 100.0);
    for line in &trouble {
        println!("{line}");
    }
    Ok(trouble.is_empty())
}
