//! The cluster secret, and everything that is derived from it.

use std::{fmt, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;

/// The shortest secret in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// The longest secret file in bytes; more is a mistake.
const FILE_BYTES_MAX: u64 = 4096;

/// The salt is fixed: every node must derive the same keys from the secret alone.
const SALT: &[u8] = b"roomraft cluster secret v1";

/// Why there is no usable secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {source}: make one with `roomraft cert secret > {path}`")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is too short to be one.
    #[error(
        "the cluster secret has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed: make one with `roomraft cert secret`"
    )]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// The file is too long to be one.
    #[error("the secret file {0} is longer than {FILE_BYTES_MAX} bytes: it holds one secret a line, two lines at most")]
    TooLong(String),
    /// A third line.
    #[error(
        "the secret holds more than two lines: the first is the secret, the second an older one that is still accepted"
    )]
    TooMany,
    /// The key derivation failed.
    #[error("cannot derive keys from the secret: {0}")]
    Derivation(String),
}

/// The secret that all nodes of a cluster share, stretched; perhaps with an older one that is still accepted.
///
/// Stretched with Argon2id (64 MiB, 3 passes; RFC 9106), since a certificate can be fetched and the
/// secret guessed against it offline; then HKDF-SHA-256 (RFC 5869) gives one key for each purpose.
#[derive(Clone)]
pub struct ClusterSecret {
    present: [u8; 32],
    older: Option<[u8; 32]>,
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(hidden)")
    }
}

impl ClusterSecret {
    /// Reads one or two lines: the secret, and an older one that is still accepted. Takes about a tenth of a second.
    ///
    /// # Errors
    /// [`SecretError`] where a line is too short or there are more than two.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (present, older) = (lines.next().unwrap_or_default(), lines.next());
        if lines.next().is_some() {
            return Err(SecretError::TooMany);
        }
        Ok(Self { present: stretch(present)?, older: older.map(stretch).transpose()? })
    }

    /// Reads a secret file.
    ///
    /// # Errors
    /// [`SecretError`] where it cannot be read, or holds no secret.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let name = path.display().to_string();
        let unreadable = |source| SecretError::Unreadable { path: name.clone(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(SecretError::TooLong(name));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// A new secret as text: 256 random bits.
    pub fn generate() -> String {
        URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
    }

    /// The bearer token of changing requests on the ops listener.
    pub fn ops_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(derive(&self.present, b"ops token"))
    }

    /// The key seed of the certificate authority that issues this node's certificate.
    pub(super) fn authority_seed(&self) -> [u8; 32] {
        derive(&self.present, b"certificate authority")
    }

    /// The key seeds of every authority whose certificates are accepted.
    pub(super) fn accepted_seeds(&self) -> Vec<[u8; 32]> {
        let all = [Some(&self.present), self.older.as_ref()];
        all.into_iter().flatten().map(|secret| derive(secret, b"certificate authority")).collect()
    }

    /// The key of stateless resets, so that they are believed after a restart.
    pub(super) fn reset_key(&self) -> [u8; 32] {
        derive(&self.present, b"stateless reset")
    }
}

fn stretch(secret: &str) -> Result<[u8; 32], SecretError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(SecretError::TooShort { bytes: secret.len() });
    }
    let failed = |error: argon2::Error| SecretError::Derivation(error.to_string());
    let params = Params::new(64 * 1024, 3, 1, Some(32)).map_err(failed)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret.as_bytes(), SALT, &mut key)
        .map_err(failed)?;
    Ok(key)
}

fn derive(key: &[u8; 32], purpose: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    // 32 bytes are far below what HKDF-SHA-256 can expand to, its only failure.
    let expanded = Hkdf::<Sha256>::new(None, key).expand(purpose, &mut out);
    debug_assert!(expanded.is_ok());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_gives_the_same_keys_and_another_gives_others() {
        let one = ClusterSecret::parse("  a secret of this test\n").expect("long enough");
        let same = ClusterSecret::parse("a secret of this test").expect("long enough");
        let other = ClusterSecret::parse("another secret, longer").expect("long enough");
        assert_eq!(one.ops_token(), same.ops_token());
        assert_ne!(one.ops_token(), other.ops_token());
        assert_ne!(one.authority_seed(), one.reset_key());
    }

    #[test]
    fn an_older_secret_is_accepted_but_not_used() {
        let old = ClusterSecret::parse("the old secret, long").expect("long enough");
        let both = ClusterSecret::parse("the new secret, long\nthe old secret, long\n").expect("long enough");
        assert_ne!(both.authority_seed(), old.authority_seed());
        assert!(both.accepted_seeds().contains(&old.authority_seed()));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert!(matches!(ClusterSecret::parse("short"), Err(SecretError::TooShort { bytes: 5 })));
        assert!(matches!(ClusterSecret::parse(""), Err(SecretError::TooShort { bytes: 0 })));
        let three = "sixteen bytes ok\nsixteen bytes ok\nsixteen bytes ok";
        assert!(matches!(ClusterSecret::parse(three), Err(SecretError::TooMany)));
        assert!(ClusterSecret::parse(&ClusterSecret::generate()).is_ok());
        assert!(!format!("{:?}", ClusterSecret::parse("sixteen bytes ok")).contains("sixteen"));
    }
}
