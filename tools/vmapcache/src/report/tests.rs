// SPDX-License-Identifier: GPL-2.0

//! The page of recorded data, as a browser reads it.

use super::{
    changes::Changes,
    data::{shown, File, Kind},
    page::page,
    plots, said, show, Options,
};
use crate::output;
use scraper::{Html, Selector};
use serde_json::{json, Value};
use std::{fs, path::PathBuf};

const BENCH: &str = include_str!("../../recorded/bench.json");
const NATIVE: &str = include_str!("../../recorded/native.json");
const LIVE: &str = include_str!("../../recorded/live.json");
const REPLAY: &str = include_str!("../../recorded/replay.json");

fn files() -> Vec<File> {
    let all = [
        ("native.json", NATIVE),
        ("bench.json", BENCH),
        ("live.json", LIVE),
        ("replay.json", REPLAY),
    ];
    all.map(|(name, text)| File::parse(name, text).unwrap())
        .into()
}

fn parsed(text: &str) -> Html {
    let page = Html::parse_document(text);
    assert_eq!(
        page.errors,
        Vec::<String>::new(),
        "the page is not well-formed"
    );
    page
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let all = page.select(&selector);
    all.map(|element| element.text().collect()).collect()
}

/// The objects of a file with something changed in each.
fn changed(text: &str, change: impl Fn(&mut Value)) -> String {
    let mut all: Vec<Value> = serde_json::from_str(text).unwrap();
    all.iter_mut().for_each(change);
    serde_json::to_string(&all).unwrap()
}

#[test]
fn the_page_is_whole_and_needs_no_network() {
    let text = page(&files(), None).unwrap();
    let page = parsed(&text);
    for id in ["native", "bench", "live", "replay", "repeat"] {
        assert_eq!(texts(&page, &format!("section#{id}")).len(), 1, "{id}");
    }
    // The name of SVG's language is no address that anybody opens.
    let rest = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in [
        "http:", "https:", "//", "src=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!rest.contains(word), "{word}");
    }
    let links = Selector::parse("a").unwrap();
    for link in page.select(&links) {
        let to = link.value().attr("href").unwrap();
        assert_eq!(texts(&page, &format!("section{to}")).len(), 1, "{to}");
    }
}

#[test]
fn each_figure_of_the_data_is_on_it() {
    let files = files();
    let page = parsed(&page(&files, None).unwrap());
    for file in &files {
        let id = match file.kind {
            Kind::Native => "native",
            Kind::Bench => "bench",
            Kind::Live => "live",
            Kind::Replay => "replay",
        };
        let shared = texts(&page, &format!("#{id} details .note")).concat();
        let rows = Selector::parse(&format!("#{id} details tbody tr")).unwrap();
        let cells = Selector::parse("td").unwrap();
        let rows: Vec<Vec<String>> = page
            .select(&rows)
            .map(|row| {
                row.select(&cells)
                    .map(|cell| cell.text().collect())
                    .collect()
            })
            .collect();
        assert_eq!(rows.len(), file.objects.len());
        for (object, row) in file.objects.iter().zip(&rows) {
            for (key, value) in object.as_object().unwrap() {
                let text = shown(value);
                assert!(
                    text.is_empty() // in each row, it is left out
                        || row.contains(&text)
                        || shared.contains(&format!("{key} {text}")),
                    "{key} {text} is not in {row:?}"
                );
            }
        }
        // In a plot and in a table that people read.
        let plotted = texts(&page, &format!("#{id} svg text"));
        let tables = texts(&page, &format!("#{id} > .scroll td:first-child"));
        for pair in &file.pairs {
            assert!(
                plotted.iter().any(|text| text.trim() == pair.name),
                "{}",
                pair.name
            );
            let row = tables
                .iter()
                .any(|text| pair.name.starts_with(text.as_str()));
            assert!(row || pair.name.starts_with("purge "), "{}", pair.name);
        }
    }
    let body = texts(&page, "body").concat();
    for words in [
        "AMD EPYC",
        "Linux 7.3.4+deb13-amd64",
        "commit 0123abc",
        "make native",
        "ground emulated",
        "ntfs3 skipped: no program mkntfs",
        "Ratios of instructions, 1 CPU",
        "Growth with live areas: va_only",
        "What each idea is worth",
        "How far from the limit",
        "Locks that CPUs share",
        "Latency: va_only 1p",
        "Latency: vmalloc 1p",
        "Latency of single operations",
    ] {
        assert!(body.contains(words), "{words}");
    }
}

