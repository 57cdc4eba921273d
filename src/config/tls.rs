//! Certificates, keys and roots, read and checked when the configuration is.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The protocols that a TLS listener offers, the better one first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The one crypto provider. It is always named: with two of them compiled in, rustls would refuse to choose.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether a client must show a certificate where `client_ca` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuth {
    Required,
    Optional,
}

/// Reads all certificates of a PEM file.
///
/// # Errors
/// A sentence for the person who named the file.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err("it holds no PEM certificate".to_owned())
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("its PEM is broken: {error}")),
    }
}

/// A listener's TLS: versions 1.2 and 1.3, this certificate, and client certificates where a root is given.
///
/// # Errors
/// A sentence for the person who named the files, among others where key and certificate do not belong together.
pub(super) fn server(
    cert: &[u8],
    key: &[u8],
    client: Option<(&[u8], ClientAuth)>,
) -> Result<ServerConfig, String> {
    let chain = certificates(cert)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "the key file holds no PEM private key".to_owned())?;
    let builder = ServerConfig::builder_with_provider(provider());
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some((roots, required)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(store(roots)?), provider());
            let verifier = match required {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not fit: {error}"))?;
    // All of the provider's ciphers are good; its own order has the best first, whatever a client prefers.
    config.ignore_client_order = true;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(config)
}

/// When the first of a PEM file's certificates ends, where that can be read.
pub(super) fn ends(pem: &[u8]) -> Option<Timestamp> {
    let ends = certificates(pem).ok()?.into_iter().filter_map(|certificate| {
        let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
        Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
    });
    ends.min()
}

/// TLS towards others, who are trusted by the system's roots and these; `secure` where TLS is spoken at all.
///
/// # Errors
/// Where there is no root certificate to trust: every call would fail, and later.
pub fn client(
    more: &[CertificateDer<'static>],
    secure: bool,
) -> Result<ClientConfig, &'static str> {
    let mut roots = RootCertStore::empty();
    if secure {
        // Some of the system's roots may be unreadable; the rest still counts.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(more.iter().cloned());
        if roots.is_empty() {
            return Err("there is no root certificate to trust");
        }
    }
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| "the crypto provider has no version of TLS")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn store(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store
            .add(certificate)
            .map_err(|error| format!("it holds a certificate that cannot be a root: {error}"))?;
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn the_certificate_that_ends_first_counts() {
        let until = |year| {
            let mut of = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
            of.not_after = rcgen::date_time_ymd(year, 2, 3);
            of.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        let told = |pem: String| ends(pem.as_bytes()).map(|at| at.to_string());
        assert_eq!(told(until(2031)).unwrap(), "2031-02-03T00:00:00Z");
        assert_eq!(told(until(2031) + &until(2030)).unwrap(), "2030-02-03T00:00:00Z");
        assert_eq!(told("nothing".to_owned()), None);
    }

    #[test]
    fn a_key_that_belongs_to_another_certificate_is_refused() {
        let (cert, key) = pair("a.test");
        let (_, other) = pair("a.test");
        assert!(server(cert.as_bytes(), key.as_bytes(), None).is_ok());
        assert!(
            server(cert.as_bytes(), key.as_bytes(), Some((cert.as_bytes(), ClientAuth::Required)))
                .is_ok()
        );
        assert!(
            server(cert.as_bytes(), other.as_bytes(), None).unwrap_err().contains("do not fit")
        );
        assert!(server(b"", key.as_bytes(), None).unwrap_err().contains("no PEM certificate"));
        assert!(
            server(cert.as_bytes(), b"hello", None).unwrap_err().contains("no PEM private key")
        );
    }
}
