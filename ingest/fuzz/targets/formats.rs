//! The compiler of formats, and what it compiled on records: text, a zero byte, a record.
#![no_main]

use ingest::formats::{Declared, Formats};
use ingest_fuzz::decode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    match Declared::load(text) {
        // Whatever is wrong is told, with its place.
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| drop(problem.to_string()));
        }
        Ok(format) => {
            let formats = Formats::builtin().with(format);
            let name = text.lines().find_map(|line| {
                line.strip_prefix("name = \"")?.strip_suffix('"').map(str::to_owned)
            });
            let name = name.filter(|name| formats.names().contains(&name.as_str()));
            decode(&formats, name.as_deref().unwrap_or("json"), parts.next().unwrap_or(b"{}"));
        }
    }
});
