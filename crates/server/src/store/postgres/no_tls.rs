//! Why there is no TLS with a database.
//!
//! **Invariant**: told by what rustls says or the database answers, never by words that are
//! meant for people.

use std::error::Error as _;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, Error};

/// Whether a connection failed because there is no TLS with the database: rustls refused it,
/// or the database has none.
pub(super) async fn is_why(config: &Config, error: &Error) -> bool {
    let is_wanted = config.get_ssl_mode() == SslMode::Require && error.code().is_none();
    is_wanted && (is_of_rustls(error) || has_none(config).await)
}

fn is_of_rustls(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(it) = cause {
        let wrapped = it.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if it.is::<rustls::Error>() || wrapped.is_some_and(|it| it.is::<rustls::Error>()) {
            return true;
        }
        cause = it.source();
    }
    false
}

/// Asks the first host, as every client does before it speaks TLS.
async fn has_none(config: &Config) -> bool {
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return false;
    };
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    let answer = async {
        let mut stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    answer.await.is_ok_and(|it| it == NO)
}

/// SSLRequest: its length, 8, and the code 80877103 (PostgreSQL's documentation, "Message
/// Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The answer of one that is not willing ("SSL Session Encryption").
const NO: u8 = b'N';

/// Where PostgreSQL listens if nothing else is said.
const PORT: u16 = 5_432;
