//! A source as the configuration has it, ready to be asked.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use ingest::{
    outbound::{Access, Auth, AwsKey, Client, Limits},
    pull::{
        CloudFunnel, DoorOutlet, Outlet, Puller, Sekoia, SentinelOne, Source, StateFile, Vade,
        VadeToken,
    },
};

use crate::{config::pull as config, secret};

/// Bytes of one answer. A page of 1,000 threats has some 5 MB.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// A configured source.
#[derive(Clone)]
pub(crate) struct Configured {
    pub(crate) source: config::Source,
    file: StateFile,
}

impl Configured {
    /// With its cursors under `folder`.
    pub(crate) fn new(source: &config::Source, folder: &Path) -> Self {
        Self { source: source.clone(), file: StateFile::new(folder, &source.name) }
    }

    /// The pause between two rounds.
    pub(crate) const fn interval(&self) -> Duration {
        Duration::from_secs(self.source.interval_s)
    }

    /// What asks it and hands on to what `outlet` gives for its format. Secrets are read now, so that
    /// a changed one needs no restart, and a missing one is this source's failure alone. Blocks.
    pub(crate) fn puller(
        &self,
        outlet: impl FnOnce(&'static str) -> anyhow::Result<Arc<dyn Outlet>>,
    ) -> anyhow::Result<Puller> {
        let (source, auth) = source_of(&self.source)?;
        let client = client(auth, self.source.ca_file.as_deref())?;
        let outlet = outlet(source.format())?;
        let lookback = Duration::from_hours(self.source.lookback_h);
        Ok(Puller::new(source, client, outlet, self.file.clone(), lookback))
    }
}

/// The door of the service, showing the key of `source`'s feed. Blocks.
pub(crate) fn outlet_of_door(
    pull: &config::Pull,
    source: &config::Source,
) -> anyhow::Result<Arc<dyn Outlet>> {
    let url = pull.url.as_deref().context("pull.url is missing")?;
    let key = secret::read(source.key_file.as_ref(), source.key_env.as_ref())?;
    let client = client(Auth::Bearer(key), pull.ca_file.as_deref())?;
    Ok(Arc::new(DoorOutlet::new(client, &url.parse().context("pull.url")?)))
}

fn client(auth: Auth, ca_file: Option<&Path>) -> anyhow::Result<Client> {
    let ca_pem = ca_file.map(secret::file).transpose()?;
    let limits = Limits { body_bytes_max: ANSWER_BYTES_MAX, ..Limits::default() };
    Client::new(Access { auth, ca_pem, limits, ..Access::default() })
        .map_err(|reason| anyhow!(reason))
}

/// Whom to ask, and the proof to show.
fn source_of(source: &config::Source) -> anyhow::Result<(Source, Auth)> {
    if let Some(s1) = &source.sentinelone {
        let token = secret::read(s1.token_file.as_ref(), s1.token_env.as_ref())?;
        let asked = SentinelOne {
            url: s1.url.parse()?,
            streams: s1.streams.clone(),
            site_ids: s1.site_ids.clone(),
            token: token.clone(),
        };
        return Ok((Source::SentinelOne(asked), Auth::ApiToken(token)));
    }
    if let Some(sekoia) = &source.sekoia {
        let key = secret::read(sekoia.key_file.as_ref(), sekoia.key_env.as_ref())?;
        let asked = Sekoia {
            url: sekoia.url.parse()?,
            streams: sekoia.streams.clone(),
            community: sekoia.community.clone(),
        };
        return Ok((Source::Sekoia(asked), Auth::Bearer(key)));
    }
    if let Some(funnel) = &source.cloud_funnel {
        let (file, variable) =
            (funnel.secret_access_key_file.as_ref(), funnel.secret_access_key_env.as_ref());
        let asked = CloudFunnel {
            queue_url: funnel.queue_url.parse()?,
            region: funnel.region.clone(),
            endpoint: funnel.endpoint.as_deref().map(str::parse).transpose()?,
            key: AwsKey { id: funnel.access_key_id.clone(), secret: secret::read(file, variable)? },
        };
        return Ok((Source::CloudFunnel(asked), Auth::None));
    }
    let vade = source.vade.as_ref().context("it has no API to ask")?;
    let (file, variable) = (vade.client_secret_file.as_ref(), vade.client_secret_env.as_ref());
    let asked = Vade {
        url: vade.url.parse()?,
        token_url: vade.token_url.parse()?,
        tenant: vade.tenant.clone(),
        client_id: vade.client_id.clone(),
        client_secret: secret::read(file, variable)?,
        streams: vade.streams.clone(),
        token: VadeToken::default(),
    };
    Ok((Source::Vade(asked), Auth::None))
}
