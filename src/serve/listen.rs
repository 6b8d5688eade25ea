//! Opening the doors.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, sync::Arc};

use anyhow::{Context as _, anyhow};
use axum::Router;
use ingest::{
    Batches, Feeds,
    bus::Bus,
    collect::{
        Admission, CollectMetrics, Tls,
        http::{self, HttpDoor, HttpLimits},
        syslog::{self, Network, SyslogDoor, SyslogLimits},
    },
};
use tokio::{
    net::{TcpListener, UdpSocket, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{batches::KeptBatches, feeds::LocalFeeds, meter::DoorMeter, pull};
use crate::{
    Exit, Failure,
    config::{self, Config, IngestSyslog, Transport},
    wire::Wired,
};

/// Where the doors are.
pub(crate) struct Opened {
    pub(crate) ingest: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// What the doors of a configuration share.
struct Doors<'a> {
    config: &'a Config,
    bus: Arc<dyn Bus>,
    batches: Arc<dyn Batches>,
    feeds: Arc<dyn Feeds>,
    admission: Admission,
    metrics: CollectMetrics,
}

/// Opens `/ingest`, the API, the socket for commands on this machine, and the syslog
/// listeners; each serves in `set` until `stop`.
pub(crate) async fn open(
    config: &Config,
    wired: &Wired,
    set: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> Result<Opened, Failure> {
    let doors = Doors {
        config,
        bus: wired.bus.clone().context("the bus is not open")?,
        batches: Arc::new(KeptBatches(Arc::clone(&wired.db))),
        feeds: Arc::clone(&wired.feeds) as _,
        admission: Admission::new(config.ingest.http.in_flight_bytes_max.as_usize()),
        metrics: Arc::new(DoorMeter(Arc::clone(&wired.metrics), Arc::clone(&wired.feed_watch))),
    };
    // Everything is bound before anything serves, so that a taken port lets nothing half start.
    let (ingest_listener, ingest) = bind(config.ingest.http.listen, "ingest.http.listen").await?;
    let (api_listener, api) = bind(config.api.listen, "api.listen").await?;
    let ingest_tls = tls(config.ingest.http.tls.as_ref(), "ingest.http.tls")?;
    let api_tls = tls(config.api.tls.as_ref(), "api.tls")?;
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    for door in &config.ingest.syslog {
        match door.transport {
            Transport::Tcp => {
                let (listener, _) = bind(door.listen, "ingest.syslog.listen").await?;
                streams.push((listener, doors.syslog(door)?));
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(door.listen).await;
                let socket = socket
                    .map_err(|error| cannot_listen(door.listen, error, "ingest.syslog.listen"))?;
                datagrams.push((socket, doors.syslog(door)?));
            }
        }
    }
    let local = bind_socket(config)?;

    let ingest_router = http::router(doors.http(Arc::clone(&doors.feeds)));
    serve_http(set, ingest_listener, ingest_router, ingest_tls, doors.limits(), stop);
    serve_http(set, api_listener, wired.api(), api_tls, HttpLimits::default(), stop);
    let local_feeds = Arc::new(LocalFeeds(Arc::clone(&wired.feeds)));
    let local_router = wired.local_api().merge(http::router(doors.http(local_feeds)));
    let stopped = stop.clone();
    set.spawn(async move {
        axum::serve(local, local_router)
            .with_graceful_shutdown(async move { stopped.cancelled().await })
            .await
            .context("failed to serve the local socket")
    });
    for (listener, door) in streams {
        let stop = stop.clone();
        set.spawn(async move {
            syslog::serve(listener, door, stop).await;
            Ok(())
        });
    }
    for (socket, door) in datagrams {
        let stop = stop.clone();
        set.spawn(async move {
            syslog::serve_datagrams(socket, door, stop).await;
            Ok(())
        });
    }
    let into = pull::Into {
        bus: Arc::clone(&doors.bus),
        feeds: Arc::clone(&doors.feeds),
        metrics: Arc::clone(&doors.metrics),
        watch: Arc::clone(&wired.feed_watch),
    };
    pull::spawn(config, &into, &wired.metrics, set, stop);
    Ok(Opened { ingest, api })
}

impl Doors<'_> {
    fn limits(&self) -> HttpLimits {
        let http = &self.config.ingest.http;
        HttpLimits {
            body_bytes_max: http.body_bytes_max.as_usize(),
            decompressed_bytes_max: http.decompressed_bytes_max.as_usize(),
            record_bytes_max: http.record_bytes_max.as_usize(),
            ..HttpLimits::default()
        }
    }

    fn http(&self, feeds: Arc<dyn Feeds>) -> HttpDoor {
        HttpDoor {
            bus: Arc::clone(&self.bus),
            batches: Arc::clone(&self.batches),
            feeds,
            admission: self.admission.clone(),
            limits: self.limits(),
            metrics: Arc::clone(&self.metrics),
            // The configuration was checked when it was read.
            elastic_version: self
                .config
                .ingest
                .http
                .elasticsearch_version
                .parse()
                .unwrap_or_default(),
        }
    }

    fn syslog(&self, door: &IngestSyslog) -> Result<SyslogDoor, Failure> {
        if let Some(feed) = &door.feed
            && self.feeds.by_id(feed).is_none()
        {
            tracing::warn!(%feed, listen = %door.listen, "this syslog listener's feed does not exist yet; `jacquemart feed add` makes it");
        }
        let allow_from = door
            .allow_from
            .iter()
            .map(|text| {
                text.parse::<Network>()
                    .map_err(|error| Failure::usage(format!("ingest.syslog.allow_from: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(SyslogDoor {
            bus: Arc::clone(&self.bus),
            feeds: Arc::clone(&self.feeds),
            admission: self.admission.clone(),
            limits: SyslogLimits::default(),
            metrics: Arc::clone(&self.metrics),
            feed: door.feed.clone(),
            allow_from,
            tls: tls(door.tls.as_ref(), "ingest.syslog.tls")?,
        })
    }
}

fn serve_http(
    set: &mut JoinSet<anyhow::Result<()>>,
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: HttpLimits,
    stop: &CancellationToken,
) {
    let stop = stop.clone();
    set.spawn(async move {
        http::serve(listener, router, tls, limits, stop).await;
        Ok(())
    });
}

async fn bind(address: SocketAddr, key: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| cannot_listen(address, error, key))?;
    let address = listener.local_addr().context("failed to read a listener's address")?;
    Ok((listener, address))
}

fn cannot_listen(address: SocketAddr, error: std::io::Error, key: &str) -> Failure {
    let error = anyhow!(error).context(format!("failed to listen on {address} ({key})"));
    Failure::new(Exit::Usage, error)
}

/// The certificate of a listener, where it has one.
fn tls(section: Option<&config::Tls>, key: &str) -> Result<Option<Arc<Tls>>, Failure> {
    let Some(section) = section else { return Ok(None) };
    let tls = Tls::open(section.files())
        .map_err(|error| Failure::usage(format!("failed to set up TLS ({key}): {error}")))?;
    Ok(Some(Arc::new(tls)))
}

/// The socket for commands on this machine, open to the folder's owner only. The data folder is
/// held, so a socket that lies there is an ended process's.
fn bind_socket(config: &Config) -> Result<UnixListener, Failure> {
    let path = config.socket();
    if path.exists() {
        std::fs::remove_file(&path)
            .with_context(|| format!("failed to remove {}", path.display()))?;
    }
    let listener = UnixListener::bind(&path).with_context(|| {
        format!("failed to listen on {} (a socket's path has at most 107 bytes)", path.display())
    })?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("failed to restrict {}", path.display()))?;
    Ok(listener)
}
