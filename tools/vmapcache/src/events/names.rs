// SPDX-License-Identifier: GPL-2.0

//! Names of tasks and functions, for events that have their numbers.

use super::line;
use crate::{machine, trace::symbols::Symbols};
use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

/// So old a list is read again: tasks change their names, and modules come and go.
const OLD: Duration = Duration::from_secs(1);
/// Names that are kept for later.
const MOST: usize = 1 << 16;

/// Where names come from.
pub trait Source {
    /// Lines with a process and its name, as the tracer has kept them.
    fn tasks(&self) -> Vec<u8>;
    /// The name of a process that is alive.
    fn alive(&self, pid: i32) -> Option<Vec<u8>>;
    fn modules(&self) -> String;
    fn symbols(&self) -> String;
    fn page_bytes(&self) -> u64;
}

/// The running kernel.
pub struct Kernel {
    pub saved_cmdlines: PathBuf,
}

impl Source for Kernel {
    fn tasks(&self) -> Vec<u8> {
        fs::read(&self.saved_cmdlines).unwrap_or_default()
    }

    fn alive(&self, pid: i32) -> Option<Vec<u8>> {
        let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
        Some(name.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(name))
    }

    fn modules(&self) -> String {
        fs::read_to_string("/proc/modules").unwrap_or_default()
    }

    fn symbols(&self) -> String {
        fs::read_to_string("/proc/kallsyms").unwrap_or_default()
    }

    fn page_bytes(&self) -> u64 {
        machine::page_bytes()
    }
}

/// A function as tracefs prints it, and with a name as its source has it.
#[derive(Debug, PartialEq)]
pub struct Caller {
    pub printed: String,
    pub readable: String,
}

pub struct Names<S> {
    source: S,
    tasks: HashMap<i32, Rc<[u8]>>,
    tasks_read: Option<Instant>,
    callers: HashMap<u64, Rc<Caller>>,
    symbols: Symbols,
    /// Those with which `symbols` were read.
    modules: String,
    modules_read: Option<Instant>,
}

fn is_old(read: Option<Instant>) -> bool {
    read.is_none_or(|read| read.elapsed() >= OLD)
}

impl<S: Source> Names<S> {
    /// Reads all symbols, which takes a while.
    pub fn new(source: S) -> Names<S> {
        let modules = source.modules();
        let symbols = Symbols::new(&source.symbols(), source.page_bytes());
        Names {
            source,
            tasks: HashMap::new(),
            tasks_read: None,
            callers: HashMap::new(),
            symbols,
            modules,
            modules_read: Some(Instant::now()),
        }
    }

    /// Whether there are names of functions.
    pub fn has_symbols(&self) -> bool {
        !self.symbols.is_empty()
    }

    /// To be called now and then: what is old is forgotten.
    pub fn refresh(&mut self) {
        if is_old(self.tasks_read) {
            self.read_tasks();
        }
        if is_old(self.modules_read) {
            self.look_for_modules();
        }
    }

    fn read_tasks(&mut self) {
        if self.tasks.len() > MOST {
            self.tasks.clear();
        }
        for line in self.source.tasks().split(|byte| *byte == b'\n') {
            let Some(blank) = line.iter().position(|byte| *byte == b' ') else {
                continue;
            };
            let (pid, name) = line.split_at(blank);
            let pid = std::str::from_utf8(pid)
                .ok()
                .and_then(|pid| pid.parse().ok());
            if let (Some(pid), Some(name)) = (pid, name.get(1..)) {
                self.tasks.insert(pid, name.into());
            }
        }
        self.tasks_read = Some(Instant::now());
    }

    /// Reads the symbols again if other modules are loaded than before.
    fn look_for_modules(&mut self) {
        // Only a name and where it is: uses come and go.
        let now = self.source.modules();
        let places = |text: &str| -> Vec<(String, String)> {
            let place = |line: &str| {
                let mut words = line.split(' ');
                Some((words.next()?.into(), words.nth(4)?.into()))
            };
            text.lines().filter_map(place).collect()
        };
        if places(&now) != places(&self.modules) {
            self.symbols = Symbols::new(&self.source.symbols(), self.source.page_bytes());
            self.callers.clear();
        }
        self.modules = now;
        self.modules_read = Some(Instant::now());
    }