/// The names below the points of a figure, and how many points it has.
fn points(text: &str, title: &str) -> Option<(Vec<String>, usize)> {
    let page = parsed(&page(&[File::parse("bench.json", text).unwrap()], None).unwrap());
    let of = |words| Selector::parse(words).unwrap();
    let (figures, heads, texts, circles) = (of("figure"), of("h3"), of("svg text"), of("circle"));
    let figure = page.select(&figures).find(|figure| {
        let head = figure.select(&heads).next().unwrap();
        head.text().collect::<String>() == title
    })?;
    let names = figure.select(&texts).map(|text| {
        let text: String = text.text().collect();
        text.trim().to_string()
    });
    Some((names.collect(), figure.select(&circles).count()))
}

/// The points of that figure have these names, on both sides.
fn points_are(text: &str, title: &str, names: &[&str]) {
    let (all, count) = points(text, title).unwrap();
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    assert!(all.ends_with(&names), "{all:?}");
    assert_eq!(count, 2 * names.len());
}

#[test]
fn latencies_have_a_curve_and_a_row() {
    let title = "Latency: va_only 1p, 2 threads";
    // Data from before there were quantiles.
    points_are(BENCH, title, &["50", "99", "99.9", "max"]);
    let new = changed(BENCH, |object| {
        let of = |key: &str| object[key].as_f64().unwrap();
        let (p50, p99, p999, max) = (of("p50_ns"), of("p99_ns"), of("p999_ns"), of("max_ns"));
        object["quantiles_ns"] = json!({
            "100": 0, "1000": p50, "2500": p50, "5000": p50, "7500": p99, "9000": p99, "9900": p99, "9990": p999,
            "9999": max,
        });
    });
    let names = ["1", "10", "50", "90", "99", "99.9", "99.99", "max"];
    points_are(&new, title, &names);
    let (rows, count) = points(&new, "Latency of single operations").unwrap();
    assert!(rows.contains(&"vmalloc 1p".into()), "{rows:?}");
    assert_eq!(count % 2, 0);
    // A run may leave that pass out.
    let none = changed(BENCH, |object| {
        for key in ["p50_ns", "p99_ns", "p999_ns", "max_ns"] {
            object.as_object_mut().unwrap().remove(key);
        }
    });
    assert_eq!(points(&none, title), None);
    assert_eq!(points(&none, "Latency of single operations"), None);
}

#[test]
fn text_is_escaped() {
    let odd = "<b>\"&amp;'</b>";
    let text = changed(LIVE, |object| {
        if object["workload"] == "bpf arrays" {
            object["workload"] = odd.into();
        }
    });
    let text = page(&[File::parse("<i>.json", &text).unwrap()], None).unwrap();
    let page = parsed(&text);
    for where_ in ["svg text", "td", "ol li"] {
        let there = texts(&page, where_);
        assert!(
            where_ == "ol li" || there.iter().any(|text| text.trim() == odd),
            "{where_}: {there:?}"
        );
    }
    assert!(texts(&page, "b").is_empty() && texts(&page, "i").iter().all(String::is_empty));
    assert!(texts(&page, "summary").concat().contains("<i>.json"));
}

#[test]
fn control_characters_are_shown() {
    let odd = "a\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\r\0\u{7f}z";
    let wanted = output::plain(odd);
    for (text, key) in [(LIVE, "workload"), (NATIVE, "title"), (BENCH, "machine")] {
        let text = changed(text, |object| {
            let old = object[key].as_str().unwrap().to_string();
            object[key] = format!("{old}{odd}").into();
            object[odd] = odd.into();
        });
        let text = page(&[File::parse(odd, &text).unwrap()], None).unwrap();
        let obeyed = |c: &char| c.is_control() && !"\n\t".contains(*c) || *c == '\u{202e}';
        assert_eq!(text.chars().filter(obeyed).count(), 0);
        // A browser's parser would complain of them, too.
        let page = parsed(&text);
        assert!(texts(&page, "summary").concat().contains(&*wanted));
        assert!(texts(&page, "details .note").concat().contains(&*wanted));
        if key != "machine" {
            for there in ["svg text", "td"] {
                let there = texts(&page, there);
                assert!(
                    there.iter().any(|text| text.contains(&*wanted)),
                    "{there:?}"
                );
            }
        }
    }
}

