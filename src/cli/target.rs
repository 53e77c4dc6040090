//! Which daemon a command talks to: a URL, the one that runs over a data directory, or one started for this command.
//!
//! Used by every subcommand that needs data.

use std::path::PathBuf;

use clap::Args;

use super::client::Client;
use crate::config::Config;
use crate::daemon::{Announcement, Daemon};
use crate::error::{Error, Result};

/// `--data-dir D | --url U --token T`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Target {
    /// The data directory; its running daemon is asked, or else the directory is opened
    #[arg(long, value_name = "DIR", conflicts_with = "url", global = true)]
    pub data_dir: Option<PathBuf>,
    /// A running daemon
    #[arg(long, value_name = "URL", env = "FLUXMILL_URL", global = true)]
    pub url: Option<String>,
    /// Its token
    #[arg(long, value_name = "TOKEN", env = "FLUXMILL_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
}

/// A way to the data, open as long as this value lives.
pub(crate) struct Connection {
    /// The daemon's API.
    pub client: Client,
    /// The daemon that was started for this command, if none was running.
    daemon: Option<Daemon>,
}

impl Connection {
    /// Ends what was started for this command; what it took is durable before this returns.
    pub async fn close(self) -> Result<()> {
        match self.daemon {
            Some(daemon) => daemon.stop().await,
            None => Ok(()),
        }
    }
}

impl Target {
    /// The data directory that is meant if no URL is given.
    pub fn directory(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| Config::default().data_dir)
    }

    #[cfg(feature = "repl")]
    /// The tasks directory of the daemon that ran last over the data directory, else the usual one.
    pub fn tasks_directory(&self) -> PathBuf {
        let kept = match self.url {
            Some(_) if self.data_dir.is_none() => None,
            _ => crate::daemon::kept_config(&self.directory()),
        };
        kept.unwrap_or_default().tasks.dir
    }

    /// Connects: to the URL, to the daemon that the data directory names, or to the directory itself.
    ///
    /// Errors: `NotFound` if there is no such directory, `Conflict` if another process holds it without an HTTP listener.
    pub async fn connect(&self) -> Result<Connection> {
        if let (Some(url), None) = (&self.url, &self.data_dir) {
            return Ok(Connection { client: Client::new(url, self.token.clone())?, daemon: None });
        }
        let directory = self.directory();
        if !directory.is_dir() {
            return Err(Error::not_found(format!("there is no data directory {}", directory.display()))
                .with_hint("start `fluxmill serve`, or name one with --data-dir DIR or --url URL"));
        }
        if let Some(announcement) = Announcement::read(&directory)? {
            let token = self.token.clone().or(announcement.token);
            return Ok(Connection { client: Client::new(&announcement.url, token)?, daemon: None });
        }
        let daemon = Daemon::start_for_command(&directory).await?;
        let client = Client::new(&daemon.http_url().unwrap_or_default(), daemon.token())?;
        Ok(Connection { client, daemon: Some(daemon) })
    }
}
