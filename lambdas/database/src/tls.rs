//! TLS to the database: rustls with ring, and the authorities that sign the server's certificate.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// The authorities that sign the certificates of RDS instances, in every region: no platform trusts them by itself.
const RDS: &[u8] = include_bytes!("rds.pem");

/// A connector that accepts only certificates valid for the host and signed by `ca` (a path, or PEM text), or by RDS's
/// or the platform's authorities.
pub(crate) fn verify_full(ca: Option<&str>) -> Result<MakeRustlsConnect, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(ca)? {
        roots.add(certificate).map_err(|e| Error::Certificates(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Error::Certificates("there are none; set DATABASE_CA to the path of a PEM file".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Certificates(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(ca: Option<&str>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let Some(ca) = ca else {
        let rds: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(RDS).collect();
        let rds = rds.map_err(|e| Error::Certificates(format!("those of RDS: {e}")))?;
        return Ok(rustls_native_certs::load_native_certs().certs.into_iter().chain(rds).collect());
    };
    let parsed: Result<Vec<_>, _> = if ca.contains("-----BEGIN") {
        CertificateDer::pem_slice_iter(ca.as_bytes()).collect()
    } else {
        CertificateDer::pem_file_iter(ca).and_then(Iterator::collect)
    };
    let place = if ca.contains('\n') { "the text in DATABASE_CA" } else { ca };
    parsed.map_err(|e| Error::Certificates(format!("{place}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorities_of_rds_are_known_without_being_named() {
        let rds = CertificateDer::pem_slice_iter(RDS).flatten().count();
        assert_eq!(rds, 27 * 3, "one for each region and algorithm");
        assert!(authorities(None).is_ok_and(|all| all.len() >= rds));
        assert!(verify_full(None).is_ok(), "rustls takes all of them");
    }

    #[test]
    fn says_which_file_has_no_authorities() {
        let said = verify_full(Some("/nowhere/ca.pem")).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.starts_with("certificate authorities for the database: /nowhere/ca.pem: "), "{said}");
        let said = verify_full(Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")).is_err();
        assert!(said);
    }
}
