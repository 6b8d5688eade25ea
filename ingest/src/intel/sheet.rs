//! Tables: comma- or semicolon-separated values with a line of names.

use event::{Indicator, IndicatorType, Timestamp, Tlp};

use super::{
    ReadError,
    guess::{guess, refang},
    misp,
    sink::{Options, Refused, Sink, shown},
};

/// The columns that are read, each with the other names it goes by.
const COLUMNS: &[(&str, &[&str])] = &[
    ("value", &["indicator", "ioc", "ioc_value", "observable"]),
    ("type", &["ioc_type", "indicator_type"]),
    ("id", &["uuid", "ioc_id"]),
    ("valid_from", &["first_seen", "first_seen_utc", "date"]),
    ("valid_until", &["expires", "expiration"]),
    ("confidence", &["confidence_level"]),
    ("tlp", &[]),
    ("tags", &[]),
    ("description", &["comment", "name", "info"]),
    ("reference", &["link", "url_reference"]),
];

const VALUE: usize = 0;

/// Whether the first line that is no comment names a column `value` and another one.
pub(super) fn is_one(head: &[u8]) -> bool {
    let Some(line) = first_line(head) else { return false };
    let names = columns(line, delimiter(line));
    names.iter().flatten().any(|column| *column == VALUE) && names.len() > 1
}

fn first_line(bytes: &[u8]) -> Option<&str> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty() && line[0] != b'#')?;
    std::str::from_utf8(line).ok()
}

fn delimiter(line: &str) -> u8 {
    let most = [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| {
        // The comma, where there is none at all.
        (line.bytes().filter(|byte| byte == delimiter).count(), *delimiter == b',')
    });
    most.unwrap_or(b',')
}

/// For each name in the line the column it is, where it is one that is read.
fn columns(line: &str, delimiter: u8) -> Vec<Option<usize>> {
    line.split(char::from(delimiter))
        .map(|name| {
            let name = name.trim().trim_matches('"').trim().to_lowercase().replace([' ', '-'], "_");
            COLUMNS.iter().position(|(own, others)| *own == name || others.contains(&name.as_str()))
        })
        .collect()
}

pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let line = first_line(bytes).unwrap_or_default();
    let columns = columns(line, delimiter(line));
    if !columns.contains(&Some(VALUE)) {
        let known: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        return Err(ReadError::Header(format!(
            "the first line names no column `value`; the columns read are {}",
            known.join(", ")
        )));
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(line))
        .comment(Some(b'#'))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    for row in reader.byte_records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let refused = Refused { place: "the table".to_owned(), reason: error.to_string() };
                sink.refused(refused);
                continue;
            }
        };
        let place = format!("line {}", row.position().map_or(0, csv::Position::line));
        let mut cells = [""; COLUMNS.len()];
        let mut readable = true;
        for (column, cell) in columns.iter().zip(row.iter()) {
            let Some(column) = column else { continue };
            match std::str::from_utf8(cell) {
                Ok(text) => cells[*column] = text.trim(),
                Err(_) => readable = false,
            }
        }
        let made = match readable {
            true => indicator(&cells),
            false => Err("it is no UTF-8".to_owned()),
        };
        match made {
            Ok(indicator) => {
                let date = indicator.valid_from;
                options.give(indicator, (None, &place), date, sink);
            }
            Err(reason) => sink.refused(Refused { place, reason }),
        }
    }
    Ok(())
}

