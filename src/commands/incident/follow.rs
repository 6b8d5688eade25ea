//! `jacquemart incident follow`: the live stream, event by event.

use std::time::Duration;

use event::CommuneId;
use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::Output,
    client::Client,
    print::{self, cell},
    sse::Events,
};

/// How long after the connection broke it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Prints incidents as they change. A server that cannot be reached at first is an error; one
/// that goes away later is waited for.
pub(super) async fn follow(
    output: Output,
    client: &Client,
    commune: Option<CommuneId>,
    after: Option<u64>,
) -> Result<Exit, Failure> {
    let query: Vec<_> =
        commune.into_iter().map(|commune| ("commune", commune.to_string())).collect();
    let mut last = after.map(|id| id.to_string());
    let mut connected = false;
    loop {
        match client.follow("/api/v1/incidents/stream", &query, last.as_deref()).await {
            Ok(mut response) => {
                connected = true;
                let mut events = Events::default();
                while let Ok(Some(chunk)) = response.chunk().await {
                    for event in events.push(&chunk)? {
                        last = event.id.or(last);
                        print_event(output, &event.kind, &event.data)?;
                    }
                }
            }
            Err(failure) if connected && failure.exit() == Exit::Unreachable => {}
            Err(failure) => return Err(failure),
        }
        eprintln!("the connection broke; connecting again");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn print_event(output: Output, kind: &str, data: &str) -> Result<(), Failure> {
    if kind == "reset" {
        eprintln!("the server's incidents are others than before; list them anew");
        return Ok(());
    }
    let Ok(incident) = serde_json::from_str::<Value>(data) else { return Ok(()) };
    match output {
        Output::Json => print::outln!("{data}"),
        Output::Table => print::outln!(
            "{}  {}  {}-{}  {:<8} {:<12} {}",
            cell(&incident, "updated"),
            cell(&incident, "id"),
            cell(&incident, "commune"),
            cell(&incident, "number"),
            cell(&incident, "severity"),
            cell(&incident, "status"),
            cell(&incident, "title")
        ),
    }
    Ok(())
}
