//! `jacquemart event`.

use std::io;

use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::{Event, Global, Output},
    commands::{connect, hunt},
    print,
};

pub(crate) async fn run(global: &Global, args: Event) -> Result<Exit, Failure> {
    match args {
        Event::Show { id, server } => {
            let client = connect(global, &server).await?;
            let answer = client.get(&format!("/api/v1/events/{id}"), &[]).await?;
            client.close().await;
            print::json(&answer)?;
        }
        Event::Tree { id, window, server } => {
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/events/{id}/process-tree");
            let tree = client.get(&path, &[("window", window)]).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&tree)?,
                Output::Table => print_tree(&tree)?,
            }
        }
        Event::Around { id, window, limit, cursor, server } => {
            let client = connect(global, &server).await?;
            let mut query = vec![("window", window), ("limit", limit.to_string())];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let answer = client.get(&format!("/api/v1/events/{id}/around"), &query).await?;
            client.close().await;
            hunt::print_page(global.output, &answer)?;
        }
    }
    Ok(Exit::Done)
}

/// The ancestors, each below its parent, then the event's process (marked) with its children.
fn print_tree(tree: &Value) -> io::Result<()> {
    for warning in tree["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", print::safe(warning.as_str().unwrap_or_default()));
    }
    let mut depth = 0;
    for ancestor in tree["ancestors"].as_array().into_iter().flatten() {
        print_process(ancestor, depth, ' ')?;
        depth += 1;
    }
    if tree["process"].is_object() {
        print_process(&tree["process"], depth, '*')?;
        print_children(&tree["process"], depth + 1)?;
    }
    if tree["truncated"] == true {
        eprintln!("there are more; hunt for process.parent.entity_id or process.parent.pid");
    }
    Ok(())
}

fn print_children(process: &Value, depth: usize) -> io::Result<()> {
    for child in process["children"].as_array().into_iter().flatten() {
        print_process(child, depth, ' ')?;
        print_children(child, depth + 1)?;
    }
    Ok(())
}

fn print_process(process: &Value, depth: usize, mark: char) -> io::Result<()> {
    let started = match process["started"].as_str() {
        Some(started) => print::safe(started),
        None => "start not seen".to_owned(),
    };
    let told = match process["command_line"].as_str() {
        Some(line) => print::safe(line),
        None => print::cell(process, "executable"),
    };
    let (pid, user) = (print::cell(process, "pid"), print::cell(process, "user"));
    print::outln!("{mark} {:indent$}{told}  [{pid} {user} {started}]", "", indent = depth * 2);
    Ok(())
}
