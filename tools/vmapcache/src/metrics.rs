// SPDX-License-Identifier: GPL-2.0

//! Counters, callers and areas as OpenMetrics: base units, units as suffixes, labels for kinds.

use crate::parse::{Area, Callers, Value};
#[cfg(feature = "export")]
use prometheus_client::metrics::info::Info;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, AtomicU64},
};

type Labels = Vec<(String, String)>;
type Number = Gauge<i64, AtomicI64>;
type Fraction = Gauge<f64, AtomicU64>;

/// The keys of `stats` that count since the module was loaded. Others say how things are now.
const COUNTED: [&str; 26] = [
    "frees_deferred",
    "frees_pinned",
    "failures",
    "purges",
    "purge_waits",
    "purge_retries",
    "backpressure_steps",
    "flushes_full",
    "flushes_range",
    "flushes_spared",
    "flushed_areas",
    "flushed_bytes",
    "errors_double_free",
    "errors_inner_free",
    "errors_foreign_free",
    "errors_unaligned_free",
    "errors_unpin",
    "errors_internal",
    "allocations",
    "frees",
    "flushes",
    "extent_searches",
    "extents_visited",
    "shared_locks",
    "info_hits",
    "info_misses",
];

fn counted(key: &str) -> bool {
    COUNTED.contains(&key) || key.starts_with("generation_")
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
}

/// Gauges are signed; no number of bytes or areas is beyond that.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A registry, and the families that several keys share.
pub struct Metrics {
    registry: Registry,
    families: BTreeMap<String, Family<Labels, Number>>,
    totals: BTreeMap<String, Family<Labels, Counter>>,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics {
            registry: Registry::with_prefix("vmapcache"),
            families: BTreeMap::new(),
            totals: BTreeMap::new(),
        }
    }

    /// One value of a family of gauges.
    fn set(&mut self, name: &str, help: &str, unit: Option<Unit>, labels: Labels, number: u64) {
        let registry = &mut self.registry;
        let family = self.families.entry(name.into()).or_insert_with(|| {
            let family = Family::<Labels, Number>::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
                None => registry.register(name, help, family.clone()),
            }
            family
        });
        family.get_or_create(&labels).inc_by(signed(number));
    }

    /// One value of a family of counters.
    fn count(&mut self, name: &str, help: &str, unit: Option<Unit>, labels: Labels, number: u64) {
        let registry = &mut self.registry;
        let family = self.totals.entry(name.into()).or_insert_with(|| {
            let family = Family::<Labels, Counter>::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
                None => registry.register(name, help, family.clone()),
            }
            family
        });
        family.get_or_create(&labels).inc_by(number);
    }

    fn fraction(&mut self, name: &str, help: &str, unit: Unit, value: f64) {
        let gauge = Fraction::default();
        gauge.set(value);
        self.registry.register_with_unit(name, help, unit, gauge);
    }

    pub fn text(&self) -> Result<String, String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(|e| e.to_string())?;
        Ok(text)
    }

    /// A counter of `stats`, `info` or `takeover/stats`.
    fn add(&mut self, key: &str, number: u64) {
        let size = |before: &str| {
            let pages = key.strip_prefix(before)?.strip_suffix("_pages")?;
            pages.parse::<u64>().ok()
        };
        if let Some(pages) = size("areas_upto_") {
            let upto = labels([("upto_pages", &pages.to_string())]);
            return self.set(
                "areas_of_size",
                "Areas of at most so many pages, and of more than the next smaller size",
                None,
                upto,
                number,
            );
        }
        if let Some(pages) = size("free_extents_upto_") {
            let upto = labels([("upto_pages", &pages.to_string())]);
            return self.set(
                "free_extents_of_size",
                "Free extents of at most so many pages, and of more than the next smaller size",
                None,
                upto,
                number,
            );
        }
        if let Some(kind) = key.strip_prefix("errors_") {
            let kind = labels([("kind", kind)]);
            return self.count(
                "errors",
                "Mistakes of callers, or of vmapcache itself (internal)",
                None,
                kind,
                number,
            );
        }
        if let Some(name) = key.strip_suffix("_ns") {
            let help = format!("{key} of the module, in seconds");
            return self.fraction(name, &help, Unit::Seconds, number as f64 / 1e9);
        }
        if let Some(name) = key.strip_suffix("_percent") {
            let help = format!("{key} of the module, as a ratio");
            return self.fraction(
                name,
                &help,
                Unit::Other("ratio".into()),
                number as f64 / 100.0,
            );
        }
        let bytes = key
            .strip_prefix("bytes_")
            .or_else(|| key.strip_suffix("_bytes"));
        let (name, unit) = match (bytes, key.strip_suffix("_pages")) {
            (Some(name), _) => (name, Some(Unit::Bytes)),
            (None, Some(name)) => (name, Some(Unit::Other("pages".into()))),
            (None, None) => (key, None),
        };
        let help = format!("{key} of the module");
        if counted(key) {
            self.count(name, &help, unit, Labels::new(), number);
        } else {
            self.set(name, &help, unit, Labels::new(), number);
        }
    }

    /// A key and value file. Callers are in another one.
    pub fn counters(&mut self, pairs: &[(&str, Value)]) {
        for (key, value) in pairs {
            match value {
                Value::Number(number) => self.add(key, *number),
                Value::Word(state) => {
                    // "guard_vfree on" and the like; "cached yes" is no measurement.
                    let Some((what, name)) = key.split_once('_') else {
                        continue;
                    };
                    let help = "How it is: the label state says it";
                    let labels = labels([("name", name), ("state", state)]);
                    self.set(&format!("{what}_state"), help, None, labels, 1);
                }
                Value::Holder { .. } => {}
            }
        }
    }

    /// Callers. Two lines of one function add up: one is aware of vmapcache, the other is not.
    pub fn callers(&mut self, all: &Callers, name: impl Fn(&str) -> String) {
        for caller in &all.callers {
            let labels = labels([
                ("function", &name(caller.function)),
                ("module", caller.module.unwrap_or("")),
            ]);
            for (column, number) in all.columns.iter().zip(&caller.numbers) {
                let labels = labels.clone();
                match *column {
                    "bytes" => self.set(
                        "caller_live",
                        "What the function holds, guard pages left out",
                        Some(Unit::Bytes),
                        labels,
                        *number,
                    ),
                    "allocations" | "frees" => self.count(
                        &format!("caller_{column}"),
                        "Since the module was loaded",
                        None,
                        labels,
                        *number,
                    ),
                    column => self.set(
                        &format!("caller_{column}"),
                        "What the function holds now",
                        None,
                        labels,
                        *number,
                    ),
                }
            }
        }
    }

    /// The file takeover/stats: calls of each target by what became of them.
    #[cfg(feature = "export")]
    pub fn takeover(&mut self, pairs: &[(&str, Value)]) {
        const TARGETS: [&str; 4] = ["vm_map_ram", "vmalloc", "vmap", "stacks"];
        for (key, value) in pairs {
            let Value::Number(number) = value else {
                continue;
            };
            let call = TARGETS.iter().find_map(|target| {
                let fate = key.strip_prefix(target)?.strip_prefix('_')?;
                Some((*target, fate))
            });
            match (call, *key) {
                (Some((target, fate)), _) => self.count(
                    "takeover_calls",
                    "Calls of unmodified code by what became of them: redirected, or why they went in-tree",
                    None,
                    labels([("target", target), ("fate", fate)]),
                    *number,
                ),
                (None, "bytes_held") => {
                    let help = "Memory that unmodified callers hold now";
                    self.set("takeover_held", help, Some(Unit::Bytes), Labels::new(), *number);
                }
                (None, key) => {
                    let help = format!("{key} of takeover");
                    self.set(&format!("takeover_{key}"), &help, None, Labels::new(), *number);
                }
            }
        }
    }

    /// The module that the numbers are of.
    #[cfg(feature = "export")]
    pub fn version(&mut self, version: &str) {
        let labels = vec![("version".to_string(), version.to_string())];
        let help = "The version of the module";
        self.registry.register("build", help, Info::new(labels));
    }
}

