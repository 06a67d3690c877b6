// SPDX-License-Identifier: GPL-2.0

//! `top`: a screen that follows the allocator.

mod sample;
mod screen;

use crate::{output, signals};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use sample::{Files, Sample};
use screen::{Choice, COLUMNS};
use std::{
    io::{stdout, IsTerminal},
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(clap::Args)]
pub struct Options {
    /// Seconds between two looks
    #[arg(short, long, default_value_t = 1.0, value_parser = seconds)]
    delay: f64,
    /// Prints the screen once, as text
    #[arg(long, conflicts_with = "batch")]
    once: bool,
    /// Prints the screen as text again and again
    #[arg(short, long)]
    batch: bool,
    /// Ends after so many looks
    #[arg(short = 'n', long, value_name = "TIMES")]
    iterations: Option<u64>,
    /// The column to sort by: bytes, areas, allocs, alloc/s, frees, free/s, function
    #[arg(short, long, default_value = "bytes", value_parser = column)]
    sort: usize,
    /// Only functions whose name contains this
    #[arg(short, long, default_value = "")]
    filter: String,
    /// A folder with copies of stats, info and callers instead of the module's own
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|s: &f64| (0.1..=3600.0).contains(s));
    number.ok_or_else(|| "not 0.1 to 3600 seconds".into())
}

fn column(text: &str) -> Result<usize, String> {
    let place = COLUMNS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    place.ok_or_else(|| {
        format!(
            "no such column; there are {}",
            COLUMNS.join(", ").to_lowercase()
        )
    })
}

/// Columns of text that no terminal shows.
const TEXT_COLUMNS: u16 = 120;

/// What a key asks for beyond another choice.
#[derive(Debug, PartialEq)]
enum Wish {
    Nothing,
    Quit,
    /// Turn takeover on or off, whichever it is not.
    Takeover,
}

/// A key changes the choice; `rows` of `room` rows are shown.
fn key(key: KeyEvent, choice: &mut Choice, rows: usize, room: usize) -> Wish {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    choice.said.clear();
    if control && matches!(key.code, KeyCode::Char('c')) {
        return Wish::Quit;
    }
    if choice.typing {
        match key.code {
            KeyCode::Enter => choice.typing = false,
            KeyCode::Esc => {
                choice.typing = false;
                choice.filter.clear();
            }
            KeyCode::Backspace => drop(choice.filter.pop()),
            KeyCode::Char(c) if !control => choice.filter.push(c),
            _ => {}
        }
        choice.first = 0;
        return Wish::Nothing;
    }
    let last = rows.saturating_sub(room);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
        KeyCode::Char('t') => return Wish::Takeover,
        KeyCode::Char('<') | KeyCode::Left => {
            choice.sort = choice.sort.checked_sub(1).unwrap_or(COLUMNS.len() - 1)
        }
        KeyCode::Char('>' | 's') | KeyCode::Right => {
            choice.sort = (choice.sort + 1) % COLUMNS.len()
        }
        KeyCode::Char('r') => choice.reverse = !choice.reverse,
        KeyCode::Char('/') => choice.typing = true,
        KeyCode::Char(' ') => choice.paused = !choice.paused,
        KeyCode::Up => choice.first = choice.first.saturating_sub(1),
        KeyCode::Down => choice.first += 1,
        KeyCode::PageUp => choice.first = choice.first.saturating_sub(room),
        KeyCode::PageDown => choice.first += room,
        KeyCode::Home => choice.first = 0,
        KeyCode::End => choice.first = last,
        _ => {}
    }
    choice.first = choice.first.min(last);
    Wish::Nothing
}

fn wish_takeover(files: &Files, sample: &Sample) -> String {
    let on = sample.takeover.as_deref() == Some("on");
    match files.set_takeover(!on) {
        Ok(()) => format!("takeover is {}", if on { "off" } else { "on" }),
        Err(e) => e,
    }
}

