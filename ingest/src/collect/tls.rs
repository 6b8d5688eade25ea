//! TLS for the doors: a certificate that can be renewed while they stay open.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether the files changed, at the next connection.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where a door's certificate is, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those between it and the authority behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates senders must show; without it they need none.
    pub client_ca: Option<PathBuf>,
}

/// Why a door has no TLS. The texts complete "failed to set up TLS: …".
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or no PEM.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file has no certificate in it.
    #[error("{0}: there is no certificate in it; it must be PEM, -----BEGIN CERTIFICATE-----")]
    Empty(PathBuf),
    /// Certificate and key do not fit, or an authority's certificate is none.
    #[error("{path}: {source}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Senders' certificates can't be checked with these authorities.
    #[error("{path}: {source}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::server::VerifierBuilderError,
    },
}

/// A door's side of TLS 1.2 and 1.3.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// When each file was written last.
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Tls {
    /// Reads the files. They are read again when they change; what then cannot be used leaves
    /// the last good certificate in force, and is logged.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let current =
            Current { written: files.written(), config: files.read()?, looked: Instant::now() };
        Ok(Self { files, current: Mutex::new(current) })
    }

    fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_EVERY {
            current.looked = Instant::now();
            let written = self.files.written();
            if written != current.written {
                current.written = written;
                match self.files.read() {
                    Ok(config) => {
                        current.config = config;
                        tracing::info!(
                            certificate = %self.files.certificate.display(),
                            "a door's certificate was renewed"
                        );
                    }
                    Err(error) => tracing::error!(
                        %error,
                        "failed to renew a door's certificate; the last good one stays in force"
                    ),
                }
            }
        }
        Arc::clone(&current.config)
    }

    /// The handshake.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.shake(self.config(), stream).await
    }

    /// The handshake of a door that speaks HTTP/2 to those who ask for it.
    pub(super) async fn accept_http(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut config = (*self.config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self.shake(Arc::new(config), stream).await
    }

    async fn shake(
        &self,
        config: Arc<ServerConfig>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(accepted) => accepted,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the handshake took longer than {} s", HANDSHAKE_MAX.as_secs()),
            )),
        }
    }
}

impl TlsFiles {
    fn written(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let written = |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified());
        files.into_iter().flatten().map(|path| written(path).ok()).collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|source| TlsError::File { path: self.key.clone(), source })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unfit = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Unfit { path, source }
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unfit(&self.certificate))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(unfit(path))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|source| TlsError::Authorities { path: path.clone(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(unfit(&self.certificate))?;
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |source| TlsError::File { path: path.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(file)?
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::File { path: path.to_owned(), source })?;
    match certificates.is_empty() {
        true => Err(TlsError::Empty(path.to_owned())),
        false => Ok(certificates),
    }
}
