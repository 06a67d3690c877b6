// SPDX-License-Identifier: GPL-2.0

//! `record`: follows what the kernel asks of the in-tree allocator, and keeps it in a file.

use super::{
    file,
    gather::{Gathered, Layout, ALLOC, EVENTS},
    names::Names,
    Head, Recording, MOST_REQUESTS,
};
use crate::{
    instance::{words_of_boot, Instance, System},
    machine::{page_bytes, Machine},
    output, signals, size,
    trace::reader,
    wait,
};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("until").required(true).args(["command", "span", "all", "boot"]),
    after_help = "All requests of the whole machine are recorded meanwhile, not only those of COMMAND: what it frees is\n\
        often freed by a worker of the kernel.\n\n\
        A boot is traced by the kernel itself, from its beginning. Put this on its command line:\n\n  \
        trace_instance=vmapcache,vmalloc trace_options=stacktrace trace_buf_size=16M\n\n\
        The size is for each CPU. After the boot, `vmapcache record --boot` makes a file of what is there, and removes the \
        instance. The status is 1 if the buffers had too little room.\n\n\
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
    /// Records nothing: keeps what the kernel has traced since its boot, in an instance of tracefs that its command
    /// line made
    #[arg(
        long,
        value_name = "INSTANCE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "vmapcache",
        conflicts_with_all = ["no_callers", "buffer_kb"]
    )]
    boot: Option<String>,
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
    file: &File,
    cpu: u16,
    page: &mut [u8],
    most: usize,
    gathered: &mut Gathered,
) -> Result<bool, String> {
    let mut some = false;
    for _ in 0..most {
        let Some(page) = reader::read(file, page)? else {
            break;
        };
        gathered.page(cpu, page)?;
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

/// When a recording began, and how long it took.
struct Span {
    began: Duration,
    ns: u64,
}

/// Makes a recording of what was gathered, and a file of it. Returns the events that were lost.
fn keep(
    options: &Options,
    gathered: Gathered,
    callers: bool,
    lost: Vec<u64>,
    span: Span,
) -> Result<u64, String> {
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
    let cpus = lost.len().max(gathered.cpus());
    let (requests, ranges, callers) = gathered.requests(&names);
    let head = Head {
        kernel: machine.kernel,
        architecture: std::env::consts::ARCH.into(),
        machine: machine.machine,
        cpus: cpus as u32,
        memory_mb: machine.memory_mb,
        began: span.began.as_secs(),
        ns: span.ns,
        command: options.command.clone(),
        boot: options.boot.is_some(),
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
        span.ns as f64 / 1e9,
        count(lost, "event"),
        count(allocations, "allocation"),
        count(frees, "free"),
        options.output.display(),
        size::bytes(bytes),
    );
    if strange > 0 {
        eprintln!("vmapcache: {} made no sense", count(strange, "more event"));
    }
    Ok(lost)
}

fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

/// The number in KiB at the beginning of buffer_size_kb, or behind "expanded:".
fn kib(text: &str) -> Option<u64> {
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse().ok()
    };
    match text.split_once("expanded: ") {
        Some((_, behind)) => digits(behind),
        None => digits(text.trim()),
    }
}

/// The size for each CPU, in KiB, with which so many events more would have had room.
fn room(kb: u64, events: u64, lost: u64) -> u64 {
    let all = u128::from(kb) * (u128::from(events) + u128::from(lost));
    let needed = all / u128::from(events.max(1)) * 3 / 2;
    let megabytes = u64::try_from(needed / 1024 + 1).unwrap_or(u64::MAX);
    megabytes
        .checked_next_power_of_two()
        .unwrap_or(megabytes)
        .saturating_mul(1024)
}

/// Keeps what the kernel has traced since its beginning.
fn boot(options: &Options, name: &str) -> Result<bool, String> {
    let _signals = signals::PutOff::begin();
    let mut instance = Instance::of_boot(name)?;
    // What has been read is no longer there.
    file::may_save(&options.output)?;
    let layout = Layout::new(|name| instance.read(&format!("events/{name}")))?;
    let kb = instance
        .read("buffer_size_kb")
        .ok()
        .and_then(|text| kib(&text));
    let cpus = instance.cpus()?;
    for cpu in &cpus {
        instance.open(&format!("per_cpu/cpu{cpu}/trace_pipe_raw"))?;
    }
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime = uptime
        .split(' ')
        .next()
        .and_then(|seconds| seconds.parse().ok());
    let uptime = Duration::try_from_secs_f64(uptime.unwrap_or_default()).unwrap_or_default();
    instance.stop();
    let mut gathered = Gathered::new(layout, page_bytes());
    let mut page = vec![0; 1 << 16];
    for (cpu, file) in cpus.iter().zip(&instance.files) {
        while drain(file, *cpu, &mut page, usize::MAX, &mut gathered)? {}
    }
    if gathered.len() == 0 {
        return Err(format!(
            "instance {name} has no event: it was read already, or tracing was off"
        ));
    }
    let (events, callers) = (gathered.events, gathered.stacks_seen());
    let lost = of_cpus(&cpus, |cpu| instance.lost_on(cpu));
    let span = Span {
        began: since_1970().saturating_sub(uptime),
        ns: uptime.as_nanos() as u64,
    };
    let lost = keep(options, gathered, callers, lost, span)?;
    instance.remove();
    if lost == 0 {
        return Ok(true);
    }
    eprintln!(
        "vmapcache: the buffers had no room for {}, the oldest ones, so the recording does not begin with the boot; boot \
         again with {}",
        count(lost, "event"),
        words_of_boot(name, room(kb.unwrap_or(0), events, lost))
    );
    Ok(false)
}

/// Something of each CPU, by its number.
fn of_cpus(cpus: &[u16], of: impl Fn(u16) -> u64) -> Vec<u64> {
    let mut all = Vec::new();
    for cpu in cpus {
        all.resize(usize::from(*cpu), 0);
        all.push(of(*cpu));
    }
    all
}

pub fn record(options: &Options) -> Result<bool, String> {
    if let Some(name) = &options.boot {
        return boot(options, name);
    }
    let _signals = signals::PutOff::begin();
    file::may_save(&options.output)?;
    let (instance, layout) = prepare(options)?;
    let callers = layout.has_stacks();
    let cpus = instance.cpus()?;
    let mut gathered = Gathered::new(layout, page_bytes());
    for event in EVENTS {
        instance.enable(event)?;
    }
    let (wall, began) = (since_1970(), Instant::now());
    let mut until = match (options.command.split_first(), options.span) {
        (Some((program, arguments)), _) => {
            let child = Command::new(program).args(arguments).spawn();
            Until::Command(Box::new(child.map_err(|e| format!("{program}: {e}"))?))
        }
        (None, Some(span)) => Until::Time(began + span),
        (None, None) => Until::Signal,
    };
    // Not COMMAND, which has begun already.
    wait::hurry();
    let followed = follow(
        &instance,
        &cpus,
        &mut until,
        options.buffer_kb,
        &mut gathered,
    );
    let ns = began.elapsed().as_nanos() as u64;
    instance.stop();
    let lost = of_cpus(&cpus, |cpu| instance.lost_on(cpu));
    drop(instance);
    if let (Err(_), Until::Command(child)) = (&followed, &mut until) {
        // What it does is of no use any more, but it may be half-way.
        let _ = child.wait();
    }
    let status = followed?;
    keep(options, gathered, callers, lost, Span { began: wall, ns })?;
    match (status, signals::caught()) {
        (Some(status), _) if !status.success() => {
            let command = options.command.join(" ");
            eprintln!("vmapcache: {}: {status}", output::plain(&command));
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
    fn the_size_of_a_buffer_is_read_and_made_larger() {
        assert_eq!(kib("2051\n"), Some(2051));
        assert_eq!(kib("7 (expanded: 2048)\n"), Some(2048));
        assert_eq!(kib("X\n"), None);
        // A third of the events had room: 12 MiB, and a half more.
        assert_eq!(room(4096, 1000, 2000), 32 << 10);
        assert_eq!(room(64, 100, 1), 1 << 10);
        assert_eq!(room(0, 0, 5), 1 << 10);
        assert!(room(u64::MAX, 1, u64::MAX) > 0);
    }

    #[test]
    fn numbers_of_cpus_may_have_gaps() {
        assert_eq!(of_cpus(&[0, 3], |cpu| u64::from(cpu) + 7), [7, 0, 0, 10]);
        assert!(of_cpus(&[], |_| 1).is_empty());
    }
}