#[test]
fn each_ground_has_latencies_or_says_why_not() {
    let files = files();
    for (file, title) in files.iter().zip([
        "Latency: 1 page, 100,000 live",
        "Latency: va_only 1p",
        "Latency: bpf ring buffers",
    ]) {
        let text = serde_json::to_string(&file.objects).unwrap();
        assert!(points(&text, title).is_some(), "{title}");
    }
    let all = ["1", "10", "50", "90", "99", "99.9", "99.99", "max"];
    points_are(NATIVE, "Latency: 1 page, 2 threads", &all);
    // 150 operations, of which none is the 1,000th.
    points_are(
        LIVE,
        "Latency: bpf arrays",
        &["1", "10", "50", "90", "99", "max"],
    );
    for title in [
        "Latency of single operations",
        "Latency of single operations, 2 CPUs",
    ] {
        let text = if title.ends_with("CPUs") {
            LIVE
        } else {
            NATIVE
        };
        let (rows, count) = points(text, title).unwrap();
        assert!(count >= 6 && count % 2 == 0, "{rows:?}");
        assert!(!rows.contains(&"drain of 50,000".into()), "{rows:?}");
    }
    let note = |text: &str| {
        let page = parsed(&page(&[File::parse("x.json", text).unwrap()], None).unwrap());
        texts(&page, "p.note").concat()
    };
    let clock = "Its own cost, 20.0 ns, is taken off; it counts in steps of 10.0 ns.";
    assert!(note(NATIVE).contains(clock), "{}", note(NATIVE));
    let words = "No latencies, as a round is one operation: bpf arrays.";
    assert!(!note(LIVE).contains(words));
    let single = changed(LIVE, |object| {
        if object["workload"] == "bpf arrays" {
            object["ops"] = 1.into();
        }
    });
    assert!(note(&single).contains(words), "{}", note(&single));
    assert_eq!(points(&single, "Latency: bpf arrays"), None);
    for text in [NATIVE, BENCH] {
        let none = changed(text, |object| {
            let all = object.as_object_mut().unwrap();
            all.retain(|key, _| {
                !key.starts_with(['p', 'q']) && key != "max_ns" || key.starts_with("pages")
            });
        });
        assert!(
            note(&none).contains("No latencies: these data"),
            "{}",
            note(&none)
        );
        assert!(!note(text).contains("No latencies: these data"));
    }
}

#[test]
fn a_dark_page_changes_each_colour_that_would_not_be_seen() {
    let text = page(&files(), None).unwrap();
    let (style, body) = text.split_once("</style>").unwrap();
    let mut seen = 0;
    for (at, _) in body.match_indices("=\"#") {
        let colour = &body[at + 2..at + 9];
        if !body[at..].starts_with("=\"#")
            || body[at - 4..at].ends_with("href")
            || !colour[1..].chars().all(|c| c.is_ascii_hexdigit())
        {
            continue;
        }
        seen += 1;
        let channel = |from: usize| u32::from_str_radix(&colour[from..from + 2], 16).unwrap();
        let bright = (2 * channel(1) + 5 * channel(3) + channel(5)) / 8;
        // Neither too dark for a dark page nor too pale for a light one, or replaced.
        assert!(
            (90..180).contains(&bright) || style.contains(&format!("=\"{colour}\"]")),
            "{colour}: {bright}"
        );
    }
    assert!(seen > 100);
}

