//! Certificates of the operators' own: between the nodes, and towards the players.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use serde_json::json;
use tokio_tungstenite::Connector;

use crate::support::{player::Player, process::Node};

/// An authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    name: &'static str,
}

impl Authority {
    fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        std::fs::write(folder.join(format!("{name}.pem")), issuer.pem()).expect("written");
        Self { issuer, name }
    }

    /// Issues a certificate with these names; its files are `{to}.pem` and `{to}.key`.
    fn issue(&self, folder: &Path, to: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer);
        std::fs::write(folder.join(format!("{to}.pem")), certificate.expect("issued").pem()).expect("written");
        std::fs::write(folder.join(format!("{to}.key")), key.serialize_pem()).expect("written");
    }

    /// A node with its own certificate, dialled by `peers`.
    fn node(&self, folder: &Path, node: Node, peers: &str) -> Node {
        self.issue(folder, &node.server_id, &["roomraft", &node.server_id]);
        let path = |file: &str| folder.join(file).display().to_string();
        let (ca, cert) = (path(&format!("{}.pem", self.name)), path(&format!("{}.pem", node.server_id)));
        let key = path(&format!("{}.key", node.server_id));
        node.with(&["--ca", &ca, "--cert", &cert, "--key", &key, "--peers", peers])
    }

    /// The trust of a player's machine.
    fn trust(&self) -> Connector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        Connector::Rustls(Arc::new(config.with_no_client_auth()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_know_each_other_by_certificates_and_players_come_over_wss() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, foreign) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "foreign"));
    ours.issue(folder.path(), "gateway", &["localhost"]);
    let gateway = |file: &str| folder.path().join(file).display().to_string();
    let (cert, key) = (gateway("gateway.pem"), gateway("gateway.key"));
    let nodes: Vec<_> = ["s1", "s2", "s3"].map(|name| Node::new(folder.path(), name)).into();
    let peers = nodes.iter().map(|node| node.listen.as_str()).collect::<Vec<_>>().join(",");
    let secure = ["--gateway-tls-cert", &cert, "--gateway-tls-key", &key, "--public-address", "wss://localhost"];
    let start = |node: Node| {
        let mut node = ours.node(folder.path(), node, &peers).with(&secure);
        node.start();
        node
    };
    let nodes: Vec<_> = nodes.into_iter().map(start).collect();
    for node in &nodes {
        node.ready().await;
    }

    let mut redirects = 0;
    for node in &nodes {
        let address = node.gateway.replace("127.0.0.1", "wss://localhost");
        let player = Player::connect_by(&address, Some(ours.trust())).await.expect("a secure connection");
        let joined = player.join_with(json!({ "roomType": "relay" })).await;
        redirects += joined.expect("a seat").0.redirects;
        assert!(Player::connect(&node.gateway).await.is_err(), "there is no way in without TLS");
    }
    assert!(redirects > 0, "all are in one room, so somebody was led to it");

    let mut stranger = foreign.node(folder.path(), Node::new(folder.path(), "s4"), &peers);
    stranger.start();
    assert_eq!(stranger.exit().await.code(), Some(1));
    let said = stranger.log();
    assert!(said.lines().any(|line| line.contains("refuse")), "it says who refuses it: {said}");
}
