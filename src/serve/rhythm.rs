//! When a feed's silence is longer than its rhythm explains.
//!
//! Time is cut into slots of five minutes. From four weeks of slots in which the feed sent
//! something ([`Slots`]) we learn how likely each time of the week has something: [`Habit`]. A
//! silence is measured by what would have been expected in it, so that a night in which phones
//! sleep counts for next to nothing, and an hour of a firewall for twelve. It is too long where it
//! is more than three times the silences that are usual for the feed. Slots in which nobody
//! listened (the centre was down) count for nothing, neither as silence nor as habit.

use std::time::Duration;

use event::{SLOTS_A_DAY, Slots};

/// A silence of fewer expected slots is never too long: 15 minutes of a feed that never pauses.
const EXPECTED_MIN: f64 = 3.0;
/// How much longer than usual.
const FACTOR: f64 = 3.0;
/// Silences that occurred so often in four weeks are usual; longer ones are outages.
const USUAL_TIMES: usize = 3;
/// A feed that is quiet at times may have a weekend that was never seen, until it was known for
/// so long.
const LEARNING: i64 = 14 * SLOTS_A_DAY;
/// So long it may be silent meanwhile: a weekend and its nights.
const LEARNING_SILENCE: i64 = 3 * SLOTS_A_DAY;
/// A feed that is known for less than a day may be silent for a day.
const NEW: i64 = SLOTS_A_DAY;
/// Slots to both sides whose habit counts too: an hour, as clocks change and people come late.
const SLACK: i64 = SLOTS_A_DAY / 24;
/// A feed that sent something in such a part of the slots never pauses.
const STEADY: f64 = 0.97;
/// Days of a kind that must be known before they are told apart.
const DAYS_MIN: u32 = 2;

/// Kinds of days: from Monday to Friday, Saturday, Sunday.
const KINDS: usize = 3;

/// What a silence amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Silence {
    /// For how long it lasts, without the time in which nobody listened.
    pub(crate) lasted: Duration,
    /// How many slots with something were to be expected.
    pub(crate) expected: f64,
    /// From how many on it is too long.
    pub(crate) allowed: f64,
    /// Whether it is.
    pub(crate) is_too_long: bool,
}

/// How likely a slot has something, by kind of day and time of day.
struct Habit {
    by_kind: [[f64; SLOTS_A_DAY as usize]; KINDS],
}

fn kind_of(slot: i64) -> usize {
    // 1 January 1970 was a Thursday.
    match (slot.div_euclid(SLOTS_A_DAY) + 3).rem_euclid(7) {
        5 => 1,
        6 => 2,
        _ => 0,
    }
}

fn time_of(slot: i64) -> usize {
    usize::try_from(slot.rem_euclid(SLOTS_A_DAY)).unwrap_or(0)
}

impl Habit {
    /// From the slots `from..=to` in which somebody listened.
    fn learn(seen: &Slots, heard: &Slots, from: i64, to: i64) -> Self {
        const TIMES: usize = SLOTS_A_DAY as usize;
        let mut listened = [[0_u32; TIMES]; KINDS];
        let mut active = [[0_u32; TIMES]; KINDS];
        for slot in from..=to {
            if heard.get(slot) {
                let (kind, time) = (kind_of(slot), time_of(slot));
                listened[kind][time] += 1;
                // A neighbour will do: what comes every five minutes may miss a slot.
                let near = seen.get(slot - 1) || seen.get(slot) || seen.get(slot + 1);
                active[kind][time] += u32::from(near);
            }
        }
        let sum = |of: &[[u32; TIMES]; KINDS], time: usize| of.iter().map(|k| k[time]).sum::<u32>();
        let mut by_kind = [[0.0; TIMES]; KINDS];
        for (kind, likely) in by_kind.iter_mut().enumerate() {
            for (time, likely) in likely.iter_mut().enumerate() {
                let (mut n, mut of) = (active[kind][time], listened[kind][time]);
                if of < DAYS_MIN {
                    (n, of) = (sum(&active, time), sum(&listened, time));
                }
                *likely = if of == 0 { 1.0 } else { f64::from(n) / f64::from(of) };
            }
        }
        Self { by_kind }
    }

    /// How likely `slot` has something, an hour's shift forgiven.
    fn of(&self, slot: i64) -> f64 {
        let likely = |slot: i64| self.by_kind[kind_of(slot)][time_of(slot)];
        likely(slot).min(likely(slot - SLACK)).min(likely(slot + SLACK))
    }

    /// What was to be expected in each of the feed's silences in `from..=to`, the longest first.
    fn silences(&self, seen: &Slots, heard: &Slots, from: i64, to: i64) -> Vec<f64> {
        let (mut silences, mut expected) = (Vec::new(), 0.0);
        for slot in from..=to {
            if seen.get(slot) {
                if expected > 0.0 {
                    silences.push(expected);
                }
                expected = 0.0;
            } else if heard.get(slot) {
                expected += self.of(slot);
            }
        }
        silences.sort_by(|a, b| b.total_cmp(a));
        silences
    }
}

