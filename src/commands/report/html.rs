//! A report as a page in French, to read on a screen or on paper.

use serde_json::Value;

use super::page::Page;
use crate::{french, print::cell};

/// Severities, the worst first, with colours that are told apart by those who see few, and in grey.
const SEVERITIES: [(&str, &str); 4] =
    [("critical", "#4b0055"), ("high", "#a33b8f"), ("medium", "#d98cc0"), ("low", "#c9c3cf")];

pub(super) fn html(report: &Value) -> String {
    let figures = &report["figures"];
    let whose = whose(figures);
    let mut page = Page::new(&format!("Rapport d'activité — {whose}"));
    page.element(
        "p",
        &format!(
            "Du {} au {} (exclu), heures UTC. Chiffres arrêtés le {}.",
            moment(figures, "from"),
            moment(figures, "to"),
            moment(figures, "as_of")
        ),
    );
    for warning in list(figures, "/events/warnings") {
        page.note(&format!("Attention : {}", warning.as_str().unwrap_or_default()));
    }
    summary(&mut page, figures);
    incidents(&mut page, &figures["incidents"]);
    times(&mut page, &figures["incidents"]);
    detection(&mut page, figures);
    events(&mut page, figures);
    feeds(&mut page, figures);
    each_incident(&mut page, &figures["incidents"]);
    method(&mut page, report);
    page.finish()
}

/// The name of the commune, or all of them.
fn whose(figures: &Value) -> String {
    let id = figures["commune"].as_str();
    let communes = list(figures, "/communes");
    match id {
        None => format!("toutes les communes ({})", communes.len()),
        Some(id) => communes
            .iter()
            .find(|commune| commune["id"] == id)
            .map_or_else(|| id.to_owned(), |commune| cell(commune, "name")),
    }
}

fn list(value: &Value, path: &str) -> Vec<Value> {
    value.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

/// A time to the minute.
fn moment(value: &Value, path: &str) -> String {
    let text = cell(value, path);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

/// A whole number with thin spaces between thousands, as French has it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A span in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, 0) => format!("{ms} ms"),
        (0, 0, 0, seconds) => format!("{seconds},{} s", ms / 100 % 10),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes:02}"),
        (days, hours, ..) => format!("{days} j {hours:02} h"),
    }
}

fn total(by_severity: &Value) -> u64 {
    SEVERITIES.iter().map(|(severity, _)| number(by_severity, &format!("/{severity}"))).sum()
}

fn summary(page: &mut Page, figures: &Value) {
    page.element("h2", "Synthèse");
    let incidents = &figures["incidents"];
    let feeds = list(figures, "/feeds");
    let silent = feeds.iter().filter(|feed| feed["is_silent"] == true).count();
    let rows = [
        ("Incidents ouverts", grouped(total(&incidents["opened"]))),
        ("dont critiques", grouped(number(incidents, "/opened/critical"))),
        ("Incidents fermés", grouped(total(&incidents["closed"]))),
        ("Incidents encore ouverts à la fin", grouped(total(&incidents["left_open"]))),
        ("Détections dans les incidents ouverts", grouped(number(incidents, "/detections"))),
        ("Événements de la période", grouped(number(figures, "/events/total"))),
        ("dont illisibles", grouped(number(figures, "/events/unread"))),
        ("Sources", grouped(feeds.len() as u64)),
        ("dont muettes à l'arrêté des chiffres", grouped(silent as u64)),
    ];
    let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).into();
    page.table("En un regard", &["", "#"], &rows);
}

fn incidents(page: &mut Page, incidents: &Value) {
    page.element("h2", "Incidents");
    let counts = |of: &Value| SEVERITIES.map(|(severity, _)| number(of, &format!("/{severity}")));
    let row = |name: &str, of: &Value| {
        let mut row = vec![name.to_owned()];
        row.extend(counts(of).map(grouped));
        row.push(grouped(total(of)));
        row
    };
    let heads = ["", "#critique", "#haute", "#moyenne", "#basse", "#en tout"];
    let rows = [
        row("ouverts", &incidents["opened"]),
        row("fermés", &incidents["closed"]),
        row("ouverts à la fin", &incidents["left_open"]),
    ];
    page.table("Par gravité", &heads, &rows);
    let months: Vec<(String, Value)> = incidents["opened_by_month"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(month, of)| (month.clone(), of.clone()))
        .collect();
    let bars: Vec<_> =
        months.iter().map(|(month, of)| (month.clone(), counts(of).to_vec())).collect();
    let parts = SEVERITIES.map(|(severity, colour)| (french::severity(severity), colour));
    page.bars("Incidents ouverts par mois et gravité", &parts, &bars);
    let rows: Vec<_> = months.iter().map(|(month, of)| row(month, of)).collect();
    page.table("Ouverts, par mois", &heads, &rows);
    let verdicts: Vec<_> = incidents["opened_by_verdict"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(word, count)| {
            vec![french::verdict(word).to_owned(), grouped(count.as_u64().unwrap_or_default())]
        })
        .collect();
    page.table("Jugement de ceux qui se sont ouverts", &["jugement", "#incidents"], &verdicts);
}

