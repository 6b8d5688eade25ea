//! `jacquemart sla`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use event::{CommuneId, Level};

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart sla list
  jacquemart sla set --severity critical --acknowledge 10m --contain 2h --resolve 1d
  jacquemart sla set --commune chenove --severity low --acknowledge off
  jacquemart sla set --commune chenove --severity low --default

docs/clocks.md says what they start, stop and tell.")]
pub(crate) enum Sla {
    /// The targets that hold, for all and for each commune
    List {
        /// Only this commune's
        #[arg(long)]
        commune: Option<CommuneId>,
        #[command(flatten)]
        server: Server,
    },
    /// Set the targets of incidents of one severity that open from now on; what is not given is
    /// the wider one again
    Set {
        /// Only of this commune
        #[arg(long)]
        commune: Option<CommuneId>,
        /// low, medium, high or critical
        #[arg(long, value_name = "LEVEL")]
        severity: Level,
        #[command(flatten)]
        targets: Targets,
        #[command(flatten)]
        server: Server,
    },
}

/// How soon.
#[derive(Debug, Args)]
#[group(id = "targets", required = true, multiple = true)]
pub(crate) struct Targets {
    /// After how long somebody must have looked, e.g. 30m, 8h or 3d; off is no clock
    #[arg(long, value_name = "TIME")]
    pub(crate) acknowledge: Option<Minutes>,
    /// After how long it must be contained
    #[arg(long, value_name = "TIME")]
    pub(crate) contain: Option<Minutes>,
    /// After how long it must be resolved
    #[arg(long, value_name = "TIME")]
    pub(crate) resolve: Option<Minutes>,
    /// The wider ones alone
    #[arg(long, conflicts_with_all = ["acknowledge", "contain", "resolve"])]
    pub(crate) default: bool,
}

/// A number of minutes, written as e.g. `30m`, `8h` or `3d`; 0 is `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes(pub(crate) u32);

impl FromStr for Minutes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(0));
        }
        let wrong = || format!("{text:?} is no time; write e.g. 30m, 8h or 3d, or off");
        let (number, factor) = match text.char_indices().next_back() {
            Some((end, 'm')) => (&text[..end], 1),
            Some((end, 'h')) => (&text[..end], 60),
            Some((end, 'd')) => (&text[..end], 1_440),
            _ => return Err(wrong()),
        };
        let minutes = number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
        minutes.filter(|minutes| *minutes > 0).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::Minutes;

    #[test]
    fn times_have_a_unit() {
        for (text, minutes) in [("30m", 30), ("8h", 480), ("3d", 4_320), ("off", 0)] {
            assert_eq!(text.parse(), Ok(Minutes(minutes)));
        }
        for bad in ["", "0m", "30", "m", "-1h", "1.5h", "5000000d", "é"] {
            let said = bad.parse::<Minutes>().unwrap_err();
            assert!(said.contains("write e.g. 30m"), "{said}");
        }
    }
}
