//! A source as the configuration has it, ready to be asked.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use detect::indicators::Source;
use event::IndicatorSourceId;
use ingest::{
    intel::{Options, Origin, Shape},
    outbound::{Access, Auth, Client},
};

use crate::{
    config::indicators::{self as config, Format, Kind},
    secret,
};

/// A configured source.
pub(super) struct Configured {
    pub(super) name: IndicatorSourceId,
    pub(super) kind: &'static str,
    pub(super) origin: Origin,
    pub(super) options: Options,
    pub(super) matching: Source,
    pub(super) interval: Duration,
    config: config::Source,
}

impl Configured {
    /// What is wrong is told with the source's name.
    pub(super) fn new(source: &config::Source) -> anyhow::Result<Self> {
        build(source)
            .with_context(|| format!("failed to set up indicators.sources {}", source.name))
    }

    /// What asks it. Reads its secrets anew each time, so that a changed password needs no
    /// restart, and a missing one is this source's failure alone. The work blocks.
    pub(super) fn client(&self) -> impl FnOnce() -> anyhow::Result<Client> + Send + 'static {
        let source = self.config.clone();
        move || {
            let ca_pem = source.ca_file.as_deref().map(secret::file).transpose()?;
            let access = Access { auth: auth(&source)?, ca_pem, ..Access::default() };
            Client::new(access).map_err(|reason| anyhow!(reason))
        }
    }
}

fn build(source: &config::Source) -> anyhow::Result<Configured> {
    let url = || -> anyhow::Result<_> {
        let text = source.url.as_deref().context("url is missing")?;
        Ok(text.parse()?)
    };
    let shape = source.format.map(|format| match format {
        Format::List => Shape::List,
        Format::Csv => Shape::Csv,
        Format::Stix => Shape::Stix,
        Format::Misp => Shape::Misp,
    });
    let (kind, origin) = match source.kind {
        Kind::File => {
            let path = source.path.clone().context("path is missing")?;
            ("file", Origin::File { path, shape })
        }
        Kind::Url => ("url", Origin::Http { url: url()?, shape }),
        Kind::Taxii => {
            ("taxii", Origin::Taxii { url: url()?, collections: source.collections.clone() })
        }
        Kind::MispFeed => ("misp-feed", Origin::MispFeed { url: url()? }),
    };
    let day = Duration::from_hours(24);
    Ok(Configured {
        name: source.name.clone(),
        kind,
        origin,
        options: Options {
            types: source.types.clone(),
            tlp: source.tlp,
            confidence: source.confidence,
            valid_for: source.valid_days.map(|days| day * days),
        },
        matching: Source {
            name: source.name.clone(),
            level: source.level,
            subdomains: source.subdomains,
            communes: Some(source.communes.clone()).filter(|communes| !communes.is_empty()),
        },
        interval: Duration::from_secs(source.interval_s),
        config: source.clone(),
    })
}

fn auth(source: &config::Source) -> anyhow::Result<Auth> {
    let named = |file: &Option<std::path::PathBuf>, variable: &Option<String>| {
        if file.is_none() && variable.is_none() {
            return Ok(None);
        }
        secret::read(file.as_ref(), variable.as_ref()).map(Some)
    };
    if let Some(user) = &source.username {
        let password = named(&source.password_file, &source.password_env)?;
        return Ok(Auth::Basic(user.clone(), password.context("its password is missing")?));
    }
    if let Some(token) = named(&source.token_file, &source.token_env)? {
        return Ok(Auth::Bearer(token));
    }
    Ok(named(&source.key_file, &source.key_env)?.map_or(Auth::None, Auth::Key))
}