#[test]
fn five_lines_say_what_was_found_and_what_was_not_measured() {
    let mut lines = said::lines(&files());
    assert_eq!(lines.len(), 6);
    lines.remove(0); // of the recorded workload
    for (line, words) in lines.iter().zip([
        "take 80.7 ns in-tree and 15.9 ns with vmapcache; the ratio is 5.06 (turns: 3.74–5.16)",
        "vmapcache is better in 5 of 6, in-tree in none, and no difference is shown in 1",
        "with 100,000 live areas an operation takes 1.73 times as long in-tree, 0.97 times with vmapcache",
        "(ground emulated): in-tree takes ",
        "(ground emulated, by instructions): vmapcache is better in 2 of 3",
    ]) {
        assert!(line.contains(words), "{line}");
    }
    // Times of an emulated machine are no result.
    assert!(!lines[3].contains("is better"), "{}", lines[3]);
    let lines = said::lines(&[File::parse("live.json", LIVE).unwrap()]);
    for (line, command) in
        lines
            .iter()
            .zip(["make native", "make native", "make native", "make bench"])
    {
        assert!(
            line.contains("not measured") && line.contains(command),
            "{line}"
        );
    }
}

#[test]
fn a_recorded_workload_alone_has_a_page_of_its_own() {
    let of = |text: &str| [File::parse("replay.json", text).unwrap()];
    let lines = said::lines(&of(REPLAY));
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert!(
        line.contains(
            "(replay, 2 threads, ground emulated): a request for addresses takes 18353 ns in-tree"
        ) && line.contains("(turns: 0.05–5.42), so no difference is shown.")
            && line.contains("only 19 requests, too few"),
        "{line}"
    );
    let more = changed(REPLAY, |object| object["ops"] = json!(9 * 5000));
    let faster = changed(&more, |object| {
        if object["allocator"] == "vmapcache" {
            object["runs_ns"] = json!(vec![1.0; 9]);
        }
    });
    let line = said::lines(&of(&faster)).concat();
    assert!(line.ends_with("so vmapcache is better."), "{line}");
    let page = parsed(&page(&of(REPLAY), None).unwrap());
    let body = texts(&page, "body").concat();
    assert!(body.contains("vmapcache record -- make -j4") && body.contains("A recorded workload"));
    // Its reader has no checkout.
    assert!(
        !body.contains("make bench") && !body.contains("not measured"),
        "{body}"
    );
    // A bench has replays among other scenarios.
    let objects: Vec<Value> = [BENCH, REPLAY]
        .iter()
        .flat_map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap())
        .collect();
    let both = File::parse("both.json", &serde_json::to_string(&objects).unwrap()).unwrap();
    assert_eq!(both.kind, Kind::Bench);
}

/// Our runs of one scenario, times `factor`.
fn slower(text: &str, scenario: &str, factor: f64) -> String {
    changed(text, |object| {
        if object["scenario"] == scenario && object["allocator"] == "vmapcache" {
            for run in object["runs_ns"].as_array_mut().unwrap() {
                *run = json!(run.as_f64().unwrap() * factor);
            }
            for key in ["median_ns", "run_min_ns", "run_max_ns"] {
                object[key] = json!(object[key].as_f64().unwrap() * factor);
            }
        }
    })
}

