// SPDX-License-Identifier: GPL-2.0

//! The native ground: both allocators' object code in an ordinary program, which `scripts/native` builds. It
//! takes the same text as the laboratory.

use super::replay::Program;
use crate::{
    machine::Machine,
    record::{Record, Switches},
    signals,
};
use std::{
    ffi::{c_int, c_ulong},
    io::{self, ErrorKind, Read, Write},
    os::unix::{process::CommandExt, process::ExitStatusExt},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

extern "C" {
    fn prctl(option: c_int, argument: c_ulong) -> c_int;
}
/// Linux's, on all machines that vmapcache knows.
const PR_SET_PDEATHSIG: c_int = 1;
const SIGKILL: c_ulong = 9;

/// What the program prints.
#[derive(Debug, Default)]
pub struct Said {
    pub records: Vec<Record>,
    /// Whether its threads were real-time ones: others preempt the holders of its locks otherwise.
    pub real_time: bool,
}

/// How often it is seen whether a child has ended, or a signal has come.
const PAUSE: Duration = Duration::from_millis(20);

fn all_of(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Hands a child its input, and waits until it ends. A signal ends it.
fn wait_for(mut child: Child, input: &[u8]) -> io::Result<Output> {
    let (to, from, says) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // If it ends early, it says why.
        scope.spawn(move || to.map(|mut to| to.write_all(input)));
        let stdout = scope.spawn(move || all_of(from));
        let stderr = scope.spawn(move || all_of(says));
        let status = loop {
            if signals::caught().is_some() {
                // It may have ended by the same signal.
                let _ = child.kill();
                break child.wait();
            }
            match child.try_wait() {
                Ok(None) => thread::sleep(PAUSE),
                Ok(Some(status)) => break Ok(status),
                Err(e) => break Err(e),
            }
        };
        let joined = |thread: thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(ErrorKind::Other.into()))
        };
        Ok(Output {
            status: status?,
            stdout: joined(stdout)?,
            stderr: joined(stderr)?,
        })
    })
}

/// Runs the program with this text, and returns what it prints.
fn ask(native: &Path, program: &Program, sides: &str, runs: u32) -> Result<String, String> {
    let mut command = Command::new(native);
    command
        .args(["replay", "program=-"])
        .arg(format!("sides={sides}"))
        .arg(format!("runs={runs}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: Between fork() and exec() this makes one system call, and allocates nothing.
    unsafe {
        // It must not go on, with real-time threads, when nobody waits for it any more.
        command.pre_exec(|| {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            Ok(())
        });
    }
    let say = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => format!(
            "{}: not built (scripts/native --build, in the source; --native names another one)",
            native.display()
        ),
        _ => format!("{}: {e}", native.display()),
    };
    // From now on a signal ends the program, too, and this says so.
    let _signals = signals::PutOff::begin();
    let child = command.spawn().map_err(say)?;
    let done = wait_for(child, program.text.as_bytes()).map_err(say)?;
    signals::check()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let last = said.lines().last().unwrap_or_default();
    match (done.status.success(), done.status.signal()) {
        (true, _) => String::from_utf8(done.stdout).map_err(|e| e.to_string()),
        (_, Some(signal)) => Err(format!("{}: ended by signal {signal}", native.display())),
        _ if last.starts_with("native: ") => Err(last.into()),
        // A program of another version shows how it is used.
        _ => Err(format!(
            "{}: {}, {}",
            native.display(),
            done.status,
            said.lines().next().unwrap_or_default()
        )),
    }
}

/// Makes results of what the program printed.
fn read(text: &str, program: &Program, machine: &Machine) -> Result<Said, String> {
    let strange = |line: &str| format!("the native program says {line:?}");
    let passes = text
        .lines()
        .find_map(|line| {
            let (requests, passes) = line.strip_prefix("replayed ")?.split_once(' ')?;
            (requests.parse() == Ok(program.requests)).then(|| passes.parse::<u64>().ok())?
        })
        .ok_or_else(|| "the native program says nothing of its passes".to_string())?;
    let mut said = Said::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("side") => {
                let (Some(allocator), Some("-1"), Some(flushes)) =
                    (words.next(), words.next(), words.next())
                else {
                    return Err(strange(line));
                };
                let runs = words.map(str::parse).collect::<Result<Vec<f64>, _>>();
                let mut sorted = runs.clone().map_err(|_| strange(line))?;
                sorted.sort_by(f64::total_cmp);
                let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
                    return Err(strange(line));
                };
                let middle = |n: usize| sorted.get(n).copied().unwrap_or_default();
                let median = (middle((sorted.len() - 1) / 2) + middle(sorted.len() / 2)) / 2.0;
                let ops = passes * program.requests as u64 * sorted.len() as u64;
                let runs: Vec<String> = line.split(' ').skip(4).map(str::to_string).collect();
                // As the laboratory says it.
                let text = format!(
                    "scenario=replay allocator={allocator} threads={} pages=1 align=1 writers=0 live=0 runs_ns={} \
                     median_ns={median:.3} run_min_ns={least} run_max_ns={most} cpu_ns={median:.3} ops={ops} \
                     failures=0 flushes={flushes} flush_ops={ops}",
                    program.cpus,
                    runs.join(",")
                );
                said.records
                    .push(Record::parse(&text, &Switches::new(), machine)?);
            }
            Some("held") => {
                let (Some(side), Some(failures), Some(check), Some(sets)) =
                    (words.next(), words.next(), words.next(), words.next())
                else {
                    return Err(strange(line));
                };
                let mut records = said.records.iter_mut();
                let record = records
                    .find(|record| record.allocator == side)
                    .ok_or_else(|| strange(line))?;
                record.failures = failures.parse().map_err(|_| strange(line))?;
                record.check = Some(check.into());
                record.live_sets = Some(sets.into());
            }
            Some("machine") => said.real_time = words.nth(1) == Some("1"),
            _ => {}
        }
    }
    Ok(said)
}

