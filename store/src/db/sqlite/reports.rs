//! Figures of periods, and the reports made of them.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use event::{CommuneId, Timestamp};
use rusqlite::{Connection, Row, params, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        Coverage, DbError, IncidentFigures, NewReport, REPORTS_MAX, Report, ReportInfo, Reports,
        RuleFigure,
        report::{TOP_MAX, Tally, check},
    },
    Sqlite,
    incident_rows::{COLUMNS, stored},
    policies::require_commune,
    sql::{Filter, level, slug, time, unsigned},
};
use crate::Scope;

const INFO: &str = "id, commune, from_time, to_time, made, by, digest";

#[async_trait]
impl Reports for Sqlite {
    async fn incident_figures(
        &self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<IncidentFigures, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incident_figures(tx, &scope, [from, to], now)).await
    }

    async fn coverage(&self, _: &Scope, at: Timestamp) -> Result<Coverage, DbError> {
        self.pool.read(move |tx| coverage(tx, at)).await
    }

    async fn keep_report(
        &self,
        scope: &Scope,
        report: NewReport,
        by: &str,
        now: Timestamp,
    ) -> Result<Report, DbError> {
        check(&report, now)?;
        let (scope, by) = (scope.clone(), by.to_owned());
        self.pool.write(move |tx| keep(tx, &scope, report, by, now)).await
    }

    async fn reports(&self, scope: &Scope) -> Result<Vec<ReportInfo>, DbError> {
        let filter = visible(scope);
        self.pool.read(move |tx| list(tx, &filter)).await
    }

    async fn report(&self, scope: &Scope, id: &str) -> Result<Option<Report>, DbError> {
        let mut filter = visible(scope);
        filter.and("id = ?", id.to_owned());
        self.pool.read(move |tx| find(tx, &filter)).await
    }
}

/// A report of all communes is no single one's to see: its commune is null, which is in no list.
fn visible(scope: &Scope) -> Filter {
    Filter::scoped(scope)
}

fn incident_figures(
    db: &Connection,
    scope: &Scope,
    [from, to]: [Timestamp; 2],
    now: Timestamp,
) -> Result<IncidentFigures, DbError> {
    let told = first_told(db, [from, to])?;
    let mut filter = Filter::scoped(scope);
    filter.and_all(
        "created < ? AND (created >= ? OR closed IS NULL OR closed >= ?)",
        [to.as_nanos().into(), from.as_nanos().into(), from.as_nanos().into()],
    );
    let sql = format!("SELECT {COLUMNS} FROM incident WHERE {}", filter.sql());
    let mut tally = Tally::new(from, to, now);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(filter.values(&[])))?;
    while let Some(row) = rows.next()? {
        let row = stored(row)?;
        tally.add(row.incident, told.get(&row.seq).copied());
    }
    Ok(tally.finish(rules(db, scope, [from, to])?))
}

/// When somebody was first told of each incident that was opened in the period: a notice that was
/// sent has that moment as its time.
fn first_told(
    db: &Connection,
    [from, to]: [Timestamp; 2],
) -> Result<HashMap<i64, Timestamp>, DbError> {
    db.prepare_cached(
        "SELECT notice.incident, min(notice.due) FROM notice
         JOIN incident ON incident.seq = notice.incident
         WHERE notice.state = 'sent' AND incident.created >= ? AND incident.created < ?
         GROUP BY notice.incident",
    )?
    .query_and_then([from.as_nanos(), to.as_nanos()], |row| Ok((row.get(0)?, time(row.get(1)?))))?
    .collect()
}