#[test]
fn only_what_changed_beyond_noise_is_a_loss() {
    let old = File::parse("old.json", BENCH).unwrap();
    let between = |text: &str| {
        let new = File::parse("new.json", text).unwrap();
        Changes::between(&old, &[new]).unwrap()
    };
    let count = |text: &str| {
        let changes = between(text);
        (changes.losses.len(), changes.gains.len())
    };
    assert_eq!(count(BENCH), (0, 0));
    // Each of its turns moves by less than they differ.
    assert_eq!(count(&slower(BENCH, "vmalloc", 1.08)), (0, 0));
    assert_eq!(count(&slower(BENCH, "vmalloc", 20.0)), (1, 0));
    assert_eq!(count(&slower(BENCH, "vmalloc", 0.05)), (0, 1));
    let changes = between(&slower(BENCH, "vmalloc", 20.0));
    let lines = changes.lines();
    assert!(
        lines[0].starts_with("loss: vmalloc 1p: ratio of times") && lines[0].ends_with("(-95.0 %)"),
        "{lines:?}"
    );
    // Turns that are apart by less than anybody cares about.
    let calm = |factor: f64| {
        changed(BENCH, move |object| {
            let side = if object["allocator"] == "vmapcache" {
                factor
            } else {
                1.0
            };
            let runs = object["runs_ns"].as_array_mut().unwrap();
            for (n, run) in runs.iter_mut().enumerate() {
                *run = json!((1000.0 + n as f64) * side);
            }
            object["median_ns"] = json!(1002.0 * side);
        })
    };
    let before = File::parse("calm.json", &calm(1.0)).unwrap();
    let changes = |factor| {
        Changes::between(&before, &[File::parse("now.json", &calm(factor)).unwrap()]).unwrap()
    };
    assert_eq!(changes(1.04).losses.len(), 0);
    assert_eq!(changes(1.07).losses.len(), before.pairs.len());
    let instructions = |factor: f64| {
        changed(BENCH, move |object| {
            if object["scenario"] == "vmap" && object["pages"] == 4 {
                if let Some(count) = object["instructions"].as_f64() {
                    object["instructions"] = json!(count * factor);
                }
            }
        })
    };
    assert_eq!(count(&instructions(1.01)), (0, 0));
    assert_eq!(count(&instructions(1.03)), (1, 0));
    let few = changed(BENCH, |object| {
        object["runs_ns"].as_array_mut().unwrap().truncate(3)
    });
    let changes = between(&few);
    assert_eq!((changes.losses.len(), changes.few), (0, old.pairs.len()));
    let gone = between(&changed(BENCH, |object| {
        if object["scenario"] == "purge" {
            object["lazy"] = 7.into();
        }
    }));
    assert_eq!((gone.only_old, gone.only_new), (1, 1));
}

#[test]
fn what_does_not_compare_is_refused() {
    let bench = File::parse("old.json", BENCH).unwrap();
    let elsewhere = changed(BENCH, |object| object["machine"] = "another".into());
    let refused = |new: File| Changes::between(&bench, &[new]).err().unwrap();
    let why = refused(File::parse("new.json", &elsewhere).unwrap());
    assert!(why.contains("measured on the same machine"), "{why}");
    let why = refused(File::parse("live.json", LIVE).unwrap());
    assert!(why.contains("no new data of this kind"), "{why}");
}

#[test]
fn a_loss_is_the_status() {
    let folder = std::env::temp_dir().join(format!("vmapcache-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (old, new) = (
        write("old.json", NATIVE),
        write("new.json", &slower(NATIVE, "va_only", 9.0)),
    );
    let junk = write("junk.json", "[{\"a\": 1}]");
    let cut = write("cut.json", &BENCH[..BENCH.len() / 2]);
    let run = |files: &[&PathBuf], compare: Option<&PathBuf>| {
        show(&Options {
            files: files.iter().map(|path| path.to_path_buf()).collect(),
            compare: compare.cloned(),
            out: folder.join("sub/report.html"),
        })
    };
    assert_eq!(run(&[&new], Some(&old)), Ok(false));
    let text = fs::read_to_string(folder.join("sub/report.html")).unwrap();
    let losses = texts(&parsed(&text), "#changes td.loss");
    assert!(losses.len() >= 4, "{losses:?}");
    assert_eq!(run(&[&old], Some(&new)), Ok(true), "a gain is none");
    for (files, words) in [
        (vec![&old, &new], "of one kind"),
        (vec![&junk], "junk.json: no data of make bench"),
        (vec![&cut], "cut.json: "),
        (vec![&folder], "Is a directory"),
    ] {
        let why = run(&files, None).unwrap_err();
        assert!(why.contains(words), "{why}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_plot_takes_any_values() {
    let mark = |value, spread| plots::Mark {
        value,
        spread,
        colour: plots::OURS,
    };
    for marks in [
        vec![mark(0.0, None)],
        vec![
            mark(f64::NAN, None),
            mark(f64::INFINITY, Some((0.0, f64::INFINITY))),
        ],
        vec![mark(1e-9, Some((1e-12, 1e9)))],
        vec![],
    ] {
        let row = plots::Row {
            name: "x".into(),
            marks,
        };
        assert!(plots::rows(&[row], true).unwrap().ends_with("</svg>\n"));
    }
    assert!(plots::rows(&[], true).is_ok() && plots::rows(&[], false).is_ok());
    assert!(plots::lines(&[], plots::number).is_ok());
}
