//! `postgres://…`, and TLS to the database.
//!
//! **Invariant**: where TLS is spoken the server's certificate is checked, against
//! `sslrootcert` or the system's roots. `sslmode=disable` must be said, except for a socket
//! on this machine.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;

/// Where the database is and how it is spoken to.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

/// Reads an address.
pub(super) fn parse(address: &str) -> Result<Address, StoreError> {
    let is_ours = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| address.starts_with(scheme));
    if !is_ours {
        let told = "it begins with neither sqlite: nor postgres://";
        return Err(StoreError::Address(told.to_owned()));
    }
    let (place, mut options) = options(address);
    let roots = taken(&mut options, "sslrootcert");
    let mode = taken(&mut options, "sslmode");
    let rest = match options.as_slice() {
        [] => place.to_owned(),
        options => format!("{place}?{}", options.join("&")),
    };
    // The library's error may name the password.
    let bad = || StoreError::Address("it cannot be read".to_owned());
    let mut config: Config = rest.parse().map_err(|_| bad())?;
    let is_here = config
        .get_hosts()
        .iter()
        .all(|host| matches!(host, Host::Unix(_)));
    config.ssl_mode(match mode.as_deref() {
        None if is_here => SslMode::Disable,
        None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some("prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some(_) => return Err(StoreError::Address("sslmode is not known".to_owned())),
    });
    let tls = tls(roots.as_deref(), config.get_ssl_mode())?;
    if config.get_application_name().is_none() {
        config.application_name("keystead-server");
    }
    Ok(Address { config, tls })
}

/// What stands before `?`, and what behind, by `&`.
fn options(address: &str) -> (&str, Vec<&str>) {
    match address.split_once('?') {
        Some((place, options)) => (place, options.split('&').collect()),
        None => (address, Vec::new()),
    }
}

/// Takes the option `name` out.
fn taken(options: &mut Vec<&str>, name: &str) -> Option<String> {
    let value = |option: &&str| {
        let (key, value) = option.split_once('=')?;
        (key == name).then(|| value.to_owned())
    };
    let found = options.iter().find_map(value);
    options.retain(|option| value(option).is_none());
    found
}

fn tls(roots: Option<&str>, mode: SslMode) -> Result<MakeRustlsConnect, StoreError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let fault = |_| StoreError::Address(format!("sslrootcert: {path} cannot be read"));
            for certificate in CertificateDer::pem_file_iter(path).map_err(fault)? {
                let certificate = certificate.map_err(fault)?;
                store
                    .add(certificate)
                    .map_err(|error| StoreError::Address(format!("sslrootcert: {error}")))?;
            }
        }
        None if mode == SslMode::Disable => {}
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.map_err(|error| StoreError::Address(error.to_string()))?;
    let config = config.with_root_certificates(store).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<SslMode>) {
        let parsed = parse(address);
        let mode = parsed.as_ref().ok().map(|it| it.config.get_ssl_mode());
        assert_eq!(mode, expected, "{address}");
    }

    #[test]
    fn tls_is_wanted_unless_it_is_refused_or_the_database_is_here() {
        check("postgres://db.example/keys", Some(SslMode::Require));
        check("postgresql://db.example/keys", Some(SslMode::Require));
        check("postgres://%2Fvar%2Frun/keys", Some(SslMode::Disable));
        check(
            "postgres://u:p@db/keys?sslmode=disable",
            Some(SslMode::Disable),
        );
        check("postgres://db/keys?sslmode=prefer", Some(SslMode::Prefer));
        check(
            "postgres://db/k?connect_timeout=3&sslmode=verify-full",
            Some(SslMode::Require),
        );
        check("postgres://db/keys?sslmode=allow", None);
        check("postgres://db/keys?sslrootcert=/no/such/file", None);
        check("postgres://db/keys?nonsense=1", None);
        check("mysql://db/keys", None);
        check("", None);
    }

    #[test]
    fn an_error_names_no_password() {
        let Err(error) = parse("postgres://u:hunter2@db:port/keys") else {
            panic!("it was read")
        };
        assert!(!error.to_string().contains("hunter2"));
    }
}
