//! Counts of a hunt, for people.

use std::io::Write as _;

use serde_json::Value;

use super::warn;
use crate::print::cell;

/// The longest bar of a histogram, in characters.
const BAR_MAX: u64 = 50;

/// A histogram with bars, then each field's values.
pub(super) fn print(answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let buckets = list(answer.get("histogram").unwrap_or(&Value::Null), "buckets");
    let highest = buckets.iter().map(|bar| number(bar, "count")).max().unwrap_or(0).max(1);
    for bar in &buckets {
        let count = number(bar, "count");
        // What is there at all is seen.
        let length = (count * BAR_MAX).div_ceil(highest);
        let drawn = "█".repeat(usize::try_from(length).unwrap_or_default());
        writeln!(out, "{:<24} {count:>10}  {drawn}", cell(bar, "from"))?;
    }
    for (index, field) in list(answer, "fields").iter().enumerate() {
        if index > 0 || !buckets.is_empty() {
            writeln!(out)?;
        }
        let (events, distinct) = (number(field, "events"), number(field, "distinct"));
        writeln!(out, "{}: {distinct} values in {events} events", cell(field, "field"))?;
        for value in list(field, "values") {
            let text: String = cell(&value, "value").chars().take(160).collect();
            writeln!(out, "{:>10}  {text}", number(&value, "count"))?;
        }
        match number(field, "longer") {
            0 => {}
            longer => writeln!(out, "{longer:>10}  (longer than 1,024 bytes)")?,
        }
    }
    out.flush()?;
    warn(answer);
    eprintln!("{} events", cell(answer, "total"));
    Ok(())
}
