// SPDX-License-Identifier: GPL-2.0

//! Rows of values: sorted, filtered, and printed for other programs.

use crate::{output::plain, Output};
use serde_json::{Map, Value};
use std::{cmp::Ordering, io};

#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(u64),
    Text(String),
    /// A caller in `info`.
    Holder {
        bytes: u64,
        areas: u64,
        function: String,
    },
    /// The file says nothing here.
    Nothing,
}

impl Cell {
    pub fn text(text: Option<&str>) -> Cell {
        text.filter(|text| !text.is_empty())
            .map_or(Cell::Nothing, |text| Cell::Text(text.into()))
    }

    pub fn number(number: Option<u64>) -> Cell {
        number.map_or(Cell::Nothing, Cell::Number)
    }

    fn shown(&self) -> String {
        match self {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Holder {
                bytes,
                areas,
                function,
            } => format!("{bytes} {areas} {function}"),
            Cell::Nothing => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Number(number) => (*number).into(),
            Cell::Text(text) => text.as_str().into(),
            Cell::Holder {
                bytes,
                areas,
                function,
            } => serde_json::json!({"bytes": bytes, "areas": areas, "function": function}),
            Cell::Nothing => Value::Null,
        }
    }
}

pub struct Row {
    pub cells: Vec<Cell>,
    /// The line as the kernel printed it.
    pub raw: String,
}

pub struct Sheet {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// The line above the rows, as the kernel printed it.
    pub head: Option<String>,
}

/// "COLUMN OPERATOR VALUE".
pub struct Condition {
    pub column: usize,
    pub operator: &'static str,
    pub value: String,
    /// The value as a number of bytes or things.
    pub number: Option<u64>,
}

/// The longer ones first: one may begin with another.
const OPERATORS: [&str; 8] = ["!=", "!~", "<=", ">=", "=", "~", "<", ">"];

