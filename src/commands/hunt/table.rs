//! Events as CSV.

use std::io::{self, Write};

use api::harmless;
use serde_json::Value;

use crate::{Failure, print::text};

/// Fields as columns, comma-separated, with a line of names first (RFC 4180).
pub(super) struct Table {
    columns: Vec<String>,
    is_headed: bool,
}

impl Table {
    /// Of fields' names, with commas between them.
    pub(super) fn new(columns: &str) -> Result<Self, Failure> {
        let columns: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
        if columns.iter().any(String::is_empty) {
            let hint =
                "--csv takes names of fields with commas between them, e.g. @timestamp,host.name";
            return Err(Failure::usage(hint.to_owned()));
        }
        Ok(Self { columns, is_headed: false })
    }

    pub(super) fn write(&mut self, event: &Value, out: &mut impl Write) -> io::Result<()> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        if !self.is_headed {
            writer.write_record(&self.columns)?;
            self.is_headed = true;
        }
        writer.write_record(self.columns.iter().map(|column| harmless(text(event, column))))?;
        writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_columns_and_no_value_is_a_formula() {
        let mut table = Table::new("host.name, tags,process.command_line").unwrap();
        let mut out = Vec::new();
        for command_line in ["a,\"b\"\nc", "=HYPERLINK(\"http://evil\")", "-enc", "é"] {
            let event = json!({
                "host": { "name": "PC-1" }, "tags": ["x", "y"],
                "process": { "command_line": command_line },
            });
            table.write(&event, &mut out).unwrap();
        }
        let lines = "host.name,tags,process.command_line\r\n\
                     PC-1,\"x,y\",\"a,\"\"b\"\"\nc\"\r\n\
                     PC-1,\"x,y\",\"'=HYPERLINK(\"\"http://evil\"\")\"\r\n\
                     PC-1,\"x,y\",'-enc\r\n\
                     PC-1,\"x,y\",é\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), lines);
        assert!(Table::new("a,,b").is_err());
    }
}
