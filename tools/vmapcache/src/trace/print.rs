// SPDX-License-Identifier: GPL-2.0

//! Writes the fields of an event as tracefs prints them, by the format and the arguments in its `format` file.

use super::layout::{Field, Format};
use std::io::Write;

/// Values and their names.
type Names = Vec<(u64, String)>;

enum How {
    /// %lu, %u
    Number,
    /// 0x%lx
    Hex,
    /// %d
    Signed,
    /// %s of a text in the event.
    Text,
    /// %s of a name for a number.
    Symbol(Names),
    /// %s of names for the bits of a number; the text between two, and for 0.
    Flags(Names, String, String),
    /// %pS: a function.
    Function,
}

/// What a field says.
pub enum Value {
    Number(u64),
    /// An address of code, whose name is to be found.
    Function(u64),
    /// The text is in `out`.
    Written,
}

pub struct Part {
    pub key: String,
    /// The name that the kernel has for the field.
    pub field_name: String,
    field: Field,
    how: How,
    /// The text is in quotation marks.
    pub quoted: bool,
}

/// "0x", and the digits.
pub fn hex(number: u64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "0x{number:x}");
}

/// The digits of a number.
pub fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend(digits.get(at..).unwrap_or_default());
}

impl Part {
    /// Its value in an event; `None` if the event is too short. A text is written.
    pub fn value(&self, event: &[u8], out: &mut Vec<u8>) -> Option<Value> {
        if let How::Text = self.how {
            out.extend(self.field.text(event)?);
            return Some(Value::Written);
        }
        let number = self.field.of(event)?;
        match &self.how {
            How::Number => return Some(Value::Number(number)),
            How::Function => return Some(Value::Function(number)),
            How::Hex | How::Text => hex(number, out),
            How::Signed => {
                let signed = match self.field.size() {
                    4 => i64::from(number as u32 as i32),
                    8 => number as i64,
                    _ => return Some(Value::Number(number)),
                };
                if signed >= 0 {
                    return Some(Value::Number(number));
                }
                out.push(b'-');
                decimal(signed.unsigned_abs(), out);
            }
            How::Symbol(names) => match names.iter().find(|(value, _)| *value == number) {
                Some((_, name)) => out.extend(name.as_bytes()),
                None => hex(number, out),
            },
            How::Flags(_, _, none) if number == 0 => out.extend(none.as_bytes()),
            How::Flags(names, between, _) => {
                let (begin, mut left) = (out.len(), number);
                let separate = |out: &mut Vec<u8>| {
                    if out.len() > begin {
                        out.extend(between.as_bytes());
                    }
                };
                for (mask, name) in names {
                    if left != 0 && left & mask == *mask {
                        separate(out);
                        out.extend(name.as_bytes());
                        left &= !mask;
                    }
                }
                if left != 0 {
                    separate(out);
                    hex(left, out);
                }
            }
        }
        Some(Value::Written)
    }

    /// The number that has this text, if it is the only one.
    pub fn number(&self, text: &str) -> Option<u64> {
        match &self.how {
            How::Symbol(names) => {
                let mut all = names.iter().filter(|(_, name)| name == text);
                let (number, _) = all.next()?;
                all.next().is_none().then_some(*number)
            }
            How::Hex => {
                let number = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
                (format!("0x{number:x}") == text).then_some(number)
            }
            _ => None,
        }
    }

    /// The largest number that it has room for.
    pub fn most(&self) -> u64 {
        u64::MAX >> 64u32.saturating_sub(8 * self.field.size() as u32).min(63)
    }

    /// Whether it is always a number, and never below 0.
    pub fn is_number(&self) -> bool {
        match self.how {
            How::Number => true,
            How::Signed => !matches!(self.field.size(), 4 | 8),
            _ => false,
        }
    }
}

/// Splits at commas that are in no parentheses, braces or quotation marks.
fn arguments(text: &str) -> Vec<&str> {
    let (mut all, mut begin, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    all.push(text[begin..].trim());
    all
}

/// A text in quotation marks, as C has it.
fn quoted(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\\"", "\""))
}

/// A constant of C: numbers, `|`, `&`, `<<`, `~`, and types in parentheses, which do not matter.
struct Constant<'a>(&'a str);