fn times(page: &mut Page, incidents: &Value) {
    page.element("h2", "Délais");
    let rows: Vec<_> = list(incidents, "/durations")
        .iter()
        .map(|of| {
            let mut row = vec![
                french::duration(&cell(of, "name")).to_owned(),
                french::severity(&cell(of, "severity")).to_owned(),
                grouped(number(of, "/count")),
            ];
            row.extend(
                ["/min_ms", "/mean_ms", "/median_ms", "/max_ms"].map(|at| span(number(of, at))),
            );
            row
        })
        .collect();
    page.table(
        "Durées, des incidents ouverts dans la période",
        &[
            "durée",
            "gravité",
            "#incidents",
            "#la plus courte",
            "#moyenne",
            "#médiane",
            "#la plus longue",
        ],
        &rows,
    );
    let rows: Vec<_> = list(incidents, "/clocks")
        .iter()
        .map(|of| {
            let [kept, broken, running] = ["/kept", "/broken", "/running"].map(|at| number(of, at));
            let share = match kept + broken {
                0 => "—".to_owned(),
                ended => format!("{} %", kept * 100 / ended),
            };
            vec![
                french::clock(&cell(of, "name")).to_owned(),
                french::severity(&cell(of, "severity")).to_owned(),
                grouped(kept),
                grouped(broken),
                grouped(running),
                share,
            ]
        })
        .collect();
    page.table(
        "Engagements : échéances tenues",
        &["échéance", "gravité", "#tenues", "#dépassées", "#en cours", "#part tenue"],
        &rows,
    );
}

fn detection(page: &mut Page, figures: &Value) {
    page.element("h2", "Détection");
    let row = |name: &str, at: &str| {
        vec![
            name.to_owned(),
            grouped(number(figures, &format!("/coverage/{at}/rules"))),
            grouped(number(figures, &format!("/coverage/{at}/techniques"))),
        ]
    };
    page.table(
        "Couverture",
        &["", "#règles en vigueur", "#techniques ATT&CK nommées"],
        &[row("au début", "at_from"), row("à la fin", "at_to")],
    );
    let rows: Vec<_> = list(figures, "/incidents/rules")
        .iter()
        .map(|of| {
            let mut row = vec![cell(of, "name"), french::severity(&cell(of, "level")).to_owned()];
            row.extend(
                ["/detections", "/incidents", "/true_positive", "/false_positive"]
                    .map(|at| grouped(number(of, at))),
            );
            row
        })
        .collect();
    page.table(
        "Les règles qui ont le plus sonné",
        &["règle", "niveau", "#détections", "#incidents", "#vrais", "#faux"],
        &rows,
    );
    let rows: Vec<_> = list(figures, "/incidents/techniques")
        .iter()
        .map(|of| {
            let technique = of[0].as_str().unwrap_or_default();
            let technique = technique.trim_start_matches("attack.").to_uppercase();
            vec![technique, grouped(of[1].as_u64().unwrap_or_default())]
        })
        .collect();
    page.table("Techniques ATT&CK des incidents", &["technique", "#incidents"], &rows);
}

fn events(page: &mut Page, figures: &Value) {
    page.element("h2", "Événements");
    let days: Vec<_> = list(figures, "/events/by_day")
        .iter()
        .map(|day| {
            let label: String = day[0].as_str().unwrap_or_default().chars().take(10).collect();
            (label, vec![day[1].as_u64().unwrap_or_default()])
        })
        .collect();
    page.bars("Événements par jour", &[("événements", "#5a2a82")], &days);
    let unread = list(figures, "/events/unread_by_feed");
    let rows: Vec<_> = list(figures, "/events/by_feed")
        .iter()
        .map(|of| {
            let illegible = unread.iter().find(|other| other["feed"] == of["feed"]);
            vec![
                cell(of, "feed"),
                grouped(number(of, "/events")),
                grouped(illegible.map_or(0, |of| number(of, "/events"))),
            ]
        })
        .collect();
    page.table("Par source", &["source", "#événements", "#illisibles"], &rows);
}

