// SPDX-License-Identifier: GPL-2.0

//! Plots as SVG. A plot has the colours of a light page; the page's style sheet knows them by these
//! very numbers, and has others for a dark one.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::ops::Range;

pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Okabe and Ito's, which all eyes tell apart.
pub const IN_TREE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
pub const OURS: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub const FASTER: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub const SLOWER: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
pub const OPEN: RGBColor = RGBColor(0x76, 0x76, 0x76);

/// A telephone shows a plot as large as it is.
const WIDTH: i32 = 360;
const SIDE: i32 = 14;
const ROW: i32 = 38;
/// plotters counts more than the height of the letters: this makes 12 pixels.
const TEXT: u32 = 15;

/// A point of a row, and how far it varies.
pub struct Mark {
    pub value: f64,
    pub spread: Option<(f64, f64)>,
    pub colour: RGBColor,
}

pub struct Row {
    pub name: String,
    pub marks: Vec<Mark>,
}

pub struct Series {
    pub colour: RGBColor,
    /// A second scenario of the same side.
    pub hollow: bool,
    pub points: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// 1, 2 and 5 times the powers of ten in the range, or fewer if they are many.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let of = |steps: &[f64]| -> Vec<f64> {
        let all = powers
            .clone()
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        all.filter(|tick| (range.start..=range.end).contains(tick))
            .collect()
    };
    let all = of(&[1.0, 2.0, 5.0]);
    if all.len() > 7 {
        of(&[1.0])
    } else {
        all
    }
}

pub fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        // Powers of ten below one are not exact.
        v => format!("{}", (v * 1e6).round() / 1e6),
    }
}

/// All values, with some room around them.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let values = values.filter(|value| *value > 0.0 && value.is_finite());
    let (least, greatest) = values.fold((f64::INFINITY, 0.0f64), |(least, greatest), v| {
        (least.min(v), greatest.max(v))
    });
    if least > greatest {
        return 0.5..2.0;
    }
    least / 1.2..greatest * 1.2
}

/// Where a value is between two pixels, on a logarithmic scale.
fn place(value: f64, range: &Range<f64>, from: i32, to: i32) -> i32 {
    let part = (value / range.start).ln() / (range.end / range.start).ln();
    from + (part.clamp(0.0, 1.0) * f64::from(to - from)).round() as i32
}

struct Pen<'a>(Area<'a>);

impl Pen<'_> {
    fn line(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: RGBColor,
        width: u32,
    ) -> Result<(), String> {
        let style = colour.stroke_width(width);
        self.0
            .draw(&PathElement::new(vec![from, to], style))
            .map_err(|e| e.to_string())
    }

    fn text(&self, text: &str, at: (i32, i32), to: HPos) -> Result<(), String> {
        let style = ("sans-serif", TEXT).into_font().color(&INK);
        let style = style.pos(Pos::new(to, VPos::Center));
        self.0
            .draw_text(text, &style, at)
            .map_err(|e| e.to_string())
    }

    fn dot(&self, at: (i32, i32), colour: RGBColor, hollow: bool) -> Result<(), String> {
        let style = if hollow {
            colour.stroke_width(2)
        } else {
            colour.filled()
        };
        self.0
            .draw(&Circle::new(at, 4, style))
            .map_err(|e| e.to_string())
    }
}

/// The SVG of a drawing; the page says how wide it is.
fn drawn(height: i32, draw: impl FnOnce(&Pen) -> Result<(), String>) -> Result<String, String> {
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, u32::try_from(height).unwrap_or(0));
        let pen = Pen(SVGBackend::with_string(&mut svg, size).into_drawing_area());
        draw(&pen)?;
        pen.0.present().map_err(|e| e.to_string())?;
    }
    let plain = format!("width=\"{WIDTH}\" height=\"{height}\" ");
    Ok(svg.replacen(&plain, "", 1))
}

/// A row for each setting, its name above its marks, on a logarithmic scale. If the values are `ratios`, 1 is
/// on the scale, with a line of its own.
pub fn rows(rows: &[Row], ratios: bool) -> Result<String, String> {
    let marks = || rows.iter().flat_map(|row| &row.marks);
    let values = marks().flat_map(|mark| {
        let (least, greatest) = mark.spread.unwrap_or((mark.value, mark.value));
        [least, mark.value, greatest]
    });
    let range = range(values.chain(ratios.then_some(1.0)));
    let count = i32::try_from(rows.len()).unwrap_or(0);
    let bottom = count * ROW + 4;
    drawn(bottom + 20, |pen| {
        let at = |value| place(value, &range, SIDE, WIDTH - SIDE);
        let ticks = ticks(&range);
        for tick in &ticks {
            pen.text(&number(*tick), (at(*tick), bottom + 10), HPos::Center)?;
        }
        for (row, top) in rows.iter().zip((0..).step_by(ROW as usize)) {
            let y = top + 28;
            pen.text(&row.name, (2, top + 12), HPos::Left)?;
            // No line goes through a name.
            for tick in &ticks {
                let colour = if ratios && *tick == 1.0 { INK } else { FAINT };
                pen.line((at(*tick), y - 7), (at(*tick), y + 7), colour, 1)?;
            }
            // Two sides do not cover each other.
            let first = y + 4 - 4 * i32::try_from(row.marks.len()).unwrap_or(1);
            for (mark, y) in row.marks.iter().zip((first..).step_by(8)) {
                if let Some((least, greatest)) = mark.spread {
                    pen.line((at(least), y), (at(greatest), y), mark.colour, 3)?;
                }
                pen.dot((at(mark.value), y), mark.colour, false)?;
            }
        }
        Ok(())
    })
}

/// Lines over a scale whose ticks, with these names, are the points themselves. The point 0 is left of all others.
pub fn lines(series: &[Series], name: fn(f64) -> String) -> Result<String, String> {
    const LEFT: i32 = 44;
    /// Half of the longest name below a point.
    const RIGHT: i32 = 20;
    const BOTTOM: i32 = 210;
    let points = || series.iter().flat_map(|series| &series.points);
    let mut at: Vec<f64> = points().map(|(x, _)| *x).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let steps = i32::try_from(at.len()).unwrap_or(1).max(2) - 1;
    // The points are far apart, each many times the last one: all steps are as wide.
    let x = |value: f64| {
        let step = at.iter().position(|x| *x == value).unwrap_or(0);
        LEFT + SIDE + i32::try_from(step).unwrap_or(0) * (WIDTH - SIDE - RIGHT - LEFT) / steps
    };
    let range = range(points().map(|(_, y)| *y));
    drawn(BOTTOM + 20, |pen| {
        let y = |value| place(value, &range, BOTTOM, 8);
        for tick in ticks(&range) {
            pen.line((LEFT, y(tick)), (WIDTH, y(tick)), FAINT, 1)?;
            pen.text(&number(tick), (LEFT - 6, y(tick)), HPos::Right)?;
        }
        for value in &at {
            pen.text(&name(*value), (x(*value), BOTTOM + 10), HPos::Center)?;
        }
        for one in series {
            for two in one.points.windows(2) {
                let [from, to] = [two[0], two[1]].map(|point| (x(point.0), y(point.1)));
                pen.line(from, to, one.colour, 2)?;
            }
            for point in &one.points {
                pen.dot((x(point.0), y(point.1)), one.colour, one.hollow)?;
            }
        }
        Ok(())
    })
}
