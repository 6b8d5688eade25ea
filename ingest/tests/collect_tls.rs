//! The doors over TLS, with certificates that openssl makes for the test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use collect_support::*;
use event::FeedId;
use ingest::collect::{
    Admission, Tls, TlsError, TlsFiles,
    http::{HttpDoor, HttpLimits, router},
    syslog::{self, SyslogDoor, SyslogLimits},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs openssl in `dir`; `None` after saying that the test is skipped for want of it.
fn openssl(dir: &Path, args: &[&str]) -> Option<()> {
    let status = Command::new("openssl")
        .current_dir(dir)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let Ok(status) = status else {
        eprintln!("skipped: no openssl command (apt-get install openssl)");
        return None;
    };
    assert!(status.success(), "openssl {args:?}");
    Some(())
}

/// An authority `ca.pem`.
fn authority(dir: &Path, name: &str) -> Option<()> {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    openssl(
        dir,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "2",
            "-subj",
            &subject,
        ],
    )
}

/// A certificate `name.pem` that the authority `ca` signed.
fn certificate(dir: &Path, ca: &str, name: &str) -> Option<()> {
    let (key, request, signed) =
        (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
    openssl(
        dir,
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &request,
            "-subj",
            "/CN=localhost",
        ],
    )?;
    std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let (ca_file, ca_key) = (format!("{ca}.pem"), format!("{ca}.key"));
    openssl(
        dir,
        &[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca_file,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "ext",
            "-out",
            &signed,
        ],
    )
}

fn files(dir: &Path, client_ca: bool) -> TlsFiles {
    TlsFiles {
        certificate: dir.join("server.pem"),
        key: dir.join("server.key"),
        client_ca: client_ca.then(|| dir.join("ca.pem")),
    }
}

/// A folder with an authority, a server's and a client's certificate.
fn folder() -> Option<TempDir> {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path(), "ca")?;
    certificate(dir.path(), "ca", "server")?;
    certificate(dir.path(), "ca", "client")?;
    Some(dir)
}

struct Door {
    address: SocketAddr,
    bus: Arc<MemoryBus>,
    meter: Arc<MemoryMeter>,
}

