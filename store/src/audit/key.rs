//! The key that seals are signed with.

use std::{fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use super::{AuditError, line};

/// The half of the key that checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        line::unhex(text.trim())?.try_into().ok().map(Self)
    }

    /// The public half of the key in the file at `path`.
    pub fn of_key_file(path: &Path) -> Result<Self, AuditError> {
        Ok(SigningKey::read(path)?.public())
    }

    /// Whether `signature` is one of the key over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&line::hex(&self.0))
    }
}

/// The half that signs.
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key in the file at `path`, for its owner alone; drawn where the file is missing.
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        if !path.exists() {
            let drawn = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| wrong(path, "no random bits could be had"))?;
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|error| AuditError::io(path, error))?;
            file.write_all(drawn.as_ref())
                .and_then(|()| file.sync_all())
                .map_err(|error| AuditError::io(path, error))?;
        }
        Self::read(path)
    }

    fn read(path: &Path) -> Result<Self, AuditError> {
        let document = std::fs::read(path).map_err(|error| AuditError::io(path, error))?;
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| wrong(path, "it is no Ed25519 key in PKCS#8"))?;
        Ok(Self(pair))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    pub(super) fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }
}

fn wrong(path: &Path, reason: &str) -> AuditError {
    AuditError::Key { path: path.to_owned(), reason: reason.to_owned() }
}