/// Makes the requests of a program on these sides, in turns.
pub fn measure(
    native: &Path,
    program: &Program,
    sides: &str,
    runs: u32,
    machine: &Machine,
) -> Result<Said, String> {
    let machine = Machine {
        ground: "native".into(),
        ..machine.clone()
    };
    read(&ask(native, program, sides, runs)?, program, &machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "side in-tree -1 7 90.500 88.000 89.000 91.000\n\
        side vmapcache -1 2 30.000 29.000 44.000 31.000\n\
        held in-tree 0 ok 0:0,0:0\n\
        held vmapcache 3 overlap 0:0,1:4\n\
        replayed 5 64\nline 26.5 30.7\nmachine 2 1 0.8119\n";

    fn program() -> Program {
        Program {
            requests: 5,
            cpus: 2,
            ..Program::default()
        }
    }

    #[test]
    fn what_the_program_prints_becomes_results() {
        let machine = Machine {
            ground: "native".into(),
            ..Machine::default()
        };
        let said = read(TEXT, &program(), &machine).unwrap();
        assert!(said.real_time);
        let [theirs, ours] = &said.records[..] else {
            panic!("{said:?}");
        };
        assert_eq!((theirs.allocator.as_str(), theirs.threads), ("in-tree", 2));
        assert_eq!(theirs.median_ns, 89.75);
        assert_eq!((theirs.run_min_ns, theirs.run_max_ns), (88.0, 91.0));
        assert_eq!(theirs.runs_ns, [90.5, 88.0, 89.0, 91.0]);
        assert_eq!((theirs.ops, theirs.flushes), (5 * 64 * 4, Some(7)));
        assert_eq!(theirs.machine.ground, "native");
        assert_eq!(theirs.live_sets.as_deref(), Some("0:0,0:0"));
        assert_eq!((ours.failures, ours.median_ns), (3, 30.5));
        assert_eq!(ours.check.as_deref(), Some("overlap"));
    }

    #[test]
    fn what_the_program_does_not_say_is_missed() {
        for (from, to) in [
            ("replayed 5 64", "replayed 6 64"),
            ("replayed 5 64", ""),
            ("held in-tree", "held fake"),
            ("side in-tree -1 7 90.500", "side in-tree -1 7 x"),
            (" 90.500 88.000 89.000 91.000", ""),
            ("held vmapcache 3", "held vmapcache x"),
        ] {
            let text = TEXT.replace(from, to);
            assert!(
                read(&text, &program(), &Machine::default()).is_err(),
                "{text}"
            );
        }
        let text = TEXT.replace("machine 2 1", "machine 2 0");
        let said = read(&text, &program(), &Machine::default()).unwrap();
        assert!(!said.real_time);
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let none = Path::new("/nowhere/native");
        let said = measure(none, &program(), "vmapcache", 1, &Machine::default()).unwrap_err();
        assert!(said.starts_with("/nowhere/native: not built"), "{said}");
        // Something else than the native program, which does not read what it is told.
        let long = Program {
            text: "x".repeat(1 << 20),
            ..program()
        };
        let said = ask(Path::new("/bin/false"), &long, "vmapcache", 1).unwrap_err();
        assert_eq!(said, "/bin/false: exit status: 1, ");
        let said = measure(
            Path::new("/bin/true"),
            &long,
            "vmapcache",
            1,
            &Machine::default(),
        );
        assert!(said.unwrap_err().contains("nothing of its passes"));
    }
}
