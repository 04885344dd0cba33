//! Mutual TLS 1.3 between nodes: whose certificates count, and this node's own.

use std::{fs, path::PathBuf, sync::Arc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use super::{ClusterSecret, hello::node_name};
use crate::model::NodeId;

/// The name by which every node is dialled; every certificate has it. Which node it is, is said in the hello and
/// checked against the certificate's other names.
pub(super) const COMMON_NAME: &str = "roomraft";

/// The protocol that is negotiated; a change of the hello would need another.
const ALPN: &[u8] = b"roomraft/1";

/// Where a node's certificates come from.
#[derive(Debug, Clone)]
pub enum ClusterSecurity {
    /// A secret that all nodes share: each derives the same authority from it and issues its own certificate.
    Secret(ClusterSecret),
    /// PEM files. The certificate needs the DNS names `roomraft` and the server's id.
    Pem {
        /// The authorities whose certificates are accepted.
        ca: PathBuf,
        /// This node's certificate and those between it and the authority.
        cert: PathBuf,
        /// This node's key.
        key: PathBuf,
    },
}

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {what} from {path}: {reason}")]
    Unreadable {
        /// What was expected.
        what: &'static str,
        /// Where.
        path: String,
        /// Why.
        reason: String,
    },
    /// The certificate could not be issued.
    #[error("cannot issue this node's certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// Certificates that TLS does not take.
    #[error("TLS does not take these certificates: {0}")]
    Unusable(String),
}

/// What a node needs to dial and to be dialled.
pub(super) struct TlsConfigs {
    pub(super) client: Arc<QuicClientConfig>,
    pub(super) server: Arc<QuicServerConfig>,
    pub(super) reset_key: [u8; 32],
}

struct Material {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    reset_key: [u8; 32],
}

impl ClusterSecurity {
    pub(super) fn configs(&self, node_id: NodeId) -> Result<TlsConfigs, TlsError> {
        let material = match self {
            Self::Secret(secret) => issued(secret, node_id)?,
            Self::Pem { ca, cert, key } => from_files(ca, cert, key)?,
        };
        configs(material)
    }
}

fn issued(secret: &ClusterSecret, node_id: NodeId) -> Result<Material, TlsError> {
    let mut roots = RootCertStore::empty();
    for seed in secret.accepted_seeds() {
        roots.add(authority(seed)?.der().clone()).map_err(|error| unusable(&error))?;
    }
    let key = KeyPair::generate()?;
    let issuer = authority(secret.authority_seed())?;
    let certificate = own_params(node_id)?.signed_by(&key, &issuer)?;
    Ok(Material {
        roots,
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        reset_key: secret.reset_key(),
    })
}

/// The authority that every node derives alike. Its name carries its key's hash, so that two authorities of a
/// rotation are told apart.
fn authority(seed: [u8; 32]) -> Result<CertifiedIssuer<'static, KeyPair>, TlsError> {
    // RFC 8410: an Ed25519 private key in PKCS#8 is this header and the 32 bytes of the seed.
    let mut pkcs8 =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    pkcs8.extend_from_slice(&seed);
    let key = KeyPair::try_from(pkcs8)?;
    let hash = Sha256::digest(key.public_key_raw());
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name =
        named(&format!("roomraft cluster {:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]));
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, key)?)
}

fn own_params(node_id: NodeId) -> Result<CertificateParams, TlsError> {
    // The validity is rcgen's, from 1975 to 4096: a certificate lives as long as its process, and a node whose
    // clock is wrong must still be able to join.
    let name = node_name(node_id);
    let mut params = CertificateParams::new(vec![COMMON_NAME.to_owned(), name.clone()])?;
    params.distinguished_name = named(&name);
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn from_files(ca: &PathBuf, cert: &PathBuf, key: &PathBuf) -> Result<Material, TlsError> {
    let unreadable = |what, path: &PathBuf, reason: String| {
        let path = path.display().to_string();
        TlsError::Unreadable { what, path, reason }
    };
    let certificates = |what, path: &PathBuf| {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.map_err(|error| unreadable(what, path, error.to_string()))?;
        if read.is_empty() { Err(unreadable(what, path, "it holds no certificate".to_owned())) } else { Ok(read) }
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("the certificate authority (--ca)", ca)? {
        roots.add(authority).map_err(|error| unusable(&error))?;
    }
    let read_key = fs::read(key).map_err(|error| unreadable("the key (--key)", key, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&read_key);
    Ok(Material {
        roots,
        chain: certificates("the certificate (--cert)", cert)?,
        key: private.map_err(|error| unreadable("the key (--key)", key, error.to_string()))?,
        reset_key: Sha256::digest(&read_key).into(),
    })
}

fn configs(material: Material) -> Result<TlsConfigs, TlsError> {
    let provider = Arc::new(CryptoProvider { ..ring::default_provider() });
    let roots = Arc::new(material.roots);
    let tls13 = &[&rustls::version::TLS13];

    let mut client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(tls13)
        .map_err(|error| unusable(&error))?
        .with_root_certificates(Arc::clone(&roots))
        .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
        .map_err(|error| unusable(&error))?;
    client.alpn_protocols = vec![ALPN.to_vec()];

    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(&error))?;
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(tls13)
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(material.chain, material.key)
        .map_err(|error| unusable(&error))?;
    server.alpn_protocols = vec![ALPN.to_vec()];

    Ok(TlsConfigs {
        client: Arc::new(QuicClientConfig::try_from(client).map_err(|error| unusable(&error))?),
        server: Arc::new(QuicServerConfig::try_from(server).map_err(|error| unusable(&error))?),
        reset_key: material.reset_key,
    })
}

/// The DNS names in the certificate that the other side of a connection showed.
pub(super) fn peer_names(connection: &quinn::Connection) -> Vec<String> {
    let identity = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let first = identity.as_deref().and_then(|chain| chain.first());
    let parsed = first.and_then(|der| x509_parser::certificate::X509Certificate::from_der(der).ok());
    let names = parsed.as_ref().and_then(|(_, certificate)| certificate.subject_alternative_name().ok().flatten());
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.map(|names| names.value.general_names.iter().filter_map(dns).collect()).unwrap_or_default()
}

fn unusable(error: &impl ToString) -> TlsError {
    TlsError::Unusable(error.to_string())
}