/// What the silence of a feed amounts to whose last record came in slot `last`, while it is slot
/// `now`. `seen` are the slots in which it sent something, `heard` those in which somebody listened.
pub(crate) fn silence(seen: &Slots, heard: &Slots, last: i64, now: i64) -> Silence {
    let oldest = seen.oldest().max(heard.oldest());
    let from = (oldest..=last).find(|slot| seen.get(*slot)).unwrap_or(last);
    let silent: Vec<i64> = (last + 1..now).filter(|slot| heard.get(*slot)).collect();
    let count = i64::try_from(silent.len()).unwrap_or(i64::MAX);
    let lasted = Duration::from_secs(silent.len() as u64 * 300);
    if last - from < NEW {
        // Nothing of a rhythm is known yet.
        let (expected, allowed) = (count as f64, NEW as f64);
        return Silence { lasted, expected, allowed, is_too_long: count >= NEW };
    }
    let habit = Habit::learn(seen, heard, from, last);
    let expected: f64 = silent.iter().map(|slot| habit.of(*slot)).sum();
    let usual = habit.silences(seen, heard, from, last);
    let usual = usual.get(USUAL_TIMES - 1).copied().unwrap_or(0.0);
    let allowed = (FACTOR * usual + 1.0).max(EXPECTED_MIN);
    let listened = (from..=last).filter(|slot| heard.get(*slot)).count();
    let active = (from..=last).filter(|slot| seen.get(*slot)).count();
    let is_steady = active as f64 >= STEADY * listened as f64;
    let is_known = is_steady || last - from >= LEARNING || count >= LEARNING_SILENCE;
    let is_too_long = is_known && expected >= allowed
        // What comes once a day, at its minute, is expected in too few slots to be counted by them.
        || count >= LEARNING_SILENCE.max(3 * usual_pause(seen, heard, from, last));
    Silence { lasted, expected, allowed, is_too_long }
}

