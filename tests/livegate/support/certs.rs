//! A certificate authority of the test's own, one server and one client under it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::scratch::Scratch;

/// Where the PEM files are.
pub(crate) struct Certs {
    pub(crate) authority: PathBuf,
    pub(crate) server: Pair,
    pub(crate) client: Pair,
}

pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certs {
    /// Makes them all anew, as files of the scratch folder. The server is `localhost` and `127.0.0.1`.
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let mut params = named("livegate test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = scratch.write("authority.pem", params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        let server = issue(
            scratch,
            &issuer,
            "server",
            named("livegate test server", &["localhost", "127.0.0.1"]),
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        let client = issue(
            scratch,
            &issuer,
            "client",
            named("livegate test client", &["client.test"]),
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        Self { authority, server, client }
    }
}

fn named(common_name: &str, subjects: &[&str]) -> CertificateParams {
    let subjects: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(subjects).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn issue(
    scratch: &Scratch,
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
) -> Pair {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    Pair {
        cert: scratch.write(format!("{name}.pem"), cert.pem()),
        key: scratch.write(format!("{name}.key"), key.serialize_pem()),
    }
}

#[test]
fn server_and_client_know_each_other_by_the_authority() {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    let scratch = Scratch::new();
    let certs = Certs::new(&scratch);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certs.authority).unwrap()).unwrap();
    let roots = Arc::new(roots);
    let read = |pair: &Pair| {
        let cert = CertificateDer::from_pem_file(&pair.cert).unwrap();
        (vec![cert], PrivateKeyDer::from_pem_file(&pair.key).unwrap())
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let (chain, key) = read(&certs.server);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let (chain, key) = read(&certs.client);
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    assert_eq!(server.peer_certificates().unwrap().len(), 1);
}
