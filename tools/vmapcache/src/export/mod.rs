// SPDX-License-Identifier: GPL-2.0

//! `export`: the module's numbers for Prometheus, over HTTP or as a file.

mod classic;

use crate::{
    metrics, parse, signals,
    view::{readable, Source, Text},
};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use tiny_http::{Header, Method, Request, Response, Server};

/// For Grafana.
const DASHBOARD: &str = include_str!("../../grafana/vmapcache.json");
const TAKEOVER: &str = "/sys/kernel/debug/vmapcache/takeover/stats";
const VERSION: &str = "/sys/module/vmapcache/version";

#[derive(clap::Args)]
pub struct Options {
    /// Serves http://ADDRESS/metrics; other machines reach 0.0.0.0:9757
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9757")]
    listen: SocketAddr,
    /// Writes vmapcache.prom into this folder, node_exporter's for text files, instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "listen")]
    textfile: Option<PathBuf>,
    /// Seconds between two files
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400), requires = "textfile")]
    seconds: u64,
    /// Writes one file and ends
    #[arg(long, requires = "textfile")]
    once: bool,
    /// Prints a dashboard for Grafana and ends
    #[arg(long, conflicts_with_all = ["listen", "textfile"])]
    dashboard: bool,
    /// A folder with copies of stats, info, callers, takeover-stats and version instead of the module's own
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

impl Options {
    fn text(&self, source: Source, name: &str) -> Result<Text, String> {
        let copy = self.from.as_ref().map(|folder| folder.join(name));
        Text::read(source, copy.as_deref())
    }

    /// A file that a module need not have.
    fn other(&self, path: &str, name: &str) -> Option<String> {
        let copy = self.from.as_ref().map(|folder| folder.join(name));
        fs::read_to_string(copy.as_deref().unwrap_or(Path::new(path))).ok()
    }

