// SPDX-License-Identifier: GPL-2.0

//! `record`: follows what the kernel asks of the in-tree allocator, and keeps it in a file.

use super::{
    file,
    gather::{Gathered, Layout, ALLOC, EVENTS},
    names::Names,
    Head, Recording, MOST_REQUESTS,
};
use crate::{
    instance::{Instance, System},
    machine::Machine,
    signals, size,
};
use std::{
    ffi::{c_int, c_long},
    fs::{self, File},
    io::{ErrorKind, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("until").required(true).args(["command", "span", "all"]),
    after_help = "All requests of the whole machine are recorded meanwhile, not only those of COMMAND: what it frees is\n\
        often freed by a worker of the kernel.\n\n\
        The file has no addresses. It has the names of functions, and the words of COMMAND."
)]
pub struct Options {
    /// Where the recording goes
    #[arg(short, long, value_name = "FILE", default_value = "vmapcache.rec")]
    output: PathBuf,
    /// Ends after this time: 60s, 5m, 1h
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    span: Option<Duration>,
    /// Ends when it is interrupted (Ctrl-C)
    #[arg(long)]
    all: bool,
    /// Does not look who asks: recording costs less
    #[arg(long)]
    no_callers: bool,
    /// For each CPU, for events that have not been read yet
    #[arg(long, value_name = "KIB", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(4..=1 << 20))]
    buffer_kb: u32,
    /// Ends when COMMAND ends
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("a number with s, m or h, like 60s".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a number with s, m or h, like 60s")?;
    let seconds = number.checked_mul(unit).filter(|s| *s <= 100 * 86_400);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "no more than 2400h".into())
}

extern "C" {
    fn sysconf(name: c_int) -> c_long;
    fn setpriority(which: c_int, who: u32, nice: c_int) -> c_int;
}
/// Linux's, on all machines that vmapcache knows.
const SC_PAGESIZE: c_int = 30;