impl Constant<'_> {
    fn value(text: &str) -> Option<u64> {
        let mut rest = Constant(text);
        let value = rest.any(0)?;
        rest.0.trim().is_empty().then_some(value)
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.0.trim_start();
        let found = rest.strip_prefix(word);
        self.0 = found.unwrap_or(rest);
        found.is_some()
    }

    /// More than the compilers' own headers ever have.
    const DEPTH: u32 = 64;

    fn any(&mut self, depth: u32) -> Option<u64> {
        let mut value = self.all(depth)?;
        while self.take("|") {
            value |= self.all(depth)?;
        }
        Some(value)
    }

    fn all(&mut self, depth: u32) -> Option<u64> {
        let mut value = self.shifted(depth)?;
        while self.take("&") {
            value &= self.shifted(depth)?;
        }
        Some(value)
    }

    fn shifted(&mut self, depth: u32) -> Option<u64> {
        let mut value = self.one(depth)?;
        while self.take("<<") {
            let by = u32::try_from(self.one(depth)?).ok()?;
            value = value.checked_shl(by)?;
        }
        Some(value)
    }

    fn one(&mut self, depth: u32) -> Option<u64> {
        if depth > Self::DEPTH {
            return None;
        }
        if self.take("~") {
            return Some(!self.one(depth + 1)?);
        }
        if self.take("(") {
            let rest = self.0.trim_start();
            if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                let (kind, rest) = rest.split_once(')')?;
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ' ';
                kind.chars().all(word).then_some(())?;
                self.0 = rest;
                return self.one(depth + 1);
            }
            let value = self.any(depth + 1)?;
            return self.take(")").then_some(value);
        }
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
        let (number, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        let digits = number.trim_end_matches(['U', 'L', 'u', 'l']);
        match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        }
    }
}

/// "{ VALUE, "NAME" }, ..."; the last one may be none.
fn names(all: &[&str]) -> Option<Names> {
    let all = match all.split_last() {
        Some((last, rest)) if last.ends_with(", ((void *)0) }") => rest,
        _ => all,
    };
    let one = |text: &&str| {
        let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        let [value, name] = arguments(inner)[..] else {
            return None;
        };
        Some((Constant::value(value)?, quoted(name)?))
    };
    all.iter().map(one).collect()
}