fn feeds(page: &mut Page, figures: &Value) {
    page.element("h2", "Sources");
    let rows: Vec<_> = list(figures, "/feeds")
        .iter()
        .map(|of| {
            let inventory = match of["inventory"].is_object() {
                true => format!(
                    "{} déclarés, {} jamais vus, {} inconnus",
                    number(of, "/inventory/declared"),
                    number(of, "/inventory/missing"),
                    number(of, "/inventory/unknown")
                ),
                false => "non déclaré".to_owned(),
            };
            let state = match (of["is_silent"] == true, of["last_received"].is_null()) {
                (_, true) => "n'a jamais rien envoyé",
                (true, _) => "muette",
                (false, false) => "en service",
            };
            vec![
                cell(of, "id"),
                cell(of, "commune"),
                cell(of, "format"),
                state.to_owned(),
                moment(of, "last_received"),
                grouped(number(of, "/devices")),
                inventory,
                match of["own_retention_days"].as_u64() {
                    Some(days) => format!("{days} j"),
                    None => "celle de tous".to_owned(),
                },
            ]
        })
        .collect();
    page.table(
        "État à l'arrêté des chiffres",
        &[
            "source",
            "commune",
            "format",
            "état",
            "dernier reçu",
            "#postes vus",
            "inventaire",
            "conservation",
        ],
        &rows,
    );
}

fn each_incident(page: &mut Page, incidents: &Value) {
    page.element("h2", "Les incidents ouverts dans la période");
    let listed = list(incidents, "/listed");
    let left = total(&incidents["opened"]).saturating_sub(listed.len() as u64);
    if left > 0 {
        page.note(&format!(
            "Les {} plus graves sont nommés ; {} autres sont dans les comptes.",
            listed.len(),
            grouped(left)
        ));
    }
    let rows: Vec<_> = listed
        .iter()
        .map(|of| {
            vec![
                format!("{}-{}", cell(of, "commune").to_uppercase(), cell(of, "number")),
                french::severity(&cell(of, "severity")).to_owned(),
                cell(of, "title"),
                moment(of, "created"),
                moment(of, "acknowledged"),
                moment(of, "resolved"),
                french::status(&cell(of, "status")).to_owned(),
                match of["verdict"].as_str() {
                    None => String::new(),
                    Some(word) => french::verdict(word).to_owned(),
                },
                match of["nis2_aware"].is_null() {
                    true => String::new(),
                    false => "signalé".to_owned(),
                },
            ]
        })
        .collect();
    page.table(
        "Du plus grave au moins grave",
        &[
            "numéro",
            "gravité",
            "titre",
            "ouvert",
            "pris en charge",
            "résolu",
            "état",
            "jugement",
            "NIS 2",
        ],
        &rows,
    );
}

fn method(page: &mut Page, report: &Value) {
    page.element("h2", "D'où viennent ces chiffres");
    page.note(
        "Un incident compte dans la période où il s'est ouvert ; ceux qui furent versés dans un autre ne comptent pas. Les \
         durées partent du premier événement, à l'heure de sa machine, puis de l'ouverture. Une échéance est dépassée dès \
         que son moment est passé, même si la chose fut faite ensuite. Les événements sont comptés dans l'index à \
         l'arrêté des chiffres : ce qui n'est plus conservé n'y est plus. Un événement illisible est gardé tel quel, sans \
         ses champs. La couverture compte les techniques que nomment les règles en vigueur. Ne sont pas mesurés : la \
         disponibilité du service, et le temps entre la réception d'un événement et son indexation (il est dans les \
         mesures Prometheus).",
    );
    page.note(&format!(
        "Rapport {}, fait le {} par {}. Empreinte SHA-256 de ses chiffres : {}. Les mêmes chiffres : jacquemart report show {} \
         --format json | sha256sum",
        cell(report, "id"),
        moment(report, "made"),
        cell(report, "by"),
        cell(report, "digest"),
        cell(report, "id"),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_as_french_has_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(123_456), "123\u{202f}456");
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (4_250, "4,2 s"),
            (61_000, "1 min 01 s"),
            (7_500_000, "2 h 05"),
            (90_000_000, "1 j 01 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
