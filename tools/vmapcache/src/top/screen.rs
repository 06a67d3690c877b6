// SPDX-License-Identifier: GPL-2.0

//! The screen of `top`, of any size; also as plain text.

use super::sample::{Caller, Sample};
use crate::size::bytes;
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table, Widget},
};
use std::cmp::Ordering;

/// What the rows are sorted by.
pub const COLUMNS: [&str; 7] = [
    "BYTES", "AREAS", "ALLOCS", "ALLOC/s", "FREES", "FREE/s", "FUNCTION",
];

/// What somebody has chosen by keys or options.
#[derive(Default)]
pub struct Choice {
    /// Index in [`COLUMNS`].
    pub sort: usize,
    pub reverse: bool,
    /// Functions that contain this.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub paused: bool,
    /// The first row that is shown.
    pub first: usize,
    /// Said once, in the last line.
    pub said: String,
}

impl Choice {
    fn order(&self, a: &Caller, b: &Caller) -> Ordering {
        let order = match self.sort {
            0 => b.bytes.cmp(&a.bytes),
            1 => b.areas.cmp(&a.areas),
            2 => b.allocations.cmp(&a.allocations),
            3 => b.allocation_rate.total_cmp(&a.allocation_rate),
            4 => b.frees.cmp(&a.frees),
            5 => b.free_rate.total_cmp(&a.free_rate),
            _ => a.name.cmp(&b.name),
        };
        if self.reverse {
            order.reverse()
        } else {
            order
        }
    }

    /// The rows, in their order.
    pub fn rows<'a>(&self, sample: &'a Sample) -> Vec<&'a Caller> {
        let mut rows: Vec<&Caller> = sample
            .callers
            .iter()
            .filter(|c| c.name.contains(&self.filter))
            .collect();
        rows.sort_by(|a, b| self.order(a, b));
        rows
    }
}

/// Lines above the rows, the heads of the columns among them, and below.
const ABOVE: u16 = 7;
const BELOW: u16 = 1;

/// How many lines all of it takes.
pub fn height(rows: usize) -> u16 {
    u16::try_from(rows)
        .unwrap_or(u16::MAX)
        .saturating_add(ABOVE + BELOW)
        .min(2000)
}

/// How many rows fit.
pub fn room(height: u16) -> usize {
    height.saturating_sub(ABOVE + BELOW).into()
}

fn per_second(rate: f64) -> String {
    match rate {
        r if r < 10.0 && r > 0.0 => format!("{r:.1}"),
        r => format!("{r:.0}"),
    }
}

/// What is where in the arena, as a bar.
fn bar(sample: &Sample, width: usize) -> Line<'static> {
    let arena = sample.number("bytes_arena").max(1) as f64;
    let cells = |key: &str| {
        let part = sample.number(key) as f64 / arena * width as f64;
        // What is there at all is seen.
        (part.round() as usize)
            .max(usize::from(part > 0.0))
            .min(width)
    };
    let mut left = width;
    let mut spans = vec!["[".into()];
    for (key, mark, style) in [
        ("bytes_live", "|", Style::new().blue()),
        ("bytes_guard", ":", Style::new().dim()),
        ("bytes_lazy", "~", Style::new().yellow()),
    ] {
        let n = cells(key).min(left);
        left -= n;
        spans.push(Span::styled(mark.repeat(n), style));
    }
    spans.push(" ".repeat(left).into());
    spans.push("]".into());
    Line::from(spans)
}

fn totals(sample: &Sample, width: usize) -> Vec<Line<'static>> {
    let size = |key: &str| bytes(sample.number(key));
    let rate = |key: &str| per_second(sample.rate(key));
    let in_tree = match sample.vmalloc {
        Some(all) => bytes(all.saturating_sub(sample.number("bytes_live"))),
        None => "unknown".into(),
    };
    vec![
        bar(sample, width.saturating_sub(2)),
        format!(
            "| live {} in {} areas   : guard {}   ~ lazy {}   of {}",
            size("bytes_live"),
            sample.number("areas"),
            size("bytes_guard"),
            size("bytes_lazy"),
            size("bytes_arena"),
        )
        .into(),
        format!(
            "free {}, {} of it stock; largest {}; fragmentation {} %",
            size("bytes_free"),
            size("bytes_stock"),
            size("largest_free_bytes"),
            sample.number("fragmentation_percent"),
        )
        .into(),
        format!(
            "per second: {} allocations, {} frees, {} flushes, {} purges, {} failures",
            rate("allocations"),
            rate("frees"),
            rate("flushes"),
            rate("purges"),
            rate("failures"),
        )
        .into(),
        format!(
            "in-tree allocator: {in_tree}; takeover: {}",
            sample.takeover.as_deref().unwrap_or("none")
        )
        .into(),
    ]
}

fn keys(choice: &Choice) -> Line<'static> {
    if choice.typing {
        return format!("filter: {}_", choice.filter).into();
    }
    if !choice.said.is_empty() {
        return choice.said.clone().bold().into();
    }
    "q quit  < > sort  r reverse  / filter  t takeover  space pause  arrows scroll"
        .dim()
        .into()
}