pub fn page_bytes() -> u64 {
    // SAFETY: Returns a number, whatever the argument.
    let bytes = unsafe { sysconf(SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Gets this program a CPU before most others: events that it does not read in time are lost.
fn hurry() {
    const PROCESS: c_int = 0;
    // SAFETY: Changes this process's own priority; if that is not allowed, nothing.
    unsafe { setpriority(PROCESS, 0, -19) };
}

/// What the recording waits for.
enum Until {
    Command(Box<Child>),
    Time(Instant),
    Signal,
}

impl Until {
    /// Whether it has come; if it was a command, how that ended.
    fn over(&mut self) -> Result<Option<Option<ExitStatus>>, String> {
        if let Until::Command(child) = self {
            // It gets the signals of a terminal, too, and must end first.
            let ended = child.try_wait().map_err(|e| e.to_string())?;
            return Ok(ended.map(Some));
        }
        let over = match self {
            Until::Time(end) => Instant::now() >= *end,
            _ => false,
        };
        Ok((over || signals::caught().is_some()).then_some(None))
    }
}

/// Longest time between two looks at the buffers.
const PAUSE: Duration = Duration::from_millis(10);

/// Reads all pages that there are of a CPU, but no more than its buffer has at once.
fn drain(
    mut file: &File,
    cpu: u16,
    page: &mut [u8],
    most: usize,
    gathered: &mut Gathered,
) -> Result<bool, String> {
    let mut some = false;
    for _ in 0..most {
        match file.read(page) {
            Ok(0) => break,
            Ok(read) => gathered.page(cpu, &page[..read])?,
            Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::Interrupted => {
                break
            }
            Err(e) => return Err(format!("trace_pipe_raw: {e}")),
        }
        some = true;
    }
    Ok(some)
}

/// The instance, ready to trace; and whether it traces stacks.
fn prepare(options: &Options) -> Result<(Instance, Layout), String> {
    let mut instance = Instance::new(System::Vmalloc, options.buffer_kb)?;
    let mut layout = Layout::new(|name| instance.read(&format!("events/{name}")))?;
    for cpu in instance.cpus()? {
        instance.open(&format!("per_cpu/cpu{cpu}/trace_pipe_raw"))?;
    }
    let trigger = instance.event(ALLOC, "trigger");
    if options.no_callers || instance.set(&trigger, "stacktrace").is_err() {
        layout.without_stacks();
    }
    Ok((instance, layout))
}

fn follow(
    instance: &Instance,
    cpus: &[u16],
    until: &mut Until,
    buffer_kb: u32,
    gathered: &mut Gathered,
) -> Result<Option<ExitStatus>, String> {
    let page_bytes = page_bytes();
    // A page of the buffer is one of memory, unless somebody asked for larger ones.
    let mut page = vec![0; 1 << 16];
    let most = (u64::from(buffer_kb) << 10) / page_bytes + 2;
    let mut round = |gathered: &mut Gathered| {
        let mut some = false;
        for (cpu, file) in cpus.iter().zip(&instance.files) {
            some |= drain(file, *cpu, &mut page, most as usize, gathered)?;
        }
        Ok::<_, String>(some)
    };
    let mut full = false;
    let status = loop {
        if let Some(status) = until.over()? {
            break status;
        }
        let some = round(gathered)?;
        if gathered.len() >= MOST_REQUESTS && !full {
            eprintln!(
                "vmapcache: {MOST_REQUESTS} requests are enough: what comes now is not recorded"
            );
            instance.stop();
            full = true;
        }
        if !some || full {
            thread::sleep(PAUSE);
        }
    };
    instance.stop();
    while round(gathered)? {}
    Ok(status)
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

pub fn record(options: &Options) -> Result<bool, String> {
    let _signals = signals::PutOff::begin();
    let (instance, layout) = prepare(options)?;
    let callers = layout.has_stacks();
    let cpus = instance.cpus()?;
    let mut gathered = Gathered::new(layout, page_bytes());
    for event in EVENTS {
        instance.enable(event)?;
    }
    let (wall, began) = (SystemTime::now(), Instant::now());
    let mut until = match (options.command.split_first(), options.span) {
        (Some((program, arguments)), _) => {
            let child = Command::new(program).args(arguments).spawn();
            Until::Command(Box::new(child.map_err(|e| format!("{program}: {e}"))?))
        }
        (None, Some(span)) => Until::Time(began + span),
        (None, None) => Until::Signal,
    };
    // Not COMMAND, which has begun already.
    hurry();
    let followed = follow(
        &instance,
        &cpus,
        &mut until,
        options.buffer_kb,
        &mut gathered,
    );
    let ns = began.elapsed().as_nanos() as u64;
    instance.stop();
    let lost: Vec<u64> = cpus.iter().map(|cpu| instance.lost_on(*cpu)).collect();
    drop(instance);
    if let (Err(_), Until::Command(child)) = (&followed, &mut until) {
        // What it does is of no use any more, but it may be half-way.
        let _ = child.wait();
    }
    let status = followed?;
    // Functions of a module that has gone meanwhile are not among them.
    let names = match callers {
        true => fs::read_to_string("/proc/kallsyms").unwrap_or_default(),
        false => String::new(),
    };
    let names = Names::new(&names);
    if callers && names.is_empty() {
        eprintln!("vmapcache: /proc/kallsyms has no addresses: the callers stay unknown");
    }
    let machine = Machine::here();
    let (failed, purges, purged) = (gathered.failed, gathered.purges, gathered.purged);
    let strange = gathered.strange;
    let (requests, ranges, callers) = gathered.requests(&names);
    let head = Head {
        kernel: machine.kernel,
        architecture: std::env::consts::ARCH.into(),
        machine: machine.machine,
        cpus: cpus.last().map_or(1, |last| u32::from(*last) + 1),
        memory_mb: machine.memory_mb,
        began: wall.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        ns,
        command: options.command.clone(),
        page_bytes: page_bytes(),
        requests: requests.len() as u64,
        lost,
        failed,
        purges,
        purged,
        ranges,
        callers,
    };
    let recording = Recording { head, requests };
    let bytes = file::save(&options.output, &recording)?;
    let (allocations, frees, older) = recording.counts();
    let lost: u64 = recording.head.lost.iter().sum();
    eprintln!(
        "vmapcache: {} recorded in {:.1} s, {} lost: {}, {} ({older} of older ones), {failed} failed; {} with {}",
        count(recording.head.requests, "request"),
        ns as f64 / 1e9,
        count(lost, "event"),
        count(allocations, "allocation"),
        count(frees, "free"),
        options.output.display(),
        size::bytes(bytes),
    );
    if strange > 0 {
        eprintln!("vmapcache: {} made no sense", count(strange, "more event"));
    }
    match (status, signals::caught()) {
        (Some(status), _) if !status.success() => {
            eprintln!("vmapcache: {}: {status}", options.command.join(" "));
            Ok(false)
        }
        // The usual way to end it.
        (_, None | Some(signals::INTERRUPT)) => Ok(true),
        (_, Some(_)) => Err("ended by a signal".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let of = |text| span(text).map(|d| d.as_secs());
        assert_eq!(of("60s"), Ok(60));
        assert_eq!(of("5m"), Ok(300));
        assert_eq!(of("2h"), Ok(7200));
        assert_eq!(of("7"), Ok(7));
        for wrong in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "99999999999999999999s",
            "9999h",
            "5mm",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_have_a_size() {
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
    }
}
