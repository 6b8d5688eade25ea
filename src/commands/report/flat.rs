//! A report's figures, one a line.

use api::harmless;
use serde_json::Value;

use crate::Failure;

/// Columns `figure` (its path, parts split by `/`) and `value`; what is not there is left out.
pub(super) fn csv(figures: &Value) -> Result<String, Failure> {
    let mut lines = Vec::new();
    flatten("", figures, &mut lines);
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let whole = (|| {
        writer.write_record(["figure", "value"])?;
        for (path, value) in lines {
            writer.write_record([harmless(path), harmless(value)])?;
        }
        writer.flush()?;
        writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))
    })()?;
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                flatten(&below(name), value, lines);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                flatten(&below(&(place + 1).to_string()), value, lines);
            }
        }
        Value::Null => {}
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        other => lines.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn each_figure_is_a_line_and_none_a_formula() {
        let figures = json!({"a": {"b": [1, {"c": "=cmd()"}]}, "d": null});
        let text = super::csv(&figures).ok().unwrap_or_default();
        assert_eq!(text, "figure,value\r\na/b/1,1\r\na/b/2/c,'=cmd()\r\n");
    }
}
