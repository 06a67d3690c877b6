// SPDX-License-Identifier: GPL-2.0

//! Symbols of the kernel and its modules by address, as the kernel prints them: `function+0x12/0x34 [module]`.

use std::fmt::Write;

/// A line of /proc/kallsyms.
pub struct Entry<'a> {
    pub address: u64,
    /// A function, not data.
    pub function: bool,
    pub name: &'a str,
    /// In brackets.
    pub module: Option<&'a str>,
}

/// An address, a letter, a name, and perhaps a module. `None` if it has no address: those are for root.
pub fn entry(line: &str) -> Option<Entry<'_>> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let function = matches!(words.next()?, "t" | "T" | "w" | "W");
    let name = words.next()?;
    (address != 0).then_some(Entry {
        address,
        function,
        name,
        module: words.next(),
    })
}

/// Compilers leave them in modules; the kernel does not print them.
fn mapping(name: &str) -> bool {
    name.starts_with(".L") || name.starts_with("L0") || name.starts_with('$')
}

struct Symbol {
    address: u64,
    /// Where its name begins in `text`.
    name: u32,
    /// 0 is the kernel.
    module: u16,
    function: bool,
}

/// All symbols, sorted by address; those of one address in the order of /proc/kallsyms.
pub struct Symbols {
    /// Behind the code of a module comes nothing up to the end of the page.
    page_bytes: u64,
    all: Vec<Symbol>,
    /// The names, with a line end behind each.
    text: String,
    modules: Vec<String>,
}

impl Symbols {
    /// Reads what /proc/kallsyms of a kernel with pages of that size has.
    pub fn new(kallsyms: &str, page_bytes: u64) -> Symbols {
        let mut symbols = Symbols {
            page_bytes,
            all: Vec::new(),
            text: String::new(),
            modules: Vec::new(),
        };
        for entry in kallsyms.lines().filter_map(entry) {
            let module = match entry.module {
                None => 0,
                Some(module) => {
                    if mapping(entry.name) {
                        continue;
                    }
                    if symbols.modules.last().map(String::as_str) != Some(module) {
                        symbols.modules.push(module.into());
                    }
                    symbols.modules.len() as u16
                }
            };
            symbols.all.push(Symbol {
                address: entry.address,
                name: symbols.text.len() as u32,
                module,
                function: entry.function,
            });
            symbols.text.push_str(entry.name);
            symbols.text.push('\n');
        }
        symbols.all.sort_by_key(|symbol| symbol.address);
        symbols
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first symbol at the last address that is not behind this one, and the first address behind it.
    fn find(&self, address: u64) -> Option<(&Symbol, u64)> {
        let behind = self.all.partition_point(|s| s.address <= address);
        let begin = self.all.get(behind.checked_sub(1)?)?.address;
        let first = self.all.partition_point(|s| s.address < begin);
        let symbol = self.all.get(first)?;
        let next = self.all.get(behind);
        let next = next.filter(|next| next.module == symbol.module);
        let end = match (next, symbol.module) {
            (Some(next), 0) => next.address,
            (Some(next), _) if next.function => next.address,
            // Behind the kernel's last symbol is nothing of the kernel.
            (_, 0) => return None,
            _ => (begin / self.page_bytes + 1).saturating_mul(self.page_bytes),
        };
        (address < end).then_some((symbol, end))
    }

    /// What the kernel prints of a code address.
    pub fn printed(&self, address: u64) -> String {
        let mut text = String::new();
        let Some((symbol, end)) = self.find(address) else {
            return format!("0x{address:x}");
        };
        let name = self.text.get(symbol.name as usize..);
        text.push_str(name.and_then(|name| name.lines().next()).unwrap_or("?"));
        let (offset, size) = (address - symbol.address, end - symbol.address);
        // A String takes everything.
        let _ = write!(text, "+0x{offset:x}/0x{size:x}");
        let module = usize::from(symbol.module).checked_sub(1);
        if let Some(module) = module.and_then(|module| self.modules.get(module)) {
            let _ = write!(text, " {module}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_as_by_the_kernel() {
        let kallsyms =
            "ffffffff81000000 T _stext\nffffffff81000000 T _text\nffffffff81000040 t one\nffffffff81000080 T two\n\
             ffffffff81000100 T _end\nffffffffc0002000 t last\t[b]\nffffffffc0000100 t $x\t[a]\nffffffffc0000010 t in_a\t[a]\n\
             ffffffffc0000180 t more\t[a]\nffffffffc0004000 d data\t[a]\n0000000000000000 T hidden\njunk\n";
        let symbols = Symbols::new(kallsyms, 4096);
        for (address, wanted) in [
            (0xffffffff81000000, "_stext+0x0/0x40"),
            (0xffffffff8100007f, "one+0x3f/0x40"),
            (0xffffffff81000080, "two+0x0/0x80"),
            (0xffffffff81000100, "0xffffffff81000100"),
            (0xffffffffc0000110, "in_a+0x100/0x170 [a]"),
            (0xffffffffc0000188, "more+0x8/0xe80 [a]"),
            (0xffffffffc0001000, "0xffffffffc0001000"),
            (0xffffffffc0002008, "last+0x8/0x1000 [b]"),
            (0, "0x0"),
            (u64::MAX, "0xffffffffffffffff"),
        ] {
            assert_eq!(symbols.printed(address), wanted);
        }
        // Pages of 16 KiB.
        let symbols = Symbols::new(kallsyms, 16384);
        for (address, wanted) in [
            (0xffffffffc0002008, "last+0x8/0x2000 [b]"),
            (0xffffffffc0003fff, "last+0x1fff/0x2000 [b]"),
            (0xffffffffc0000188, "more+0x8/0x3e80 [a]"),
            (0xffffffffc0004000, "data+0x0/0x4000 [a]"),
            (0xffffffffc0008000, "0xffffffffc0008000"),
        ] {
            assert_eq!(symbols.printed(address), wanted);
        }
        assert!(Symbols::new("0000000000000000 T _text\n", 4096).is_empty());
    }
}
