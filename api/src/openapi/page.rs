//! `/api/v1/docs`: the description for people. Nothing is loaded or run, and nothing in it comes from
//! what is kept.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "
:root { font: 15px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.2rem; border-bottom: 2px solid #5a2a82; }
details { border-bottom: 1px solid #ccc; padding: .3rem 0; }
summary { cursor: pointer; } summary code { font-weight: 600; }
code, pre { font-family: ui-monospace, monospace; font-size: .92em; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .5rem; text-align: left; vertical-align: top; }
th { font-weight: normal; }
@media (prefers-color-scheme: dark) { :root { color: #eee; background: #161418; } h2 { border-color: #b98adf; } a { color: #cfa7f0; } }
";

/// What each need is called.
fn needs(word: &str) -> &str {
    match word {
        "nobody" => "sans jeton",
        "reader" => "rôle reader",
        "analyst" => "rôle analyst",
        "admin" => "rôle admin",
        "all-communes" => "jeton de toutes les communes",
        other => other,
    }
}

/// The page of a description.
pub(super) fn page(description: &Value) -> String {
    let mut page =
        String::from("<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n");
    let version = description["info"]["version"].as_str().unwrap_or_default();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        page,
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>L'API de Jacquemart {version}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>L'API de Jacquemart {version}</h1>\n\
         <p>En-tête <code>Authorization: Bearer jqt_…</code>. Heures RFC 3339, en UTC. Les erreurs sont des \
         problèmes (RFC 9457). Ce que vous ne pouvez pas voir répond comme ce qui n'existe pas. Pour les programmes : \
         <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1). Les descriptions sont en anglais.</p>\n"
    );
    let mut section = "";
    for (path, methods) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            if tag != section {
                let _ = writeln!(page, "<h2>{}</h2>", escaped(tag));
                section = tag;
            }
            write_operation(&mut page, method, path, operation);
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn write_operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let text = |name: &str| escaped(operation[name].as_str().unwrap_or_default());
    let _ = writeln!(
        page,
        "<details id=\"{}\"><summary><code>{} {}</code> — {}</summary>\n<p>{}{}</p>",
        text("operationId"),
        method.to_uppercase(),
        escaped(path),
        text("summary"),
        needs(operation["x-needs"].as_str().unwrap_or_default()),
        match operation["x-audit"].as_str() {
            Some(action) => format!(" ; dans la piste d'audit : <code>{}</code>", escaped(action)),
            None => String::new(),
        }
    );
    let parameters: Vec<Row<'_>> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|of| Row {
            name: of["name"].as_str().unwrap_or_default(),
            is_required: of["required"] == true,
            schema: &of["schema"],
        })
        .collect();
    write_table(page, "Paramètres", &parameters);
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let required = schema["required"].as_array();
    let members: Vec<Row<'_>> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| Row {
            name,
            is_required: required.is_some_and(|names| names.iter().any(|of| of == name)),
            schema,
        })
        .collect();
    write_table(page, "Corps (JSON)", &members);
    let answers: Vec<String> = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(status, _)| *status != "default")
        .map(|(status, answer)| {
            let types = answer["content"].as_object().into_iter().flatten();
            let types: Vec<&str> = types.map(|(media_type, _)| media_type.as_str()).collect();
            format!("{status} {}", types.join(", "))
        })
        .collect();
    let _ = writeln!(page, "<p>Réponse : {}</p>\n</details>", escaped(&answers.join(" ; ")));
}

struct Row<'a> {
    name: &'a str,
    is_required: bool,
    schema: &'a Value,
}

fn write_table(page: &mut String, caption: &str, rows: &[Row<'_>]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(page, "<table><caption>{caption}</caption>");
    for Row { name, is_required, schema } in rows {
        let mark = if *is_required { " (obligatoire)" } else { "" };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\"><code>{}</code>{mark}</th><td>{}</td></tr>",
            escaped(name),
            escaped(&told(schema))
        );
    }
    page.push_str("</table>\n");
}

/// A schema in words.
fn told(schema: &Value) -> String {
    let mut parts = Vec::new();
    match &schema["type"] {
        Value::String(word) => parts.push(word.clone()),
        Value::Array(words) => {
            parts.push(words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ou "));
        }
        _ => {}
    }
    for (key, before) in [
        ("format", ""),
        ("pattern", "forme "),
        ("minimum", "au moins "),
        ("maximum", "au plus "),
        ("maxLength", "caractères au plus : "),
        ("maxItems", "éléments au plus : "),
    ] {
        match &schema[key] {
            Value::Null => {}
            Value::String(text) => parts.push(format!("{before}{text}")),
            other => parts.push(format!("{before}{other}")),
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
            .collect();
        parts.push(format!("un de : {}", words.join(", ")));
    }
    parts.extend(schema["description"].as_str().map(str::to_owned));
    parts.join(" ; ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