    /// The name of a process, as the tracer has it.
    pub fn task(&mut self, pid: i32) -> Rc<[u8]> {
        if pid == 0 {
            return Rc::from(&b"<idle>"[..]);
        }
        if let Some(name) = self.tasks.get(&pid) {
            return name.clone();
        }
        self.read_tasks();
        if let Some(name) = self.tasks.get(&pid) {
            return name.clone();
        }
        // One that has not slept since its first event; or too many were there.
        let name = self.source.alive(pid);
        let name: Rc<[u8]> = name.unwrap_or_else(|| b"<...>".to_vec()).into();
        self.tasks.insert(pid, name.clone());
        name
    }

    pub fn caller(&mut self, address: u64) -> Rc<Caller> {
        if let Some(caller) = self.callers.get(&address) {
            return caller.clone();
        }
        self.look_for_modules();
        if self.callers.len() > MOST {
            self.callers.clear();
        }
        let printed = self.symbols.printed(address);
        let readable = line::caller(&printed);
        let caller = Rc::new(Caller { printed, readable });
        self.callers.insert(address, caller.clone());
        caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[derive(Default)]
    struct Played {
        tasks: RefCell<Vec<u8>>,
        modules: RefCell<String>,
        symbols: RefCell<String>,
        reads: Cell<u32>,
    }

    impl Source for &Played {
        fn tasks(&self) -> Vec<u8> {
            self.tasks.borrow().clone()
        }
        fn alive(&self, pid: i32) -> Option<Vec<u8>> {
            (pid == 9).then(|| b"alive".to_vec())
        }
        fn modules(&self) -> String {
            self.modules.borrow().clone()
        }
        fn symbols(&self) -> String {
            self.reads.set(self.reads.get() + 1);
            self.symbols.borrow().clone()
        }
        fn page_bytes(&self) -> u64 {
            4096
        }
    }

    #[test]
    fn tasks_have_names() {
        let played = Played::default();
        *played.tasks.borrow_mut() = b"1 systemd\n7 a b\nodd\n\xff 3\n".to_vec();
        let mut names = Names::new(&played);
        for (pid, wanted) in [
            (0, "<idle>"),
            (1, "systemd"),
            (7, "a b"),
            (9, "alive"),
            (8, "<...>"),
        ] {
            assert_eq!(*names.task(pid), *wanted.as_bytes(), "{pid}");
        }
        // A name changes, and the list is old.
        *played.tasks.borrow_mut() = b"7 other\n".to_vec();
        names.tasks_read = None;
        names.refresh();
        assert_eq!(*names.task(7), *b"other");
        assert_eq!(*names.task(1), *b"systemd", "it is still known");
    }

    #[test]
    fn functions_have_names_also_of_a_module_that_came_later() {
        let played = Played::default();
        *played.symbols.borrow_mut() = "ffffffffc0000010 t _RNvCs1_5crate4func\t[a]\n".into();
        *played.modules.borrow_mut() = "a 4096 0 - Live 0xffffffffc0000000 (O)\n".into();
        let mut names = Names::new(&played);
        assert_eq!(
            *names.caller(0xffffffffc0000020),
            Caller {
                printed: "_RNvCs1_5crate4func+0x10/0xff0 [a]".into(),
                readable: "crate::func+0x10/0xff0 [a]".into()
            }
        );
        // Somebody uses it: it is the same.
        *played.modules.borrow_mut() = "a 4096 1 b, Live 0xffffffffc0000000 (O)\n".into();
        assert_eq!(
            names.caller(0xffffffffc0007010).printed,
            "0xffffffffc0007010"
        );
        assert_eq!(played.reads.get(), 1);
        // Another one is at another place; then a third one is where the first one was.
        played
            .modules
            .borrow_mut()
            .push_str("b 4096 0 - Live 0xffffffffc0008000 (O)\n");
        played
            .symbols
            .borrow_mut()
            .push_str("ffffffffc0008000 t late\t[b]\n");
        assert_eq!(
            names.caller(0xffffffffc0008004).printed,
            "late+0x4/0x1000 [b]"
        );
        *played.symbols.borrow_mut() = "ffffffffc0000010 t third\t[c]\n".into();
        *played.modules.borrow_mut() = "c 4096 0 - Live 0xffffffffc0000000 (O)\n".into();
        names.modules_read = None;
        names.refresh();
        assert_eq!(
            names.caller(0xffffffffc0000020).printed,
            "third+0x10/0xff0 [c]"
        );
    }
}
