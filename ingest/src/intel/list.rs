//! Plain lists: one value a line.

use event::Indicator;

use super::{
    guess::{guess, refang},
    sink::{Options, Refused, Sink, shown},
};

/// Reads `bytes` line by line. Empty lines are nothing; `#`, `;` and `//` begin a line of
/// comment, and ` #` the end of one, which becomes the indicator's description. Lines of a hosts
/// file (`0.0.0.0 evil.example`) count as their name.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut dyn Sink) {
    for (number, line) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let place = || format!("line {number}");
        let Ok(line) = std::str::from_utf8(line) else {
            sink.refused(Refused { place: place(), reason: "it is no UTF-8".to_owned() });
            continue;
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
            continue;
        }
        let (value, comment) = match line.find([' ', '\t']).map(|at| line.split_at(at)) {
            Some((value, rest)) if rest.trim_start().starts_with(['#', ';']) => {
                (value, Some(rest.trim_start().trim_start_matches(['#', ';', ' '])))
            }
            _ => (line, None),
        };
        let value = hosts_entry(value).unwrap_or(value);
        let value = refang(value);
        let Some(kind) = guess(&value) else {
            let reason = format!(
                "{:?} is no address, domain, URL, hash or e-mail address; a user agent or a \
                 certificate needs a CSV file with a column `type`",
                shown(&value, 100)
            );
            sink.refused(Refused { place: place(), reason });
            continue;
        };
        let mut indicator = Indicator::new(kind, value.into_owned());
        indicator.description = comment.filter(|text| !text.is_empty()).map(str::to_owned);
        options.give(indicator, (None, &place()), None, sink);
    }
}

/// The name in a line of a hosts file that sends it nowhere.
fn hosts_entry(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let nowhere = matches!(words.next()?, "0.0.0.0" | "127.0.0.1" | "::" | "::1");
    let name = words.next()?;
    (nowhere && words.next().is_none()).then_some(name)
}

#[cfg(test)]
mod tests {
    use event::{IndicatorType, Tlp};

    use super::{super::sink::Collected, *};

    #[test]
    fn lines_become_indicators_and_the_rest_is_said() {
        let text = b"# list\n\nhxxp://evil[.]example/a?b#c\n192.0.2.0/24 # scanner\r\n\
            0.0.0.0 ads.example\nnot a value\n\xff\n; more\nx@evil.example\nsvchost.exe\n";
        let options = Options { tlp: Some(Tlp::Green), ..Options::default() };
        let mut sink = Collected::default();
        read(text, &options, &mut sink);
        let found: Vec<_> =
            sink.indicators.iter().map(|(_, i)| (i.kind, i.value.as_str(), i.tlp)).collect();
        let green = Some(Tlp::Green);
        assert_eq!(
            found,
            [
                (IndicatorType::Url, "http://evil.example/a?b#c", green),
                (IndicatorType::Ip, "192.0.2.0/24", green),
                (IndicatorType::Domain, "ads.example", green),
                (IndicatorType::Email, "x@evil.example", green),
                // A list can't say that it is a file's name.
                (IndicatorType::Domain, "svchost.exe", green),
            ]
        );
        assert_eq!(sink.indicators[1].1.description.as_deref(), Some("scanner"));
        let places: Vec<_> = sink.refused.iter().map(|refused| refused.place.as_str()).collect();
        assert_eq!(places, ["line 6", "line 7"]);
    }
}
