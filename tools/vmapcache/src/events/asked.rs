// SPDX-License-Identifier: GPL-2.0

//! What the kernel can leave out by itself: conditions as its event filters have them
//! (Documentation/trace/events.rst). The program looks at what comes all the same.

use super::running::{Kind, BEFORE};
use crate::sheet::{Cell, Condition, Filter};

/// What the kernel is asked for, of one event.
#[derive(Debug, PartialEq)]
pub enum Asked {
    All,
    /// None can fulfil the conditions.
    Nothing,
    /// Those for which this holds.
    Those(String),
}

/// A condition upon one event.
enum Meaning {
    /// It holds or not, whatever the fields say.
    Always(bool),
    /// As the kernel has it.
    Kernel(String),
    /// The kernel cannot say it.
    Ours,
}

/// "FIELD OPERATOR NUMBER", if the number is one that the field can have.
fn number(field: &str, most: u64, condition: &Condition) -> Meaning {
    let operator = match condition.operator {
        "~" | "!~" => return Meaning::Ours,
        "=" => "==",
        other => other,
    };
    match condition.number {
        // The same as no number at all.
        None => Meaning::Always(operator == "!="),
        Some(number) if number <= most => Meaning::Kernel(format!("{field} {operator} {number}")),
        Some(_) => Meaning::Ours,
    }
}

fn meaning(kind: &Kind, condition: &Condition) -> Meaning {
    match condition.column {
        1 => number("CPU", i32::MAX as u64, condition),
        3 => number("common_pid", i32::MAX as u64, condition),
        4 => Meaning::Always(condition.holds(&Cell::Text(kind.name.into()))),
        column if column < BEFORE => Meaning::Ours,
        column => match kind.part(column) {
            None => Meaning::Always(condition.holds(&Cell::Nothing)),
            Some(part) if part.is_number() => number(&part.field_name, part.most(), condition),
            Some(part) => match (condition.operator, part.number(&condition.value)) {
                ("=", Some(value)) => Meaning::Kernel(format!("{} == {value}", part.field_name)),
                ("!=", Some(value)) => Meaning::Kernel(format!("{} != {value}", part.field_name)),
                _ => Meaning::Ours,
            },
        },
    }
}

/// What the kernel can leave out of events of this kind, if all conditions must hold.
pub fn of(kind: &Kind, filter: &Filter) -> Asked {
    let mut all = Vec::new();
    for condition in filter.conditions() {
        match meaning(kind, condition) {
            Meaning::Always(false) => return Asked::Nothing,
            Meaning::Always(true) | Meaning::Ours => {}
            Meaning::Kernel(text) => all.push(text),
        }
    }
    match all.is_empty() {
        true => Asked::All,
        false => Asked::Those(all.join(" && ")),
    }
}