async fn open(tls: Tls) -> Door {
    let (bus, meter) = (Arc::new(MemoryBus::default()), Arc::new(MemoryMeter::default()));
    let door = SyslogDoor {
        bus: bus.clone(),
        feeds: Arc::new(MemoryFeeds::default()),
        admission: Admission::new(4 << 20),
        limits: SyslogLimits::default(),
        metrics: meter.clone(),
        feed: Some(FeedId::new("dijon-endpoints").unwrap()),
        allow_from: Vec::new(),
        tls: Some(Arc::new(tls)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(syslog::serve(listener, door, CancellationToken::new()));
    Door { address, bus, meter }
}

/// A client that trusts `ca` and shows the certificate `own`, if any.
async fn connect(
    address: SocketAddr,
    dir: &Path,
    ca: &str,
    own: Option<&str>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join(format!("{ca}.pem"))).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain =
                vec![CertificateDer::from_pem_file(dir.join(format!("{own}.pem"))).unwrap()];
            let key = PrivateKeyDer::from_pem_file(dir.join(format!("{own}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn wait_for_rejected(meter: &MemoryMeter, reason: &str, count: u64) {
    for _ in 0..2_000 {
        if meter.rejected(reason) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{reason}: {} of {count}", meter.rejected(reason));
}

#[tokio::test]
async fn syslog_comes_encrypted_and_only_from_those_with_a_certificate() {
    let Some(dir) = folder() else { return };
    let door = open(Tls::open(files(dir.path(), true)).unwrap()).await;
    let mut good = connect(door.address, dir.path(), "ca", Some("client")).await.unwrap();
    // RFC 5425's octet counting, split anywhere.
    good.write_all(b"9 <13>hello").await.unwrap();
    good.flush().await.unwrap();

    // Others fail beside it: no certificate, somebody else's, no TLS at all, half a record.
    authority(dir.path(), "other").unwrap();
    certificate(dir.path(), "other", "stranger").unwrap();
    for own in [None, Some("stranger")] {
        // With TLS 1.3 the client learns of it when it first reads.
        if let Ok(mut stream) = connect(door.address, dir.path(), "ca", own).await {
            let _ = stream.write_all(b"9 <13>worse").await;
            let read = timeout(PATIENCE, stream.read(&mut [0; 16])).await.unwrap();
            assert!(!matches!(read, Ok(n) if n > 0));
        }
    }
    let mut plain = TcpStream::connect(door.address).await.unwrap();
    plain.write_all(b"9 <13>plain").await.unwrap();
    let mut half = TcpStream::connect(door.address).await.unwrap();
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
    half.shutdown().await.unwrap();
    wait_for_rejected(&door.meter, "tls-handshake", 4).await;

    good.write_all(b"9 <13>again").await.unwrap();
    good.shutdown().await.unwrap();
    assert_eq!(door.bus.wait_for(2).await, ["<13>hello"[..9].to_owned(), "<13>again".to_owned()]);
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let Some(dir) = folder() else { return };
    let door = open(Tls::open(files(dir.path(), false)).unwrap()).await;
    let mut old = connect(door.address, dir.path(), "ca", None).await.unwrap();
    assert!(connect(door.address, dir.path(), "client", None).await.is_err());

    authority(dir.path(), "next").unwrap();
    certificate(dir.path(), "next", "server").unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while connect(door.address, dir.path(), "next", None).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    std::fs::write(dir.path().join("server.pem"), "no certificate").unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut new = connect(door.address, dir.path(), "next", None).await.unwrap();
    for stream in [&mut old, &mut new] {
        stream.write_all(b"<13>still\n").await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(door.bus.wait_for(2).await.len(), 2);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let Some(dir) = folder() else { return };
    let missing = TlsFiles { certificate: dir.path().join("none.pem"), ..files(dir.path(), false) };
    let error = Tls::open(missing).err().unwrap();
    assert!(matches!(&error, TlsError::File { path, .. } if path.ends_with("none.pem")), "{error}");
    let other_key = TlsFiles { key: dir.path().join("client.key"), ..files(dir.path(), false) };
    let error = Tls::open(other_key).err().unwrap();
    assert!(matches!(error, TlsError::Unfit { .. }), "{error}");
    let no_certificate =
        TlsFiles { certificate: dir.path().join("server.key"), ..files(dir.path(), false) };
    let error = Tls::open(no_certificate).err().unwrap();
    assert!(matches!(error, TlsError::Empty(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_posts_over_https() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: no curl (apt-get install curl)");
        return;
    }
    let Some(dir) = folder() else { return };
    let (bus, meter) = (Arc::new(MemoryBus::default()), Arc::new(MemoryMeter::default()));
    let door = HttpDoor {
        bus: bus.clone(),
        batches: Arc::new(MemoryBatches::default()),
        feeds: Arc::new(MemoryFeeds::default()),
        admission: Admission::new(4 << 20),
        limits: HttpLimits::default(),
        metrics: meter,
        elastic_version: Default::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = Arc::new(Tls::open(files(dir.path(), false)).unwrap());
    tokio::spawn(ingest::collect::http::serve(
        listener,
        router(door),
        Some(tls),
        HttpLimits::default(),
        CancellationToken::new(),
    ));
    let (key, ca) = (format!("Authorization: Bearer {DIJON_KEY}"), dir.path().join("ca.pem"));
    let run = |address: String, ca: Option<&Path>| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "-H", &key, "-d", "{\"a\":1}"]);
        if let Some(ca) = ca {
            command.arg("--cacert").arg(ca);
        }
        command.arg(address).output().unwrap()
    };
    let (https, http) =
        (format!("https://localhost:{port}/ingest"), format!("http://localhost:{port}/ingest"));
    let sent = tokio::task::block_in_place(|| run(https.clone(), Some(&ca)));
    assert!(sent.status.success(), "{sent:?}");
    let untrusted = tokio::task::block_in_place(|| run(https, None));
    assert!(!untrusted.status.success(), "an authority that nobody knows is not trusted");
    let plain = tokio::task::block_in_place(|| run(http, None));
    assert!(!plain.status.success(), "{plain:?}");
    assert_eq!(bus.raws(), ["{\"a\":1}"]);
}