/// The screen in a terminal. The terminal is as before when this returns.
fn interactive(
    options: &Options,
    files: &Files,
    choice: &mut Choice,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<(), String> {
    let delay = Duration::from_secs_f64(options.delay);
    let say = |e: std::io::Error| format!("terminal: {e}");
    let mut sample = files.sample(None)?;
    let mut looks = 1;
    let mut next = Instant::now() + delay;
    loop {
        signals::check()?;
        terminal
            .draw(|frame| screen::draw(&sample, choice, frame.area(), frame.buffer_mut()))
            .map_err(say)?;
        let left = next.saturating_duration_since(Instant::now());
        // A signal must not wait for long.
        if event::poll(left.min(Duration::from_millis(200))).map_err(say)? {
            if let Event::Key(event) = event::read().map_err(say)? {
                let room = screen::room(terminal.size().map_err(say)?.height);
                let rows = choice.rows(&sample).len();
                let wish = match event.kind {
                    KeyEventKind::Release => Wish::Nothing,
                    _ => key(event, choice, rows, room),
                };
                match wish {
                    Wish::Nothing => {}
                    Wish::Quit => return Ok(()),
                    Wish::Takeover => {
                        choice.said = wish_takeover(files, &sample);
                        next = Instant::now();
                    }
                }
            }
        }
        if Instant::now() >= next {
            if options.iterations.is_some_and(|most| looks >= most) {
                return Ok(());
            }
            next = Instant::now() + delay;
            if !choice.paused {
                sample = files.sample(Some(&sample))?;
                looks += 1;
            }
        }
    }
}

pub fn show(options: &Options) -> Result<bool, String> {
    let files = Files {
        from: options.from.clone(),
    };
    let mut choice = Choice {
        sort: options.sort,
        filter: options.filter.clone(),
        ..Choice::default()
    };
    if options.once || options.batch {
        let most = if options.once {
            1
        } else {
            options.iterations.unwrap_or(u64::MAX)
        };
        let mut last = files.sample(None)?;
        for n in 0..most {
            sleep(Duration::from_secs_f64(options.delay));
            last = files.sample(Some(&last))?;
            let break_ = if n > 0 { "\n" } else { "" };
            print!("{break_}{}", screen::text(&last, &choice, TEXT_COLUMNS));
            if output::gone() {
                break;
            }
        }
        return Ok(true);
    }
    if !stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err("this is no terminal: --once or --batch print the screen as text".into());
    }
    // What is not there is said before the screen is cleared.
    files.sample(None)?;
    let _signals = signals::PutOff::begin();
    let mut terminal = ratatui::try_init().map_err(|e| format!("terminal: {e}"))?;
    let result = interactive(options, &files, &mut choice, &mut terminal);
    ratatui::restore();
    result.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(choice: &mut Choice, codes: &[KeyCode]) -> Wish {
        let mut last = Wish::Nothing;
        for code in codes {
            last = key(KeyEvent::new(*code, KeyModifiers::NONE), choice, 30, 10);
        }
        last
    }

    #[test]
    fn keys_choose() {
        use KeyCode::*;
        let mut choice = Choice::default();
        assert_eq!(press(&mut choice, &[Char('<')]), Wish::Nothing);
        assert_eq!(choice.sort, COLUMNS.len() - 1);
        press(&mut choice, &[Char('>'), Char('s'), Char('r'), Char(' ')]);
        assert_eq!(
            (choice.sort, choice.reverse, choice.paused),
            (1, true, true)
        );
        press(&mut choice, &[PageDown, Down]);
        assert_eq!(choice.first, 11);
        press(&mut choice, &[PageDown, PageDown]);
        assert_eq!(choice.first, 20, "the last rows stay on the screen");
        press(&mut choice, &[Char('/'), Char('q'), Char('t'), Backspace]);
        assert_eq!(
            (&*choice.filter, choice.typing, choice.first),
            ("q", true, 0)
        );
        press(&mut choice, &[Enter]);
        assert_eq!((&*choice.filter, choice.typing), ("q", false));
        press(&mut choice, &[Char('/'), Esc]);
        assert_eq!((&*choice.filter, choice.typing), ("", false));
        assert_eq!(press(&mut choice, &[Char('t')]), Wish::Takeover);
        assert_eq!(press(&mut choice, &[Char('q')]), Wish::Quit);
        choice.typing = true;
        let control = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
        assert_eq!(key(control, &mut choice, 0, 0), Wish::Quit);
    }
}