pub fn draw(sample: &Sample, choice: &Choice, area: Rect, buffer: &mut Buffer) {
    let [title, top, rows, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Min(0),
        Constraint::Length(BELOW),
    ])
    .areas(area);
    let mut words = format!("vmapcache {}", crate::VERSION.trim_ascii_end());
    if !choice.filter.is_empty() {
        words += &format!("   functions with \"{}\"", choice.filter);
    }
    if choice.paused {
        words += "   paused";
    }
    Paragraph::new(words.bold()).render(title, buffer);
    Paragraph::new(totals(sample, top.width.into())).render(top, buffer);

    // The rates say as much, and names need the room; on a very narrow screen even more.
    let left_out: &[usize] = match area.width {
        100.. => &[],
        56..100 => &[2, 4],
        _ => &[2, 3, 4, 5],
    };
    let shown_column = |n: usize| n == choice.sort || !left_out.contains(&n);
    let columns: Vec<usize> = (0..COLUMNS.len()).filter(|n| shown_column(*n)).collect();
    let all = choice.rows(sample);
    let shown = all.iter().skip(choice.first).take(room(area.height));
    let body = shown.map(|caller| {
        let numbers = [
            bytes(caller.bytes),
            caller.areas.to_string(),
            caller.allocations.to_string(),
            per_second(caller.allocation_rate),
            caller.frees.to_string(),
            per_second(caller.free_rate),
        ];
        let cells = columns.iter().map(|n| match numbers.get(*n) {
            Some(text) => Cell::from(Line::from(text.clone()).right_aligned()),
            None => Cell::from(caller.name.clone()),
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let head = columns.iter().map(|n| {
        let (sorted, right) = (*n == choice.sort, *n + 1 < COLUMNS.len());
        // A serial line may show no style at all.
        let name = format!("{}{}", COLUMNS[*n], if sorted { "*" } else { "" });
        let line = Line::from(name);
        let line = if right { line.right_aligned() } else { line };
        let style = Style::new().add_modifier(Modifier::REVERSED);
        Cell::from(line.style(if sorted { style.bold() } else { style }))
    });
    let width = |n: &usize| match [10, 7, 8, 9, 8, 8].get(*n) {
        Some(width) => Constraint::Length(*width),
        None => Constraint::Min(8),
    };
    let table = Table::new(body, columns.iter().map(width)).header(Row::new(head));
    Widget::render(table, rows, buffer);
    Paragraph::new(keys(choice)).render(bottom, buffer);
}

/// The screen without keys, as lines of text.
pub fn text(sample: &Sample, choice: &Choice, width: u16) -> String {
    let area = Rect::new(0, 0, width, height(choice.rows(sample).len()));
    let mut buffer = Buffer::empty(area);
    draw(sample, choice, area, &mut buffer);
    let lines = (0..area.height - BELOW).map(|y| {
        let cells = (0..area.width).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(|cell| cell.symbol()).collect();
        line.trim_end().to_string() + "\n"
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::sample::tests::{crowded, recorded},
        *,
    };

    #[test]
    fn all_numbers_are_on_the_screen() {
        let screen = text(&recorded(), &Choice::default(), 120);
        for words in [
            "live 6.6 MiB in 93 areas",
            "lazy 3.6 MiB   of 8 GiB",
            "2.6 MiB of it stock; largest 8.0 GiB; fragmentation 1 %",
            "per second: 0 allocations, 0 frees, 0 flushes",
            "BYTES*",
            " 6.6 MiB      93      123         0       30        0 keep [vmapcache_test]",
        ] {
            assert!(screen.contains(words), "{words:?}\n{screen}");
        }
        let screen = text(&recorded(), &Choice::default(), 80);
        assert!(
            screen.contains(" 6.6 MiB      93         0        0 keep [vmapcache_test]"),
            "{screen}"
        );
    }

    #[test]
    fn long_numbers_fit_on_80_columns() {
        let screen = text(&crowded(), &Choice::default(), 80);
        assert!(screen.contains("fragmentation 100 %"), "{screen}");
    }

    #[test]
    fn headings_are_whole_on_a_narrow_terminal() {
        for width in [36, 40, 55, 56, 80, 99, 100, 120] {
            for (sort, name) in COLUMNS.iter().enumerate() {
                let choice = Choice {
                    sort,
                    ..Choice::default()
                };
                let screen = text(&crowded(), &choice, width);
                let heads = screen.lines().nth(usize::from(ABOVE) - 1).unwrap();
                for head in heads.split_whitespace() {
                    assert!(
                        COLUMNS.contains(&head.trim_end_matches('*')),
                        "{width}: {heads:?}"
                    );
                }
                assert!(heads.contains(&format!("{name}*")), "{heads:?}");
            }
        }
    }

    #[test]
    fn it_fits_on_any_terminal() {
        let sample = recorded();
        for (width, height) in [
            (80, 24),
            (132, 50),
            (40, 10),
            (20, 5),
            (3, 2),
            (1, 1),
            (0, 0),
            (500, 3),
        ] {
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            for typing in [false, true] {
                let choice = Choice {
                    typing,
                    ..Choice::default()
                };
                draw(&sample, &choice, area, &mut buffer);
            }
        }
        let screen = text(&sample, &Choice::default(), 80);
        assert!(screen.lines().nth(5).unwrap().len() < 80, "{screen}");
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let sample = recorded();
        let names = |sort, reverse, filter: &str| -> Vec<String> {
            let choice = Choice {
                sort,
                reverse,
                filter: filter.into(),
                ..Choice::default()
            };
            choice
                .rows(&sample)
                .iter()
                .map(|row| row.name.clone())
                .collect()
        };
        assert_eq!(names(0, false, "")[0], "keep [vmapcache_test]");
        assert_eq!(names(0, true, "").last().unwrap(), "keep [vmapcache_test]");
        assert!(names(6, false, "").is_sorted());
        assert_eq!(names(0, false, "kernel_read"), ["kernel_read_file"]);
        for sort in 0..COLUMNS.len() {
            assert_eq!(names(sort, false, "").len(), sample.callers.len());
        }
    }
}
