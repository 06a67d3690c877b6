// SPDX-License-Identifier: GPL-2.0

//! Instructions in place of time.
//!
//! `qemu -icount shift=0` makes the guest's clock count instructions, one a nanosecond. Then the
//! laboratory's times are numbers of instructions, which repeat far better than times do.

use crate::{
    lab,
    machine::Machine,
    matrix::{self, Extent, SWITCHES},
    module,
    record::{self, Record},
    table::wrapped,
    tables,
};
use std::{path::Path, thread::sleep, time::Duration};

/// Set in the environment by `scripts/vm --instructions`: nothing in the guest tells such a clock
/// from another one.
const VARIABLE: &str = "VMAPCACHE_ICOUNT";

/// Two counts of the same work are within this of each other.
const AGREE: f64 = 0.01;

/// Most counts of a line until two agree.
const MOST_TIMES: usize = 6;

/// All counts of the same work, in ascending order.
struct Count {
    of: Record,
    all: Vec<f64>,
}

impl Count {
    /// The count that another one confirms, and how far the two are apart.
    fn agreed(&self) -> Option<(f64, f64)> {
        nearest(&self.all)
    }

    /// Notes the count in a result of the same work.
    fn note(&self, record: &mut Record) {
        record.instructions = self.agreed().map(|(lower, _)| lower);
        record.instruction_source = Some("icount".into());
    }

    /// How far those two are apart.
    fn apart(&self) -> f64 {
        self.agreed().map_or(f64::INFINITY, |(_, apart)| apart)
    }
}

/// Of these counts, in ascending order, the two that are nearest to each other: the lower one, and their
/// distance. Not the two least: a single low count that no other confirms must not decide.
fn nearest(counts: &[f64]) -> Option<(f64, f64)> {
    counts
        .windows(2)
        .map(|pair| (pair[0], pair[1] / pair[0] - 1.0))
        .min_by(|one, other| one.1.total_cmp(&other.1))
}

/// Adds the counts of a pass over lines to those of earlier passes.
fn add(counts: &mut [Vec<Count>], pass: Vec<Vec<Record>>) {
    for (counts, records) in counts.iter_mut().zip(pass) {
        if counts.is_empty() {
            *counts = records
                .iter()
                .cloned()
                .map(|of| Count {
                    of,
                    all: Vec::new(),
                })
                .collect();
        }
        for (count, record) in counts.iter_mut().zip(records) {
            count.all.push(record.run_min_ns);
            count.all.sort_by(f64::total_cmp);
        }
    }
}

/// Counts, and shows the counts. Adds them to the results in `out` of the same work in the same setting,
/// if there is such a file. False if something was not measured, or does not repeat.
pub fn count(out: &Path, options: &module::Options) -> Result<bool, String> {
    if std::env::var_os(VARIABLE).is_none() {
        return Err("the clock counts no instructions here: scripts/vm --instructions".into());
    }
    // Without earlier results this only shows the counts: the times of this boot are no times.
    let known = out.exists().then(|| record::load(out)).transpose()?;
    // The kernel needs time to find its clock and settle.
    sleep(Duration::from_secs(8));
    let _module = module::Loaded::take(options)?;
    let machine = Machine::here();
    let mut lines = matrix::lines(Extent::Instructions, &lab::switches()?);
    let mut counts: Vec<Vec<Count>> = lines.iter().map(|_| Vec::new()).collect();
    let mut done = Vec::new();
    let mut trouble = Vec::new();
    for _ in 0..MOST_TIMES {
        let (pass, refused) = lab::measure(&lines, &machine)?;
        trouble.extend(refused);
        add(&mut counts, pass);
        // Lines that repeat, or were refused, need no more counts.
        let (again, settled): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .zip(counts)
            .partition(|(_, counts)| counts.iter().any(|count| count.apart() > AGREE));
        done.extend(settled.into_iter().flat_map(|(_, counts)| counts));
        (lines, counts) = again.into_iter().unzip();
        if lines.is_empty() {
            break;
        }
    }
    done.extend(counts.into_iter().flatten());

    let apart = done.iter().map(Count::apart).fold(0.0, f64::max);
    let most = done.iter().map(|count| count.all.len()).max().unwrap_or(0);
    for Count { of, all } in done.iter().filter(|count| count.apart() > AGREE) {
        trouble.push(format!(
            "{} of {}: {all:?} instructions",
            of.scenario, of.allocator
        ));
    }
    let Some(mut records) = known else {
        let counted = done.iter().map(|count| {
            let mut of = count.of.clone();
            count.note(&mut of);
            of
        });
        let counted: Vec<_> = counted.collect();
        return Ok(show(&counted, apart, most, &trouble));
    };
    for count in &done {
        let of = &count.of;
        // Of several the first is the one with the module's own lazy_max_pages, which is another
        // one with another number of CPUs.
        let same = |r: &&mut Record| {
            r.allocator == of.allocator
                && r.same(of)
                && SWITCHES
                    .iter()
                    .all(|name| r.switches.get(*name) == of.switches.get(*name))
        };
        match records.iter_mut().find(same) {
            Some(record) => count.note(record),
            None => trouble.push(format!(
                "{} has no {} of {} to count for",
                out.display(),
                of.scenario,
                of.allocator
            )),
        }
    }
    record::save(out, &records)?;
    Ok(show(&records, apart, most, &trouble))
}

/// Prints the table, and what went wrong. True if nothing did.
fn show(records: &[Record], apart: f64, most: usize, trouble: &[String]) -> bool {
    print!("{}", tables::instructions(records).text());
    let note = format!(
        "the two counts of each that are nearest, of 2 to {most}: at most {:.2} % apart",
        apart * 100.0
    );
    println!("{}", wrapped(&note, "  "));
    for line in trouble {
        println!("{line}");
    }
    trouble.is_empty()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn one_low_count_is_not_believed() {
        let (lower, apart) = nearest(&[2856.0, 2923.0, 2927.0, 2936.0]).unwrap();
        assert_eq!(lower, 2923.0);
        assert!(apart < 0.002);
    }

    #[test]
    fn one_count_is_none() {
        assert_eq!(nearest(&[2856.0]), None);
    }
}
