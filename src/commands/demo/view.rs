//! The live view.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    capture::Capture,
    watch::{Board, State},
};
use crate::print::{cell, safe};

const REDRAW_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: u32 = 8;
const INCIDENTS_MAX: usize = 12;

/// Shows the board until `done`: redrawn in place on a terminal, a line each two seconds
/// elsewhere.
pub(super) async fn run(
    live: bool,
    board: &Board,
    capture: &Capture,
    rules: usize,
    done: &CancellationToken,
) {
    if !live {
        done.cancelled().await;
        return;
    }
    let terminal = io::stdout().is_terminal();
    println!(
        "{} — {} communes, {} feeds, {rules} rules, {} events to come",
        safe(&capture.title),
        capture.communes.len(),
        capture.feeds.len(),
        capture.events.len()
    );
    let mut drawn = 0;
    let mut ticks = 0;
    let mut before = 0;
    loop {
        let last = done.is_cancelled();
        let rate = {
            let accepted = board.lock().accepted;
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = (accepted - before) as f64 / REDRAW_EVERY.as_secs_f64();
            before = accepted;
            rate
        };
        if terminal {
            let lines = lines(&board.lock(), capture, rate);
            let mut out = String::new();
            if drawn > 0 {
                // Up over what was drawn, and clear from there.
                out.push_str(&format!("\x1b[{drawn}A\x1b[J"));
            }
            for line in &lines {
                out.push_str(line);
                out.push('\n');
            }
            drawn = lines.len();
            let _ = io::stdout().write_all(out.as_bytes()).and_then(|()| io::stdout().flush());
        } else if ticks % LINE_EVERY == 0 || last {
            println!("{}", head(&board.lock(), rate));
        }
        ticks += 1;
        if last {
            return;
        }
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(REDRAW_EVERY) => {}
        }
    }
}

fn head(state: &State, rate: f64) -> String {
    let caught = state.catches.iter().flatten().count();
    format!(
        "{:>5.1} s  {rate:>6.0} events/s  {:>6} acknowledged  {:>6} searchable  {:>3} detections  {:>2} incidents  {caught}/{} stages",
        state.elapsed().as_secs_f64(),
        state.accepted,
        state.searchable,
        state.detections,
        state.incidents.len(),
        state.catches.len(),
    )
}

fn lines(state: &State, capture: &Capture, rate: f64) -> Vec<String> {
    let mut lines = vec![String::new(), head(state, rate), String::new()];
    for (stage, catch) in capture.stages.iter().zip(&state.catches) {
        let mark = match catch {
            Some(catch) => format!("caught {:>5} ms", catch.detected_ms),
            None => "      …        ".to_owned(),
        };
        lines.push(cut(&format!("  {mark}  {} · {}", safe(&stage.title), stage.commune)));
    }
    lines.push(String::new());
    for incident in state.incidents.iter().take(INCIDENTS_MAX) {
        lines.push(cut(&format!(
            "  {:<9} {:<16} {:>3} detections  {}",
            cell(incident, "severity"),
            cell(incident, "commune"),
            cell(incident, "detections"),
            cell(incident, "title")
        )));
    }
    lines
}

/// At most one row of a usual terminal, so that going up over it finds its beginning.
fn cut(line: &str) -> String {
    line.chars().take(118).collect()
}