/// The arguments of a call of `function` in this text, and what is around it.
fn call<'a>(text: &'a str, function: &str) -> Option<(&'a str, Vec<&'a str>, &'a str)> {
    let (before, rest) = text.split_once(function)?;
    let rest = rest.strip_prefix('(')?;
    let mut depth = 1;
    let mut quoted = false;
    let end = rest.char_indices().find_map(|(at, letter)| {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    Some((before.trim(), arguments(&rest[..end]), &rest[end + 1..]))
}

/// The field that this is, whatever type it is given.
fn field_of(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("REC->")?;
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(&name[..end.unwrap_or(name.len())])
}

fn part(format: &Format, key: &str, wanted: &str, argument: &str) -> Option<Part> {
    let number = |text| format.number(field_of(text)?).ok();
    let (field, how) = match wanted {
        "%lu" | "%u" => (number(argument)?, How::Number),
        "0x%lx" => (number(argument)?, How::Hex),
        "%d" => (number(argument)?, How::Signed),
        "%pS" => (number(argument)?, How::Function),
        "%s" => {
            if let Some(("", all, "")) = call(argument, "__get_str") {
                (format.text(all.first()?).ok()?, How::Text)
            } else if let Some((_, all, _)) = call(argument, "__print_symbolic") {
                (number(all.first()?)?, How::Symbol(names(&all[1..])?))
            } else {
                let (_, all, rest) = call(argument, "__print_flags")?;
                let [value, between, all @ ..] = &all[..] else {
                    return None;
                };
                // "... ? __print_flags(...) : "none""
                let none = rest.split_once(':').and_then(|(_, text)| quoted(text));
                let how = How::Flags(names(all)?, quoted(between)?, none.unwrap_or_default());
                (number(value)?, how)
            }
        }
        _ => return None,
    };
    Some(Part {
        key: key.into(),
        field_name: field_of(argument).unwrap_or(key).into(),
        field,
        how,
        quoted: false,
    })
}

/// What tracefs prints of an event: "KEY=VALUE ...", in this order.
///
/// # Errors
///
/// The kernel prints it in a way that this program does not know.
pub fn parts(format: &Format) -> Result<Vec<Part>, String> {
    let text = format.print()?;
    let strange = |what: &str| format!("tracefs: this program cannot read how {what} is printed");
    // Quotation marks in the text may stand there as they are.
    let inner = text.strip_prefix('"');
    let (pattern, rest) = inner
        .and_then(|t| t.split_once("\", "))
        .ok_or_else(|| strange(text))?;
    let pattern = pattern.replace("\\\"", "\"");
    let arguments = arguments(rest);
    let words: Vec<&str> = pattern.split(' ').collect();
    if words.len() != arguments.len() {
        return Err(strange(&pattern));
    }
    let each = words.iter().zip(&arguments).map(|(word, argument)| {
        let (key, wanted) = word.split_once('=').ok_or_else(|| strange(word))?;
        let inner = wanted.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
        let part = part(format, key, inner.unwrap_or(wanted), argument);
        let mut part = part.ok_or_else(|| strange(&format!("{word} with {argument}")))?;
        part.quoted = inner.is_some();
        Ok(part)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_c_have_values() {
        for (text, value) in [
            ("0", 0),
            ("( gfp_t)((((1UL))) << (10))", 1 << 10),
            (
                "(unsigned long)((( gfp_t)(1 << 3)) | ( gfp_t)0x40u | 2)",
                0x4a,
            ),
            ("~(0ULL)", u64::MAX),
            ("(1 | 2 | 4 & ~(4)) << 1", 6),
            ("(( ( gfp_t)((((1UL))) << (4))|(( gfp_t)1)))", 17),
        ] {
            assert_eq!(Constant::value(text), Some(value), "{text}");
        }
        for wrong in [
            "", "x", "1 +", "(1", "1)", "1 << 64", "(gfp_t)", "1 2", "-1",
        ] {
            assert_eq!(Constant::value(wrong), None, "{wrong}");
        }
        assert_eq!(Constant::value(&"(".repeat(100_000)), None);
        assert_eq!(Constant::value(&"~".repeat(100_000)), None);
    }

    #[test]
    fn arguments_end_at_their_own_commas() {
        assert_eq!(
            arguments(r#""a=%s, %s", f(a, b), { 1, "x,\"" }, c"#),
            [r#""a=%s, %s""#, "f(a, b)", r#"{ 1, "x,\"" }"#, "c"]
        );
    }

    #[test]
    fn numbers_are_written() {
        for number in [0, 7, 10, 1234567890, u64::MAX] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            decimal(number, &mut a);
            hex(number, &mut b);
            assert_eq!(
                [a, b],
                [
                    number.to_string().into_bytes(),
                    format!("{number:#x}").into_bytes()
                ]
            );
        }
    }

    const FORMAT: &str = "name: x\nID: 7\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] b;\toffset:4;\tsize:4;\tsigned:0;\n\
        \tfield:unsigned long c;\toffset:8;\tsize:8;\tsigned:0;\n\nprint fmt: ";

    #[test]
    fn an_event_is_printed_as_its_format_says() {
        let text = format!(
            "{FORMAT}{}",
            r#""a=%d b=\"%s\" c=%lu d=0x%lx e=%s f=%s g=%pS", REC->a, __get_str(b), REC->c, REC->c, __print_symbolic(REC->c, { 5, "five" }), (REC->c) ? __print_flags(REC->c, "|", { (1UL << 2), "FOUR" }, { 1, "ONE" }) : "none", (void *)REC->c"#
        );
        let format = Format::new("x", &text);
        let parts = parts(&format).unwrap();
        let print = |a: i32, c: u64| {
            let mut event = Vec::from(a.to_le_bytes());
            event.extend((16u32 | (3 << 16)).to_le_bytes());
            event.extend(c.to_le_bytes());
            event.extend(b"no\0");
            let mut out = Vec::new();
            for part in &parts {
                let quote = if part.quoted { "'" } else { "" };
                let _ = write!(out, "{}={quote}", part.key);
                match part.value(&event, &mut out).unwrap() {
                    Value::Number(number) => decimal(number, &mut out),
                    Value::Function(address) => hex(address, &mut out),
                    Value::Written => {}
                }
                let _ = write!(out, "{quote} ");
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            print(-12, 5),
            "a=-12 b='no' c=5 d=0x5 e=five f=FOUR|ONE g=0x5 "
        );
        assert_eq!(print(3, 0), "a=3 b='no' c=0 d=0x0 e=0x0 f=none g=0x0 ");
        assert_eq!(
            print(0, 0x19),
            "a=0 b='no' c=25 d=0x19 e=0x19 f=ONE|0x18 g=0x19 "
        );
        for part in &parts {
            assert!(part.value(&[0; 3], &mut Vec::new()).is_none());
        }
    }

    #[test]
    fn what_is_printed_in_another_way_is_said() {
        for (print, wanted) in [
            (r#""a=%d b""#, "cannot read how"),
            (
                r#""a=%llx", REC->a"#,
                "cannot read how a=%llx with REC->a is printed",
            ),
            (r#""a=%s", twice(REC->a)"#, "a=%s with twice(REC->a)"),
            (
                r#""a=%d b=%d", REC->a"#,
                "cannot read how a=%d b=%d is printed",
            ),
            (r#""a=%d", REC->z"#, "a=%d with REC->z"),
            ("", "cannot read how"),
        ] {
            let text = format!("{FORMAT}{print}");
            let said = parts(&Format::new("x", &text)).err().unwrap();
            assert!(said.contains(wanted), "{said}");
        }
    }
}
