//! `jacquemart event`.

use crate::{
    Exit, Failure,
    cli::{Event, Global},
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