/// The rules that fired most in the incidents that were opened in the period.
fn rules(
    db: &Connection,
    scope: &Scope,
    [from, to]: [Timestamp; 2],
) -> Result<Vec<RuleFigure>, DbError> {
    let mut filter = Filter::everything();
    if let Some(communes) = scope.communes() {
        filter.and_one_of("fired.commune", communes.iter().map(CommuneId::as_str));
    }
    filter.and_all(
        "incident.created >= ? AND incident.created < ? AND incident.merged_into IS NULL",
        [from.as_nanos().into(), to.as_nanos().into()],
    );
    let sql = format!(
        "SELECT fired.rule, max(fired.name), max(fired.level), count(*), sum(fired.detections),
             count(*) FILTER (WHERE incident.verdict = 'true_positive'),
             count(*) FILTER (WHERE incident.verdict = 'false_positive')
         FROM incident_rule fired JOIN incident ON incident.seq = fired.incident
         WHERE {} GROUP BY fired.rule ORDER BY sum(fired.detections) DESC, fired.rule LIMIT {TOP_MAX}",
        filter.sql()
    );
    let read = |row: &Row<'_>| {
        let count = |column| unsigned(row.get(column)?);
        Ok::<_, DbError>(RuleFigure {
            id: row.get(0)?,
            name: row.get(1)?,
            level: level(row.get(2)?)?,
            incidents: count(3)?,
            detections: count(4)?,
            true_positive: count(5)?,
            false_positive: count(6)?,
        })
    };
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), read)?.collect()
}

fn coverage(db: &Connection, at: Timestamp) -> Result<Coverage, DbError> {
    let mut statement = db.prepare_cached(
        "SELECT rule_text.text FROM rule_activation
         JOIN rule_text USING (id, version)
         WHERE began <= ?1 AND (ended IS NULL OR ended > ?1)",
    )?;
    let mut rows = statement.query([at.as_nanos()])?;
    let (mut rules, mut techniques) = (0, BTreeSet::new());
    while let Some(row) = rows.next()? {
        rules += 1;
        // Tags are words of the document; a technique that its prose names with the prefix of a tag
        // is one that it is about.
        let text: String = row.get(0)?;
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
        techniques
            .extend(words.filter(|word| event::technique_of(word).is_some()).map(str::to_owned));
    }
    Ok(Coverage { rules, techniques: techniques.len() as u64 })
}

fn keep(
    db: &Connection,
    scope: &Scope,
    report: NewReport,
    by: String,
    now: Timestamp,
) -> Result<Report, DbError> {
    match &report.commune {
        Some(commune) => require_commune(db, scope, commune)?,
        None if scope.is_all() => {}
        None => {
            return Err(DbError::Missing { what: "commune", id: "of all communes".to_owned() });
        }
    }
    let kept: i64 = db
        .prepare_cached("SELECT count(*) FROM report WHERE commune IS ?")?
        .query_row([report.commune.as_ref().map(CommuneId::as_str)], |row| row.get(0))?;
    if unsigned(kept)? >= REPORTS_MAX {
        return Err(DbError::Refused(format!(
            "there are {kept} reports of it already, and no more are kept; show one of them"
        )));
    }
    let digest = hex(&Sha256::digest(&report.figures));
    let commune = report.commune.as_ref().map(CommuneId::as_str);
    let whole = format!(
        "{}\n{}\n{}\n{}\n{digest}",
        commune.unwrap_or_default(),
        report.from,
        report.to,
        now
    );
    let mut id = hex(&Sha256::digest(whole));
    id.truncate(12);
    db.prepare_cached(
        "INSERT INTO report (id, commune, from_time, to_time, made, by, digest, figures)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        commune,
        report.from.as_nanos(),
        report.to.as_nanos(),
        now.as_nanos(),
        by,
        digest,
        report.figures
    ])?;
    let NewReport { commune, from, to, figures } = report;
    Ok(Report { info: ReportInfo { id, commune, from, to, made: now, by, digest }, figures })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn info(row: &Row<'_>) -> Result<ReportInfo, DbError> {
    let commune: Option<String> = row.get(1)?;
    Ok(ReportInfo {
        id: row.get(0)?,
        commune: commune.map(|commune| slug(&commune)).transpose()?,
        from: time(row.get(2)?),
        to: time(row.get(3)?),
        made: time(row.get(4)?),
        by: row.get(5)?,
        digest: row.get(6)?,
    })
}

fn list(db: &Connection, filter: &Filter) -> Result<Vec<ReportInfo>, DbError> {
    let sql = format!("SELECT {INFO} FROM report WHERE {} ORDER BY made DESC, id", filter.sql());
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), info)?.collect()
}

fn find(db: &Connection, filter: &Filter) -> Result<Option<Report>, DbError> {
    let sql = format!("SELECT {INFO}, figures FROM report WHERE {}", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row| {
            Ok(Report { info: info(row)?, figures: row.get(7)? })
        })?
        .next()
        .transpose()
}