/// A key and value file.
pub fn counters(pairs: &[(&str, Value)]) -> Result<String, String> {
    let mut metrics = Metrics::new();
    metrics.counters(pairs);
    metrics.text()
}

pub fn callers(all: &Callers, name: impl Fn(&str) -> String) -> Result<String, String> {
    let mut metrics = Metrics::new();
    metrics.callers(all, name);
    metrics.text()
}

/// Areas by what they are and how they are: a million of them make no million of metrics.
pub fn areas<'a>(all: impl Iterator<Item = &'a Area<'a>>) -> Result<String, String> {
    let mut metrics = Metrics::new();
    for area in all {
        let labels = labels([("kind", area.kind), ("state", area.state.name())]);
        metrics.set(
            "areas_by_kind",
            "Areas by kind and state",
            None,
            labels.clone(),
            1,
        );
        metrics.set(
            "areas_by_kind_size",
            "Their size, with guard pages",
            Some(Unit::Bytes),
            labels,
            area.bytes,
        );
    }
    metrics.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The table of `stats` in the documentation says "Now." of all that does not count.
    #[test]
    fn what_counts_is_what_the_documentation_says() {
        let text = include_str!("../../../Documentation/ABI/testing/debugfs-vmapcache");
        let from = text.find("vmapcache/stats\n").unwrap();
        let table = text[from..].split("=\t====").nth(1).unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("\t\t"));
        let rows = rows.filter(|row| row.starts_with(|c: char| c.is_ascii_lowercase()));
        let rows: Vec<(&str, bool)> = rows
            .filter_map(|row| row.split_once('\t'))
            .map(|(key, meaning)| (key, !meaning.trim_start().starts_with("Now.")))
            .collect();
        assert!(rows.len() > 30, "{rows:?}");
        let documented: BTreeSet<&str> = rows
            .iter()
            .filter(|(_, counts)| *counts)
            .map(|(key, _)| *key)
            .collect();
        let mut ours: BTreeSet<&str> = COUNTED.into_iter().collect();
        // It does not add up: it is a maximum.
        ours.insert("hold_max_ns");
        assert_eq!(ours, documented);
    }
}