fn indicator(cells: &[&str; COLUMNS.len()]) -> Result<Indicator, String> {
    let [value, kind, id, from, until, confidence, tlp, tags, description, reference] = *cells;
    let value = refang(value);
    let kind = match kind {
        "" => guess(&value).ok_or_else(|| {
            format!("{:?} is of no type that can be told; fill column `type`", shown(&value, 100))
        })?,
        word => kind_of(word).ok_or_else(|| {
            let known: Vec<_> = IndicatorType::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("type {:?} is not compared; use {}", shown(word, 40), known.join(", "))
        })?,
    };
    let present = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let time = |name: &str, text: &str| match text {
        "" | "None" | "none" | "null" => Ok(None),
        text => Timestamp::parse(text.trim_end_matches(" UTC"))
            .map(Some)
            .ok_or_else(|| format!("{name} {:?} is no RFC 3339 time", shown(text, 40))),
    };
    Ok(Indicator {
        id: present(id),
        valid_from: time("valid_from", from)?,
        valid_until: time("valid_until", until)?,
        confidence: match confidence {
            "" => None,
            text => Some(text.parse::<u8>().ok().filter(|n| *n <= 100).ok_or_else(|| {
                format!("confidence {:?} is no number from 0 to 100", shown(text, 40))
            })?),
        },
        tlp: match tlp {
            "" => None,
            text => Some(
                Tlp::from_label(text)
                    .ok_or_else(|| format!("tlp {:?} is none of TLP 2.0", shown(text, 40)))?,
            ),
        },
        tags: tags
            .split([' ', '|', ',', ';'])
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect(),
        description: present(description),
        reference: present(reference),
        ..Indicator::new(kind, value.into_owned())
    })
}

/// A type in our own words or in those that MISP and abuse.ch use.
fn kind_of(word: &str) -> Option<IndicatorType> {
    let word = word.to_ascii_lowercase();
    word.parse().ok().or_else(|| misp::kind_of(&word)).or(match word.as_str() {
        "ipv4" | "ipv6" | "ip:port" | "cidr" | "ipv4-addr" | "ipv6-addr" => Some(IndicatorType::Ip),
        "domain-name" | "fqdn" => Some(IndicatorType::Domain),
        "md5_hash" | "sha1_hash" | "sha256_hash" => Some(IndicatorType::Hash),
        "email-addr" => Some(IndicatorType::Email),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::sink::Collected, *};

    #[test]
    fn rows_become_indicators_and_the_rest_is_said() {
        let text = "# feed\nvalue,type,valid_until,confidence,tlp,tags,comment\n\
            evil[.]example,domain,2026-01-01T00:00:00Z,80,TLP:AMBER,attack.t1566,\"a, b\"\n\
            BadBot/1.0 (x),user_agent,,,,,\n\
            192.0.2.1,,,,,,\n\
            x,mutex,,,,,\n\
            192.0.2.2,ip-dst,yesterday,,,,\n\
            192.0.2.3,ip,,101,,,\n";
        assert!(is_one(text.as_bytes()));
        let mut sink = Collected::default();
        read(text.as_bytes(), &Options::default(), &mut sink).unwrap();
        let found: Vec<_> =
            sink.indicators.iter().map(|(_, i)| (i.kind, i.value.as_str())).collect();
        assert_eq!(
            found,
            [
                (IndicatorType::Domain, "evil.example"),
                (IndicatorType::UserAgent, "BadBot/1.0 (x)"),
                (IndicatorType::Ip, "192.0.2.1"),
            ]
        );
        let first = &sink.indicators[0].1;
        assert_eq!((first.confidence, first.tlp), (Some(80), Some(Tlp::Amber)));
        assert_eq!(first.description.as_deref(), Some("a, b"));
        assert_eq!(first.valid_until, Timestamp::parse("2026-01-01T00:00:00Z"));
        let said: Vec<_> =
            sink.refused.iter().map(|r| format!("{}: {}", r.place, r.reason)).collect();
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("line 6: type \"mutex\" is not compared"), "{said:?}");
        assert!(said[1].contains("valid_until \"yesterday\""), "{said:?}");
        assert!(said[2].contains("confidence"), "{said:?}");
    }

    #[test]
    fn a_table_needs_a_column_of_values() {
        let error =
            read(b"a;b\n1;2\n", &Options::default(), &mut Collected::default()).unwrap_err();
        assert!(error.to_string().contains("no column `value`"), "{error}");
        assert!(is_one(b"Indicator;Type\nx;y\n") && !is_one(b"evil.example\n"));
    }
}