    /// All metrics of now, as OpenMetrics.
    fn metrics(&self) -> Result<String, String> {
        let stats = self.text(Source::Stats, "stats")?;
        let info = self.text(Source::Info, "info")?;
        let callers = self.text(Source::Callers, "callers")?;
        let takeover = self.other(TAKEOVER, "takeover-stats");
        let version = self.other(VERSION, "version");
        let mut all = metrics::Metrics::new();
        if let Some(version) = &version {
            all.version(version.trim());
        }
        // Both have these; those of info are a copy that may be older.
        let of_stats = parse::counters(&stats.text).map_err(|e| stats.wrong(e))?;
        let mut of_info = parse::counters(&info.text).map_err(|e| info.wrong(e))?;
        of_info.retain(|(key, _)| !of_stats.iter().any(|(other, _)| key == other));
        all.counters(&of_stats);
        all.counters(&of_info);
        if let Some(text) = &takeover {
            let found = parse::counters(text).map_err(|e| format!("{TAKEOVER}: {e}"))?;
            all.takeover(&found);
        }
        let found = parse::callers(&callers.text).map_err(|e| callers.wrong(e))?;
        all.callers(&found, readable);
        all.text()
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What a request is answered: a status, a type, and a text.
fn answer(
    method: &Method,
    url: &str,
    accept: &str,
    metrics: impl FnOnce() -> Result<String, String>,
) -> (u16, &'static str, String) {
    let path = url.split('?').next().unwrap_or_default();
    match (method, path) {
        (Method::Get | Method::Head, "/metrics") => match metrics() {
            Ok(text) if accept.contains("application/openmetrics-text") => (200, OPENMETRICS, text),
            Ok(text) => (200, CLASSIC, classic::text(&text)),
            // Prometheus notes that the target is down.
            Err(why) => (503, PLAIN, why + "\n"),
        },
        (Method::Get | Method::Head, "/") => {
            let page = "<!DOCTYPE html><title>vmapcache</title><a href=\"/metrics\">metrics</a>\n";
            (200, HTML, page.into())
        }
        (Method::Get | Method::Head, _) => (404, PLAIN, "metrics are at /metrics\n".into()),
        _ => (405, PLAIN, "only GET\n".into()),
    }
}

fn respond(request: Request, options: &Options) {
    let accept = request
        .headers()
        .iter()
        .filter(|header| header.field.equiv("Accept"));
    let accept: Vec<String> = accept.map(|header| header.value.to_string()).collect();
    let (status, kind, text) = answer(request.method(), request.url(), &accept.join(","), || {
        options.metrics()
    });
    let mut response = Response::from_string(text).with_status_code(status);
    if let Ok(header) = Header::from_bytes("Content-Type", kind) {
        response.add_header(header);
    }
    // A client that has gone misses its answer.
    let _ = request.respond(response);
}

fn serve(options: &Options) -> Result<(), String> {
    let server = Server::http(options.listen).map_err(|e| format!("{}: {e}", options.listen))?;
    eprintln!("vmapcache: http://{}/metrics", server.server_addr());
    while signals::caught().is_none() {
        let request = server.recv_timeout(Duration::from_millis(200));
        if let Some(request) = request.map_err(|e| e.to_string())? {
            respond(request, options);
        }
    }
    Ok(())
}

/// By rename: a reader sees the old file or the new one. A file of a module that is gone says nothing true.
fn write(folder: &Path, text: Result<String, String>) -> Result<(), String> {
    let path = folder.join("vmapcache.prom");
    let say = |e: io::Error| format!("{}: {e}", path.display());
    // node_exporter reads all files that end in .prom.
    let unfinished = folder.join(".vmapcache.prom.new");
    match text {
        Ok(text) => {
            fs::write(&unfinished, classic::text(&text)).map_err(say)?;
            fs::rename(&unfinished, &path).map_err(say)
        }
        Err(why) => {
            let _ = fs::remove_file(&path);
            Err(why)
        }
    }
}

fn files(options: &Options, folder: &Path) -> Result<(), String> {
    // Its absence would be said again and again.
    if !folder.is_dir() {
        return Err(format!("{}: no such folder", folder.display()));
    }
    let mut said = String::new();
    let mut next = Instant::now();
    loop {
        match write(folder, options.metrics()) {
            Err(why) if options.once => return Err(why),
            Err(why) if why != said => {
                eprintln!("vmapcache: {why}");
                said = why;
            }
            Err(_) => {}
            Ok(()) => said.clear(),
        }
        if options.once {
            return Ok(());
        }
        next += Duration::from_secs(options.seconds);
        while Instant::now() < next {
            if signals::caught().is_some() {
                return Ok(());
            }
            let left = next.saturating_duration_since(Instant::now());
            sleep(left.min(Duration::from_millis(200)));
        }
    }
}

pub fn show(options: &Options) -> Result<bool, String> {
    if options.dashboard {
        print!("{DASHBOARD}");
        return Ok(true);
    }
    let _signals = signals::PutOff::begin();
    match &options.textfile {
        Some(folder) => files(options, folder)?,
        None => serve(options)?,
    }
    match signals::caught() {
        None | Some(signals::INTERRUPT) => Ok(true),
        Some(_) => Err("ended by a signal".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn options() -> Options {
        Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            textfile: None,
            seconds: 15,
            once: true,
            dashboard: false,
            from: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")),
        }
    }

    #[test]
    fn a_scrape_has_the_numbers_of_all_files_once() {
        let text = options().metrics().unwrap();
        for line in [
            "vmapcache_build_info{version=\"0.2\"} 1",
            "vmapcache_live_bytes 6909952",
            "vmapcache_fragmentation_ratio 0.01",
            "vmapcache_takeover_calls_total{target=\"vmalloc\",fate=\"redirected\"} 1",
            "vmapcache_takeover_calls_total{target=\"vmalloc\",fate=\"range\"} 4",
            "vmapcache_takeover_calls_total{target=\"vm_map_ram\",fate=\"redirected\"} 0",
            "vmapcache_takeover_held_bytes 0",
        ] {
            let there = text.lines().any(|l| l == line);
            assert!(there, "{line}\n{text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = samples
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(text.matches("# EOF").count(), 1);
    }

    #[test]
    fn requests_are_answered() {
        let get =
            |url: &str, accept: &str| answer(&Method::Get, url, accept, || options().metrics());
        let (status, kind, text) = get(
            "/metrics",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        );
        assert_eq!((status, kind), (200, OPENMETRICS));
        assert!(text.ends_with("# EOF\n"));
        let (status, kind, text) = get("/metrics?x=1", "*/*");
        assert_eq!((status, kind), (200, CLASSIC));
        assert!(
            !text.contains("# EOF") && text.contains("# TYPE vmapcache_flushes_total counter\n"),
            "{text}"
        );
        assert_eq!(get("/", "").0, 200);
        assert_eq!(get("/other", "").0, 404);
        assert_eq!(
            answer(&Method::Post, "/metrics", "", || unreachable!()).0,
            405
        );
        let (status, _, text) = answer(&Method::Get, "/metrics", "", || Err("no module".into()));
        assert_eq!((status, text.as_str()), (503, "no module\n"));
    }

    #[test]
    fn the_dashboard_asks_for_metrics_that_there_are() {
        let text = options().metrics().unwrap();
        let there: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels
            .iter()
            .flat_map(|panel| panel["targets"].as_array().unwrap());
        let mut asked = BTreeSet::new();
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            asked.extend(words.filter(|word| word.starts_with("vmapcache_")));
        }
        assert!(asked.len() >= 10, "{asked:?}");
        assert!(asked.is_subset(&there), "{:?}", asked.difference(&there));
    }

    #[test]
    fn a_file_is_whole_and_goes_with_the_module() {
        let folder = std::env::temp_dir().join(format!("vmapcache-export-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names = || {
            let all = fs::read_dir(&folder).unwrap().flatten();
            all.map(|entry| entry.file_name().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        files(&options(), &folder).unwrap();
        let text = fs::read_to_string(folder.join("vmapcache.prom")).unwrap();
        assert_eq!(names(), ["vmapcache.prom"]);
        // The library keeps labels in no order.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            lines.sort();
            lines
        };
        let now = classic::text(&options().metrics().unwrap());
        assert_eq!(sorted(&text), sorted(&now));
        let gone = Options {
            from: Some(folder.join("nowhere")),
            ..options()
        };
        assert!(files(&gone, &folder).unwrap_err().contains("nowhere"));
        assert!(names().is_empty(), "old numbers stay");
        fs::remove_dir_all(&folder).unwrap();
        assert!(files(&options(), &folder)
            .unwrap_err()
            .contains("no such folder"));
    }
}
