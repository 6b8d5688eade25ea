//! `jacquemart sightings`.

use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::{Global, Output, Sightings},
    commands::connect,
    print,
};

pub(crate) async fn run(global: &Global, args: Sightings) -> Result<Exit, Failure> {
    let Sightings { value, within, server } = args;
    let client = connect(global, &server).await?;
    let mut query = vec![("value", value.clone())];
    query.extend(within.query());
    let seen = client.get("/api/v1/sightings", &query).await?;
    client.close().await;
    match global.output {
        Output::Json => print::json(&seen)?,
        Output::Table => show(&seen)?,
    }
    Ok(Exit::Done)
}

fn show(seen: &Value) -> std::io::Result<()> {
    for warning in seen["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", print::safe(warning.as_str().unwrap_or_default()));
    }
    let cell = |path: &str| print::cell(seen, path);
    if seen["total"] == 0 {
        print::outln!("{} was not seen in that time", cell("value"));
    } else {
        print::outln!(
            "{} is in {} events from {} to {}",
            cell("value"),
            cell("total"),
            cell("first"),
            cell("last")
        );
    }
    for commune in seen["communes"].as_array().into_iter().flatten() {
        print::outln!(
            "{}: {} events from {} to {}",
            print::cell(commune, "commune"),
            print::cell(commune, "events"),
            print::cell(commune, "first"),
            print::cell(commune, "last")
        );
        for (name, list) in [("hosts", &commune["hosts"]), ("users", &commune["users"])] {
            let each = list.as_array().into_iter().flatten().map(|value| {
                format!("{} ({})", print::cell(value, "value"), print::cell(value, "events"))
            });
            let each: Vec<String> = each.collect();
            if !each.is_empty() {
                print::outln!("  {name}: {}", each.join(", "));
            }
        }
    }
    for incident in seen["incidents"].as_array().into_iter().flatten() {
        print::outln!(
            "incident {}-{} ({}, {}): {}",
            print::cell(incident, "commune"),
            print::cell(incident, "number"),
            print::cell(incident, "severity"),
            print::cell(incident, "status"),
            print::cell(incident, "title")
        );
    }
    if seen["more_incidents"] == true {
        print::outln!("there are more incidents: jacquemart incident list --text");
    }
    Ok(())
}
