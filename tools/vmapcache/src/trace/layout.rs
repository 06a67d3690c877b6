// SPDX-License-Identifier: GPL-2.0

//! Where the fields of an event are, as its `format` file in tracefs says.

/// A field of an event: its first byte and its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    offset: usize,
    size: usize,
}

impl Field {
    /// Its value in an event; `None` if the event is too short.
    pub fn of(self, event: &[u8]) -> Option<u64> {
        let bytes = event.get(self.offset..self.offset.checked_add(self.size)?)?;
        Some(match *bytes {
            [a] => a.into(),
            [a, b] => u16::from_ne_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
            _ => u64::from_ne_bytes(bytes.try_into().ok()?),
        })
    }

    /// Its bytes, of which the kernel prints numbers below 0.
    pub fn size(self) -> usize {
        self.size
    }

    /// A text, without the zero behind it; `None` if the event is too short.
    pub fn text(self, event: &[u8]) -> Option<&[u8]> {
        let place = self.of(event)?;
        let (begin, length) = ((place & 0xffff) as usize, (place >> 16) as usize);
        let text = event.get(begin..begin + length)?;
        text.split(|byte| *byte == 0).next()
    }

    /// All words from its beginning to the end of the event.
    #[cfg_attr(not(feature = "record"), allow(dead_code))]
    pub fn words(self, event: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
        let rest = event.get(self.offset..).unwrap_or_default();
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        rest.chunks_exact(8).map(word)
    }
}

/// A `format` file.
pub struct Format<'a> {
    /// For messages.
    name: &'a str,
    text: &'a str,
}

impl<'a> Format<'a> {
    pub fn new(name: &'a str, text: &'a str) -> Format<'a> {
        Format { name, text }
    }

    /// The number that begins each such event.
    pub fn id(&self) -> Result<u64, String> {
        let lines = self.text.lines();
        let mut ids = lines.filter_map(|line| line.strip_prefix("ID:")?.trim().parse().ok());
        ids.next()
            .ok_or_else(|| format!("tracefs: {} has no ID", self.name))
    }

    fn find(&self, name: &str) -> Option<Field> {
        self.text.lines().find_map(|line| {
            let (declared, rest) = line.trim_start().strip_prefix("field:")?.split_once(';')?;
            let last = declared.rsplit([' ', '*']).next()?;
            let last = last.split('[').next()?;
            let of = |key| -> Option<usize> {
                let (_, rest) = rest.split_once(key)?;
                rest.split_once(';')?.0.parse().ok()
            };
            (last == name).then_some(Field {
                offset: of("offset:")?,
                size: of("size:")?,
            })
        })
    }

    /// A field that is a number.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it is no number.
    pub fn number(&self, name: &str) -> Result<Field, String> {
        let found = self
            .find(name)
            .filter(|field| [1, 2, 4, 8].contains(&field.size));
        found.ok_or_else(|| format!("tracefs: {} has no number {name}", self.name))
    }

    /// A field that is a text: its first byte in the event and its length are a number in place of it.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn text(&self, name: &str) -> Result<Field, String> {
        let found = self.find(name).filter(|field| field.size == 4);
        found.ok_or_else(|| format!("tracefs: {} has no text {name}", self.name))
    }

    /// How tracefs prints the event: a format and its arguments, as C has them.
    ///
    /// # Errors
    ///
    /// The file does not say.
    pub fn print(&self) -> Result<&'a str, String> {
        let mut lines = self.text.lines();
        let print = lines.find_map(|line| line.strip_prefix("print fmt: "));
        print.ok_or_else(|| format!("tracefs: {} says not how it is printed", self.name))
    }

    /// A field with as many words as there are.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    #[cfg_attr(not(feature = "record"), allow(dead_code))]
    pub fn words(&self, name: &str) -> Result<Field, String> {
        self.find(name)
            .ok_or_else(|| format!("tracefs: {} has no field {name}", self.name))
    }
}

/// Fails unless pages of the ring buffer look as [`super::page`] reads them.
pub fn check_page(header: &str) -> Result<(), String> {
    let format = Format::new("header_page", header);
    let found = ["timestamp", "commit", "data"].map(|name| format.find(name));
    match found {
        [Some(Field { offset: 0, size: 8 }), Some(Field { offset: 8, size: 8 }), Some(Field { offset: 16, .. })] => {
            Ok(())
        }
        _ => Err(format!(
            "tracefs: this kernel has other pages in its trace buffers: {header:?}"
        )),
    }
}