/// How many slots the feed's longer pauses have, whatever was to be expected in them.
fn usual_pause(seen: &Slots, heard: &Slots, from: i64, to: i64) -> i64 {
    let (mut pauses, mut pause) = (Vec::new(), 0);
    for slot in from..=to {
        if seen.get(slot) {
            pauses.push(std::mem::take(&mut pause));
        } else if heard.get(slot) {
            pause += 1;
        }
    }
    pauses.sort_unstable_by(|a, b| b.cmp(a));
    pauses.get(USUAL_TIMES - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use event::{Timestamp, slot_of};

    use super::*;

    /// A Monday at 0 h UTC.
    fn monday() -> i64 {
        slot_of(Timestamp::from_secs(1_796_601_600))
    }

    const HOUR: i64 = SLOTS_A_DAY / 24;

    /// A feed that sends in the slots that `sends` says, heard without a pause for `days`.
    fn known(days: i64, sends: impl Fn(i64) -> bool) -> (Slots, Slots) {
        let (mut seen, mut heard) = (Slots::default(), Slots::default());
        for n in 0..days * SLOTS_A_DAY {
            heard.set(monday() + n);
            if sends(n) {
                seen.set(monday() + n);
            }
        }
        (seen, heard)
    }

    /// After how many slots of silence from slot `last` on it is too long.
    fn too_long_after(seen: &Slots, heard: &Slots, last: i64) -> Option<i64> {
        let mut heard = heard.clone();
        (1..10 * SLOTS_A_DAY).find(|n| {
            heard.set(last + n);
            silence(seen, &heard, last, last + n + 1).is_too_long
        })
    }

    fn last_of(seen: &Slots) -> i64 {
        (seen.oldest()..=seen.newest()).rev().find(|slot| seen.get(*slot)).unwrap()
    }

    /// Something that looks like chance and is the same at each run.
    fn chance(n: i64) -> f64 {
        let mixed = (n as u64).wrapping_add(0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// Phones: awake from 6 h to 22 h, something in most slots, fewer at weekends.
    fn phones(n: i64) -> bool {
        let hour = n.rem_euclid(SLOTS_A_DAY) / HOUR;
        let is_weekend = (n / SLOTS_A_DAY).rem_euclid(7) >= 5;
        (6..22).contains(&hour) && chance(n) < if is_weekend { 0.4 } else { 0.8 }
    }

    /// An office: from 7 h to 18 h on working days, everything off at other times.
    fn office(n: i64) -> bool {
        let hour = n.rem_euclid(SLOTS_A_DAY) / HOUR;
        (7..18).contains(&hour) && (n / SLOTS_A_DAY).rem_euclid(7) < 5
    }

    #[test]
    fn a_firewall_that_never_pauses_is_missed_within_a_quarter_of_an_hour() {
        for days in [2, 5, 28] {
            let (seen, heard) = known(days, |_| true);
            assert_eq!(too_long_after(&seen, &heard, last_of(&seen)), Some(3), "{days} days");
        }
    }

    #[test]
    fn phones_may_sleep_but_not_at_noon() {
        let (seen, heard) = known(24, phones);
        let last = last_of(&seen);
        assert_eq!(last / HOUR % 24, (monday() / HOUR + 21) % 24, "known until the evening");
        let after = too_long_after(&seen, &heard, last).unwrap();
        // From 22 h until 6 h nothing is expected; it is noticed in the course of the morning.
        assert!((8 * HOUR + 6..14 * HOUR).contains(&after), "{after}");

        // Silent from Monday at 11 h on, in its last week.
        let begin = 21 * SLOTS_A_DAY + 11 * HOUR;
        let (seen, heard) = known(28, |n| n < begin && phones(n));
        let after = too_long_after(&seen, &heard, last_of(&seen)).unwrap();
        assert!(after <= 3 * HOUR, "{after}");
    }

    #[test]
    fn four_weeks_of_each_rhythm_raise_nothing() {
        type Sends = fn(i64) -> bool;
        let rhythms: [(&str, Sends); 6] = [
            ("steady", |_| true),
            ("phones", phones),
            ("office", office),
            ("hourly", |n| n % HOUR == 3),
            ("five a week", |n| chance(n) < 5.0 / (7.0 * SLOTS_A_DAY as f64)),
            ("nightly", |n| n % SLOTS_A_DAY == 2 * HOUR),
        ];
        for (name, sends) in rhythms {
            let (mut seen, mut heard) = (Slots::default(), Slots::default());
            let (mut last, mut told) = (None, 0);
            let mut alarms = Vec::new();
            for n in 0..49 * SLOTS_A_DAY {
                let slot = monday() + n;
                heard.set(slot);
                if sends(n) {
                    seen.set(slot);
                    last = Some(slot);
                }
                let Some(last) = last else { continue };
                // Asked as the worker does, but not in each slot, which would take long.
                if n % 18 == 5 && told != last && silence(&seen, &heard, last, slot + 1).is_too_long
                {
                    told = last;
                    alarms.push(n as f64 / SLOTS_A_DAY as f64);
                }
            }
            let allowed = usize::from(name == "five a week");
            assert!(alarms.len() <= allowed, "{name}: on days {alarms:?}");
        }
    }

    #[test]
    fn what_comes_once_a_day_is_missed_after_three() {
        let (seen, heard) = known(28, |n| n % SLOTS_A_DAY == 2 * HOUR);
        let after = too_long_after(&seen, &heard, last_of(&seen)).unwrap();
        assert!((2 * SLOTS_A_DAY..=4 * SLOTS_A_DAY).contains(&after), "{after}");
    }

    #[test]
    fn clocks_may_change() {
        // From one week to the next the office begins an hour later by UTC.
        let change = 21 * SLOTS_A_DAY;
        let (seen, heard) =
            known(22, |n| if n < change { office(n) } else { n < change + 7 * HOUR && office(n) });
        let last = last_of(&seen);
        let after = too_long_after(&seen, &heard, last).unwrap();
        let monday_at = after - (change - (last - monday()));
        assert!(monday_at > 8 * HOUR, "not before 8 h: {monday_at}");
        assert!(monday_at < 12 * HOUR, "but in the morning: {monday_at}");
    }

    #[test]
    fn nobody_is_blamed_while_nobody_listened() {
        let (seen, mut heard) = known(20, |_| true);
        let last = last_of(&seen);
        // The centre was down for a day.
        let up = last + SLOTS_A_DAY;
        heard.set(up);
        heard.set(up + 1);
        let quiet = silence(&seen, &heard, last, up + 2);
        assert!(!quiet.is_too_long, "{quiet:?}");
        assert_eq!(quiet.lasted, Duration::from_secs(600));
        heard.set(up + 2);
        heard.set(up + 3);
        assert!(silence(&seen, &heard, last, up + 4).is_too_long);
    }

    #[test]
    fn an_outage_does_not_become_a_habit() {
        let outage = 10 * SLOTS_A_DAY..12 * SLOTS_A_DAY;
        let (seen, heard) = known(20, |n| !outage.contains(&n));
        let after = too_long_after(&seen, &heard, last_of(&seen)).unwrap();
        assert!(after <= HOUR, "{after}");
    }

    #[test]
    fn a_new_feed_has_a_day_and_its_first_weekend() {
        let (seen, heard) = known(1, |n| n < HOUR);
        let after = too_long_after(&seen, &heard, last_of(&seen)).unwrap();
        assert_eq!(after, SLOTS_A_DAY);
        // Begun on a Monday, an office's first Friday evening.
        let (seen, heard) = known(5, office);
        let after = too_long_after(&seen, &heard, last_of(&seen)).unwrap();
        assert!(after > 62 * HOUR, "{after}");
    }
}
