//! `/api/v1/incidents/export`: incidents as others read them.

mod ocsf;
mod stix;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use event::{Commune, Tlp};
use serde_json::{Value, json};
use store::db::Incident;

use crate::{App, ask::Ask, incidents, params::joined, problem::Problem};

/// Incidents in one answer.
const EXPORT_MAX: usize = 10_000;
/// Incidents read at once.
const PAGE: usize = 1_000;

/// The query parameters: those of a list, and as what.
pub(crate) const PARAMS: &[&str] = &joined::<2, 12, 14>(["format", "tlp"], incidents::FILTERS);

const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// As what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
    Ocsf,
    Stix,
}

impl Format {
    const ALL: [Self; 4] = [Self::Ndjson, Self::Csv, Self::Ocsf, Self::Stix];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Ocsf => "ocsf",
            Self::Stix => "stix",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson | Self::Ocsf => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Stix => "application/stix+json;version=2.1",
        }
    }
}

/// The incidents that match, up to [`EXPORT_MAX`] in one answer.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let formats = ask.params.words("format", &Format::ALL, Format::as_str)?;
    let [format] = formats[..] else {
        return Err(Problem::parameter("format", "format is one of ndjson, csv, ocsf, stix"));
    };
    let tlp = match ask.params.words("tlp", Tlp::ALL, Tlp::as_str)?[..] {
        [] => Tlp::Amber,
        [tlp] => tlp,
        _ => return Err(Problem::parameter("tlp", "tlp is one marking")),
    };
    if format != Format::Stix && ask.params.text("tlp").is_some() {
        return Err(Problem::parameter("tlp", "only stix carries a marking; leave tlp out"));
    }
    let (scope, mut query) = incidents::query(&app, &ask).await?;
    let wanted = match ask.params.limit(EXPORT_MAX)? {
        0 => EXPORT_MAX,
        limit => limit,
    };
    let mut found: Vec<Incident> = Vec::new();
    loop {
        query.limit = (wanted - found.len()).min(PAGE);
        let page = app.db.incidents(&scope, &query).await.map_err(Problem::of_db)?;
        found.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() || found.len() >= wanted {
            break;
        }
    }
    let communes = app.db.communes(&scope).await.map_err(Problem::of_db)?;
    let body = match format {
        Format::Ndjson => lines(found.iter().map(|incident| json!(incident))),
        Format::Ocsf => lines(found.iter().map(|incident| ocsf::finding(incident, &communes))),
        Format::Stix => stix::bundle(&found, &communes, tlp).to_string(),
        Format::Csv => csv(&found).map_err(|error| Problem::internal(error.to_string()))?,
    };
    let media_type = HeaderValue::from_static(format.media_type());
    let mut response = ([(header::CONTENT_TYPE, media_type)], body).into_response();
    if let Some(next) = query.cursor.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}

fn lines(objects: impl Iterator<Item = Value>) -> String {
    objects.map(|object| format!("{object}\n")).collect()
}

/// `DIJON-12`.
fn reference(incident: &Incident) -> String {
    format!("{}-{}", incident.commune.as_str().to_uppercase(), incident.number)
}

/// The name of its commune.
fn name_of<'a>(incident: &'a Incident, communes: &'a [Commune]) -> &'a str {
    let known = communes.iter().find(|commune| commune.id == incident.commune);
    known.map_or(incident.commune.as_str(), |commune| &commune.name)
}

/// Its ATT&CK techniques, as `T1003.001`.
fn techniques(incident: &Incident) -> impl Iterator<Item = String> {
    let numbers = incident.tags.iter().filter_map(|tag| event::technique_of(tag));
    numbers.map(|number| format!("T{number}"))
}

/// What begins a formula in a spreadsheet, which a value from elsewhere must not do (OWASP, CSV
/// injection).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// For a cell of a CSV file: with a quote before what a spreadsheet would run.
pub fn harmless(text: String) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

fn csv(incidents: &[Incident]) -> Result<String, std::io::Error> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record([
        "reference",
        "id",
        "commune",
        "severity",
        "status",
        "verdict",
        "assignee",
        "title",
        "entities",
        "labels",
        "techniques",
        "detections",
        "risk_score",
        "first_event",
        "last_event",
        "created",
        "acknowledged",
        "contained",
        "resolved",
        "closed",
        "due",
        "nis2_aware",
    ])?;
    for incident in incidents {
        let time = |at: Option<event::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let entities: Vec<String> = incident
            .entities
            .iter()
            .map(|entity| format!("{}:{}", entity.kind.as_str(), entity.name))
            .collect();
        let row = [
            reference(incident),
            incident.id.to_string(),
            incident.commune.to_string(),
            incident.severity.to_string(),
            incident.status.as_str().to_owned(),
            incident.verdict.map(|verdict| verdict.as_str().to_owned()).unwrap_or_default(),
            incident.assignee.clone().unwrap_or_default(),
            incident.title.clone(),
            entities.join(" "),
            incident.labels.join(" "),
            techniques(incident).collect::<Vec<_>>().join(" "),
            incident.detections.to_string(),
            incident.risk_score.to_string(),
            incident.first_event.to_string(),
            incident.last_event.to_string(),
            incident.created.to_string(),
            time(incident.acknowledged),
            time(incident.contained),
            time(incident.resolved),
            time(incident.closed),
            time(incident.due),
            time(incident.nis2_aware),
        ];
        writer.write_record(row.map(harmless))?;
    }
    let whole = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    String::from_utf8(whole).map_err(std::io::Error::other)
}
