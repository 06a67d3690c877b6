// SPDX-License-Identifier: GPL-2.0

//! OpenMetrics as Prometheus' older text format, which node_exporter and promtool read: there, a counter's
//! own name ends in `_total`, and there are neither units nor an end.

use std::collections::BTreeMap;

/// The suffix that a type's samples have, and its name in the older format.
fn suffix(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "counter" => Some(("_total", "counter")),
        "info" => Some(("_info", "gauge")),
        _ => None,
    }
}

pub fn text(openmetrics: &str) -> String {
    let types = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let renamed: BTreeMap<&str, (&str, &str)> = types
        .filter_map(|rest| rest.split_once(' '))
        .filter_map(|(name, kind)| Some((name, suffix(kind)?)))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(word), Some(name)) = (words.next(), words.next(), words.next()) else {
            if line != "# EOF" {
                text += line;
                text.push('\n');
            }
            continue;
        };
        let rest = words.next().unwrap_or_default();
        let (suffix, kind) = renamed.get(name).copied().unwrap_or(("", rest));
        match word {
            "UNIT" => {}
            "TYPE" => text += &format!("# TYPE {name}{suffix} {kind}\n"),
            word => text += &format!("# {word} {name}{suffix} {rest}\n"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_counters_have_their_suffix() {
        let openmetrics = "# HELP a_bytes What it is.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\n\
            a_bytes_total{of=\"x y\"} 5\n# HELP b So.\n# TYPE b gauge\nb 1\n# HELP c Z.\n# TYPE c info\n\
            c_info{v=\"1\"} 1\n# EOF\n";
        let classic = "# HELP a_bytes_total What it is.\n# TYPE a_bytes_total counter\n\
            a_bytes_total{of=\"x y\"} 5\n# HELP b So.\n# TYPE b gauge\nb 1\n# HELP c_info Z.\n\
            # TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(super::text(openmetrics), classic);
    }
}