/// "4096", "4K", "2M": a whole number, perhaps of units of a power of 1024.
fn quantity(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M') => (&text[..at], 20),
        (at, 'G') => (&text[..at], 30),
        (at, 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

impl Condition {
    pub fn holds(&self, cell: &Cell) -> bool {
        let order = match (cell, self.number) {
            (Cell::Number(have), Some(wanted)) => Some(have.cmp(&wanted)),
            (Cell::Text(have), _) if have == &self.value => Some(Ordering::Equal),
            (Cell::Nothing, _) if self.value.is_empty() => Some(Ordering::Equal),
            _ => None,
        };
        match self.operator {
            "=" => order == Some(Ordering::Equal),
            "!=" => order != Some(Ordering::Equal),
            "<" => order == Some(Ordering::Less),
            ">" => order == Some(Ordering::Greater),
            "<=" => order.is_some_and(Ordering::is_le),
            ">=" => order.is_some_and(Ordering::is_ge),
            "~" => cell.shown().contains(&self.value),
            _ => !cell.shown().contains(&self.value),
        }
    }
}

/// Conditions, all of which must hold.
pub struct Filter(Vec<Condition>);

impl Filter {
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }

    /// Whether all hold for a row that has only the cells which somebody asks for, by their columns.
    pub fn holds_for(&self, mut cell: impl FnMut(usize) -> Cell) -> bool {
        self.0.iter().all(|c| c.holds(&cell(c.column)))
    }

    /// Whether all hold for this row.
    pub fn holds(&self, row: &Row) -> bool {
        self.0.iter().all(|c| c.holds(&row.cells[c.column]))
    }
}

impl Sheet {
    pub fn new<const N: usize>(columns: [&str; N]) -> Sheet {
        Sheet {
            columns: columns.map(String::from).to_vec(),
            rows: Vec::new(),
            head: None,
        }
    }

    fn column(&self, name: &str) -> Result<usize, String> {
        let place = self.columns.iter().position(|column| column == name);
        place.ok_or_else(|| {
            let columns = self.columns.join(", ");
            format!("no column {name:?}; there are {columns}")
        })
    }

    fn condition(&self, text: &str) -> Result<Condition, String> {
        let at = text.find(|c| "!=~<>".contains(c));
        let wrong = || format!("{text:?} is not COLUMN, one of = != < <= > >= ~ !~, and a value");
        let (column, rest) = text.split_at(at.ok_or_else(wrong)?);
        let operator = OPERATORS.into_iter().find(|o| rest.starts_with(o));
        let operator = operator.ok_or_else(wrong)?;
        let value = rest[operator.len()..].trim();
        let number = quantity(value);
        if number.is_none() && operator.starts_with(['<', '>']) {
            return Err(format!(
                "{text:?}: {value:?} is no number, as 4096, 4K or 2M"
            ));
        }
        Ok(Condition {
            column: self.column(column.trim())?,
            operator,
            value: value.into(),
            number,
        })
    }

    /// The conditions that a row of these columns must fulfil.
    pub fn conditions(&self, conditions: &[String]) -> Result<Filter, String> {
        let conditions = conditions.iter().map(|text| self.condition(text));
        Ok(Filter(conditions.collect::<Result<_, _>>()?))
    }

    /// Keeps the rows for which all conditions hold.
    pub fn filter(&mut self, conditions: &[String]) -> Result<(), String> {
        let filter = self.conditions(conditions)?;
        self.rows.retain(|row| filter.holds(row));
        Ok(())
    }

    pub fn csv_head(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(&self.columns)?;
        writer.flush()
    }

    /// A row that comes alone.
    pub fn csv_row(&self, row: &Row, out: &mut dyn io::Write) -> io::Result<()> {
        // The usual buffer is larger than the row, and would be cleared each time.
        let mut writer = csv::WriterBuilder::new();
        let mut writer = writer.buffer_capacity(512).from_writer(out);
        writer.write_record(row.cells.iter().map(Cell::shown))?;
        writer.flush()
    }

    /// Likewise, as a line, without what the row says nothing of.
    pub fn json_row(&self, row: &Row, out: &mut dyn io::Write) -> io::Result<()> {
        let pairs = self.columns.iter().zip(&row.cells);
        let pairs = pairs.filter(|(_, cell)| **cell != Cell::Nothing);
        out.write_all(b"{")?;
        for (n, (name, cell)) in pairs.enumerate() {
            out.write_all(if n == 0 { b"\"" } else { b",\"" })?;
            out.write_all(name.as_bytes())?;
            out.write_all(b"\":")?;
            match cell {
                Cell::Number(number) => write!(out, "{number}")?,
                Cell::Text(text) => serde_json::to_writer(&mut *out, text)?,
                cell => serde_json::to_writer(&mut *out, &cell.json())?,
            }
        }
        out.write_all(b"}\n")
    }

    /// The largest number first, or texts by the alphabet; equal rows stay in their order. Cells
    /// with nothing come last.
    pub fn sort(&mut self, column: &str, reverse: bool) -> Result<(), String> {
        let column = self.column(column)?;
        let order = |a: &Cell, b: &Cell| {
            let order = match (a, b) {
                (Cell::Nothing, Cell::Nothing) => return Ordering::Equal,
                (Cell::Nothing, _) => return Ordering::Greater,
                (_, Cell::Nothing) => return Ordering::Less,
                (Cell::Number(a), Cell::Number(b)) => b.cmp(a),
                (Cell::Number(_), _) => Ordering::Less,
                (_, Cell::Number(_)) => Ordering::Greater,
                (a, b) => a.shown().cmp(&b.shown()),
            };
            if reverse {
                order.reverse()
            } else {
                order
            }
        };
        self.rows
            .sort_by(|a, b| order(&a.cells[column], &b.cells[column]));
        Ok(())
    }

    /// Prints the rows; `object` if the first column is a key to the second.
    pub fn print(&self, out: &mut dyn io::Write, output: Output, object: bool) -> io::Result<()> {
        match output {
            Output::Raw | Output::Openmetrics => {
                for line in self.head.iter().chain(self.rows.iter().map(|row| &row.raw)) {
                    writeln!(out, "{}", plain(line))?;
                }
                Ok(())
            }
            Output::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(&self.columns)?;
                for row in &self.rows {
                    writer.write_record(row.cells.iter().map(Cell::shown))?;
                }
                writer.flush()
            }
            Output::Json => {
                let pairs = |row: &Row| -> Map<String, Value> {
                    let pairs = self.columns.iter().zip(&row.cells);
                    pairs
                        .map(|(name, cell)| (name.clone(), cell.json()))
                        .collect()
                };
                let value: Value = if object {
                    let entry = |row: &Row| (row.cells[0].shown(), row.cells[1].json());
                    Value::Object(self.rows.iter().map(entry).collect())
                } else {
                    self.rows.iter().map(pairs).map(Value::Object).collect()
                };
                serde_json::to_writer_pretty(&mut *out, &value)?;
                writeln!(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new(["name", "bytes"]);
        for (name, bytes) in [
            ("b", Some(4096)),
            ("a,\"", None),
            ("c", Some(1 << 20)),
            ("d", Some(4096)),
        ] {
            sheet.rows.push(Row {
                cells: vec![Cell::Text(name.into()), Cell::number(bytes)],
                raw: format!("{name} raw"),
            });
        }
        sheet
    }

    fn names(sheet: &Sheet) -> String {
        sheet
            .rows
            .iter()
            .map(|row| row.cells[0].shown()[..1].to_string())
            .collect()
    }

    #[test]
    fn rows_are_sorted() {
        let by = |column, reverse| {
            let mut sheet = sheet();
            sheet.sort(column, reverse).map(|()| names(&sheet))
        };
        assert_eq!(by("bytes", false).unwrap(), "cbda");
        assert_eq!(by("bytes", true).unwrap(), "bdca", "nothing comes last");
        assert_eq!(by("name", false).unwrap(), "abcd");
        assert_eq!(
            by("x", false).unwrap_err(),
            "no column \"x\"; there are name, bytes"
        );
    }

    #[test]
    fn rows_are_filtered() {
        let by = |conditions: &[&str]| {
            let mut sheet = sheet();
            let conditions: Vec<String> = conditions.iter().map(|c| c.to_string()).collect();
            sheet.filter(&conditions).map(|()| names(&sheet))
        };
        for (condition, kept) in [
            ("bytes=4K", "bd"),
            ("bytes != 4096", "ac"),
            ("bytes>4K", "c"),
            ("bytes>=4K", "bcd"),
            ("bytes<1M", "bd"),
            ("bytes<=1M", "bcd"),
            ("bytes=", "a"),
            ("name~,", "a"),
            ("name!~,", "bcd"),
            ("name=c", "c"),
        ] {
            assert_eq!(by(&[condition]).unwrap(), kept, "{condition}");
        }
        assert_eq!(by(&["bytes=4K", "name=d"]).unwrap(), "d");
        for wrong in ["bytes", "", "bytes!4", "bytes<x", "bytes<99999999T", "x=1"] {
            assert!(by(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_output_has_all() {
        let print = |output, object| {
            let mut text = Vec::new();
            sheet().print(&mut text, output, object).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(print(Output::Raw, false), "b raw\na,\" raw\nc raw\nd raw\n");
        assert_eq!(
            print(Output::Csv, false),
            "name,bytes\nb,4096\n\"a,\"\"\",\nc,1048576\nd,4096\n"
        );
        let json: Value = serde_json::from_str(&print(Output::Json, false)).unwrap();
        assert_eq!(json[0]["bytes"], 4096);
        assert_eq!(json[1], serde_json::json!({"name": "a,\"", "bytes": null}));
        let json: Value = serde_json::from_str(&print(Output::Json, true)).unwrap();
        assert_eq!(json["c"], 1 << 20);
    }
}
