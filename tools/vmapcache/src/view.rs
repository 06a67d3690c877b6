// SPDX-License-Identifier: GPL-2.0

//! The module's key and value files, as they are or for other programs.

use crate::Output;
use serde_json::{Map, Value};
use std::fs;

fn value(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

/// Shows debugfs vmapcache/`name`.
pub fn show(name: &str, output: Output) -> Result<bool, String> {
    let path = format!("/sys/kernel/debug/vmapcache/{name}");
    let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    match output {
        Output::Raw => print!("{text}"),
        Output::Csv => {
            println!("key,value");
            for (key, value) in pairs {
                println!("{key},\"{}\"", value.replace('"', "\"\""));
            }
        }
        Output::Json => {
            // A key that occurs more than once, such as a caller, gets a list of values.
            let mut map = Map::new();
            for (key, text) in pairs {
                match map.get_mut(key) {
                    None => drop(map.insert(key.into(), value(text))),
                    Some(Value::Array(list)) => list.push(value(text)),
                    Some(first) => *first = Value::Array(vec![first.take(), value(text)]),
                }
            }
            println!("{:#}", Value::Object(map));
        }
    }
    Ok(true)
}
