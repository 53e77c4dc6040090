//! Addresses to listen on: what is safe, what is free, and words for what is not.
//!
//! Used by `daemon` before anything is opened.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::TcpListener;

use crate::config::Config;
use crate::error::{Error, Result};

/// The word for "do not listen".
pub(super) const OFF: &str = "off";

/// Refuses what would be open to a network without anybody being asked for a name.
///
/// Errors: `Invalid`, with what to change.
pub(super) fn check(config: &Config) -> Result<()> {
    if config.http.no_auth && !is_loopback(&config.http.listen)? {
        return Err(Error::invalid(format!("http on {} without tokens is open to the network", config.http.listen))
            .with_hint("drop --no-auth, or listen on 127.0.0.1"));
    }
    let open = config.mqtt.users.is_empty() && !config.mqtt.insecure;
    if open && !is_loopback(&config.mqtt.listen)? {
        return Err(Error::invalid(format!("mqtt on {} without users is open to the network", config.mqtt.listen))
            .with_hint("name users in [mqtt], listen on 127.0.0.1, or pass --insecure"));
    }
    Ok(())
}

fn is_loopback(listen: &str) -> Result<bool> {
    if listen == OFF {
        return Ok(true);
    }
    Ok(resolve(listen)?.iter().all(|address| address.ip().is_loopback()))
}

fn resolve(listen: &str) -> Result<Vec<SocketAddr>> {
    let expected = || Error::invalid(format!("expected ADDRESS:PORT or off, found {listen:?}"));
    let addresses: Vec<SocketAddr> = listen.to_socket_addrs().map_err(|_| expected())?.collect();
    if addresses.is_empty() { Err(expected()) } else { Ok(addresses) }
}

/// Binds an address; `None` for `off`. `flag` is what changes it on the command line.
pub(super) async fn bind(listen: &str, flag: &str) -> Result<Option<TcpListener>> {
    if listen == OFF {
        return Ok(None);
    }
    let addresses = resolve(listen).map_err(|error| with_flag(error, flag))?;
    match TcpListener::bind(&addresses[..]).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let other = if flag == "--http" { " (InfluxDB?)" } else { "" };
            Err(with_flag(Error::unavailable(format!("{listen} is in use{other}")), flag))
        }
        Err(error) => Err(with_flag(Error::unavailable(format!("cannot listen on {listen}: {error}")), flag)),
    }
}

/// The error with the flag that helps.
pub(super) fn with_flag(error: Error, flag: &str) -> Error {
    error.with_hint(format!("pass {flag} 127.0.0.1:PORT or {flag} off"))
}
