//! CONNECT and its answer: who may come in, under which name, with which limits.
//!
//! Called once per connection. A refusal names its reason as far as the version can say it; no password is ever logged.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::packet::{ConnAckProperties, Connect, Version, reason};
use super::sessions::LONGEST_SECONDS;
use crate::config::MqttUser;

/// Unacknowledged messages that an MQTT 5 client may have (3.1.1 knows no such limit).
pub(super) const RECEIVE_MAXIMUM: u16 = 1_024;

/// Topic aliases that an MQTT 5 client may set.
pub(super) const TOPIC_ALIASES: u16 = 32;

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The reason code.
    pub code: u8,
    /// For the counter.
    pub name: &'static str,
}

/// The client's name; made up if it brings none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub client: String,
    pub assigned: bool,
}

/// Decides on a CONNECT.
pub(super) fn admit(connect: &Connect, users: &[MqttUser]) -> Result<Identity, Refusal> {
    if connect.method.is_some() {
        return Err(Refusal { code: reason::BAD_METHOD, name: "authentication-method" });
    }
    if !users.is_empty() {
        let Some((name, password)) = &connect.user else {
            return Err(Refusal { code: reason::NOT_AUTHORIZED, name: "no-user" });
        };
        if !known(users, name, password) {
            return Err(Refusal { code: reason::BAD_PASSWORD, name: "bad-password" });
        }
    }
    if !connect.client.is_empty() {
        return Ok(Identity { client: connect.client.clone(), assigned: false });
    }
    if connect.version == Version::V311 && !connect.clean {
        // 3.1.1, section 3.1.3.1: a session needs a name to be found by.
        return Err(Refusal { code: reason::BAD_CLIENT_ID, name: "no-client-id" });
    }
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let client = format!("auto-{:08x}-{number}", rand::random::<u32>());
    Ok(Identity { client, assigned: true })
}

/// Compares digests, so that neither length nor content of a password shows in the time it takes.
fn known(users: &[MqttUser], name: &str, password: &str) -> bool {
    let digest = |name: &str, password: &str| {
        let mut hash = Sha256::new();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(password);
        hash.finalize()
    };
    let given = digest(name, password);
    let mut found = false;
    for user in users {
        let difference =
            digest(&user.name, &user.password).iter().zip(&given).fold(0_u8, |difference, (a, b)| difference | (a ^ b));
        found |= difference == 0;
    }
    found
}

/// What the CONNACK of an MQTT 5 client says.
pub(super) fn properties<'a>(connect: &Connect, identity: &'a Identity, max_packet: usize) -> ConnAckProperties<'a> {
    ConnAckProperties {
        // Said only where it is not what the client asked for.
        session_expiry_seconds: (connect.session_expiry_seconds > LONGEST_SECONDS).then_some(LONGEST_SECONDS),
        receive_maximum: RECEIVE_MAXIMUM,
        max_packet: u32::try_from(max_packet).unwrap_or(u32::MAX),
        topic_alias_maximum: TOPIC_ALIASES,
        assigned_client: identity.assigned.then_some(identity.client.as_str()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn connect(client: &str, version: Version, clean: bool, user: Option<(&str, &str)>) -> Connect {
        Connect {
            version,
            client: client.into(),
            clean,
            keep_alive_seconds: 45,
            will: None,
            user: user.map(|(name, password)| (name.into(), password.into())),
            session_expiry_seconds: 0,
            method: None,
        }
    }

    fn code(connect: &Connect, users: &[MqttUser]) -> u8 {
        admit(connect, users).unwrap_err().code
    }

    #[test]
    fn users_and_passwords() {
        let users = [MqttUser { name: "line-4".into(), password: "s3cret".into() }];
        let with = |user| connect("c", Version::V311, true, user);
        assert_eq!(admit(&with(Some(("line-4", "s3cret"))), &users).unwrap().client, "c");
        assert_eq!(code(&with(Some(("line-4", "s3cre"))), &users), reason::BAD_PASSWORD);
        assert_eq!(code(&with(Some(("line-4s", "3cret"))), &users), reason::BAD_PASSWORD);
        assert_eq!(code(&with(None), &users), reason::NOT_AUTHORIZED);
        assert!(admit(&with(Some(("any", "thing"))), &[]).is_ok(), "without users everybody comes in");
    }

    #[test]
    fn names_are_made_up_where_the_standard_allows_it() {
        let one = admit(&connect("", Version::V311, true, None), &[]).unwrap();
        let two = admit(&connect("", Version::V5, false, None), &[]).unwrap();
        assert!(one.assigned && two.assigned);
        assert_ne!(one.client, two.client);
        assert_eq!(code(&connect("", Version::V311, false, None), &[]), reason::BAD_CLIENT_ID);
        let mut method = connect("c", Version::V5, true, None);
        method.method = Some("SCRAM".into());
        assert_eq!(code(&method, &[]), reason::BAD_METHOD);
    }
}
