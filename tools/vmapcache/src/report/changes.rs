// SPDX-License-Identifier: GPL-2.0

//! What differs between two measurements beyond noise.

use super::data::{File, Pair};

/// A ratio must change by more than this part of it, besides.
const RATIO: f64 = 0.05;
/// Instructions vary by less from boot to boot.
const INSTRUCTIONS: f64 = 0.02;
/// With fewer turns, all new ones beside all old ones are no rare chance.
const TURNS: usize = 4;

/// One figure that changed.
pub struct Change {
    pub name: String,
    /// Of what: the ratio to in-tree, or our instructions.
    pub what: &'static str,
    pub old: f64,
    pub new: f64,
    /// From the old to the new one; above 0 is better.
    pub gain: f64,
}

/// What a comparison found.
#[derive(Default)]
pub struct Changes {
    /// The file of old data, and where they are from.
    pub old: String,
    pub losses: Vec<Change>,
    pub gains: Vec<Change>,
    /// Figures that did not change beyond noise.
    pub same: usize,
    /// Of too few turns to tell.
    pub few: usize,
    /// Settings that only one of the two has.
    pub only_old: usize,
    pub only_new: usize,
}

impl Changes {
    /// # Errors
    ///
    /// There is nothing to compare with.
    pub fn between(old: &File, new: &[File]) -> Result<Changes, String> {
        let same_kind = new.iter().find(|file| file.kind == old.kind);
        let new = same_kind.ok_or_else(|| {
            format!(
                "{}: there are no new data of this kind to compare with",
                old.name
            )
        })?;
        let mut changes = Changes {
            old: format!("{} ({})", old.name, old.origin()),
            ..Changes::default()
        };
        let mut compared = 0;
        for pair in &new.pairs {
            match old.pairs.iter().find(|before| before.key() == pair.key()) {
                Some(before) => {
                    compared += 1;
                    changes.ratio(before, pair);
                    changes.instructions(before, pair);
                }
                None => changes.only_new += 1,
            }
        }
        if compared == 0 {
            return Err(format!(
                "{}: no setting of it was measured on the same machine and ground as in {} ({}; {})",
                old.name,
                new.name,
                old.origin(),
                new.origin()
            ));
        }
        changes.only_old = old.pairs.len().saturating_sub(compared);
        for list in [&mut changes.losses, &mut changes.gains] {
            list.sort_by(|a, b| b.gain.abs().total_cmp(&a.gain.abs()));
        }
        Ok(changes)
    }

    fn add(&mut self, change: Change, beyond_noise: bool) {
        match (beyond_noise, change.gain > 0.0) {
            (false, _) => self.same += 1,
            (true, true) => self.gains.push(change),
            (true, false) => self.losses.push(change),
        }
    }

    /// Both sides ran in the same boot, so their ratio tells less of the machine than a time.
    fn ratio(&mut self, before: &Pair, now: &Pair) {
        let turns = before.turns().zip(now.turns());
        let few = before.ours.len().min(now.ours.len()) < TURNS;
        let Some((old, new)) = turns.filter(|_| !few) else {
            self.few += 1;
            return;
        };
        let gain = now.ratio / before.ratio - 1.0;
        let apart = new.1 < old.0 || old.1 < new.0;
        let change = Change {
            name: now.name.clone(),
            what: match now.unit.as_str() {
                "instructions" => "ratio of instructions, in-tree to vmapcache",
                _ => "ratio of times, in-tree to vmapcache",
            },
            old: before.ratio,
            new: now.ratio,
            gain,
        };
        self.add(change, apart && gain.abs() > RATIO);
    }

    fn instructions(&mut self, before: &Pair, now: &Pair) {
        let Some((old, new)) = before.instructions.zip(now.instructions) else {
            return;
        };
        let gain = old / new - 1.0;
        let change = Change {
            name: now.name.clone(),
            what: "instructions of vmapcache",
            old,
            new,
            gain,
        };
        self.add(change, gain.abs() > INSTRUCTIONS);
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "Compared with {}: {} losses, {} gains, {} unchanged within noise",
            self.old,
            self.losses.len(),
            self.gains.len(),
            self.same
        );
        for (number, what) in [
            (self.few, "with too few turns to tell"),
            (self.only_new, "settings are new"),
            (self.only_old, "settings are gone"),
        ] {
            if number > 0 {
                text += &format!(", {number} {what}");
            }
        }
        text
    }

    /// As lines for a terminal or a log.
    pub fn lines(&self) -> Vec<String> {
        let all = [("loss", &self.losses), ("gain", &self.gains)];
        let lines = all.into_iter().flat_map(|(word, list)| {
            list.iter().map(move |change| {
                format!(
                    "{word}: {}: {}: {} before, {} now ({:+.1} %)",
                    change.name,
                    change.what,
                    figure(change.old),
                    figure(change.new),
                    change.gain * 100.0
                )
            })
        });
        lines.chain([self.summary()]).collect()
    }
}

/// Three digits or more.
pub fn figure(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
