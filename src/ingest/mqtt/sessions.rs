//! Which clients are connected, and which were and may come back.
//!
//! One connection per client identifier: a second one ends the first. A session holds nothing (there are no subscriptions,
//! and redeliveries are known by the door), so only its existence is kept, for "session present". Bounded.

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Sessions without a connection that are kept at most.
const KEPT: usize = 100_000;

/// A session is kept for at most a day; MQTT 5 clients are told so.
pub(super) const LONGEST_SECONDS: u32 = 86_400;

#[derive(Default)]
pub(super) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    sessions: HashMap<String, Session>,
    last_generation: u64,
    kept: usize,
}

struct Session {
    generation: u64,
    state: State,
}

enum State {
    Connected(CancellationToken),
    KeptUntil(i64),
}

/// What a client has got by connecting.
pub(super) struct Entered {
    /// Tells this connection from others of the same client.
    pub generation: u64,
    /// Whether a session was there and goes on.
    pub present: bool,
}

impl Sessions {
    /// A client connects; an earlier connection of it is told to end.
    pub(super) fn enter(&self, client: &str, clean: bool, ended: CancellationToken, now_ns: i64) -> Entered {
        let mut inner = self.0.lock();
        inner.last_generation += 1;
        let generation = inner.last_generation;
        let before = inner.sessions.insert(client.to_string(), Session { generation, state: State::Connected(ended) });
        let present = match before.map(|session| session.state) {
            Some(State::Connected(earlier)) => {
                earlier.cancel();
                true
            }
            Some(State::KeptUntil(until_ns)) => {
                inner.kept -= 1;
                until_ns > now_ns
            }
            None => false,
        };
        Entered { generation, present: present && !clean }
    }

    /// A connection has ended; its session is kept for so long, unless the client has connected again.
    pub(super) fn leave(&self, client: &str, generation: u64, keep_seconds: u32, now_ns: i64) {
        let mut inner = self.0.lock();
        if inner.sessions.get(client).is_none_or(|session| session.generation != generation) {
            return;
        }
        if keep_seconds > 0 && inner.kept >= KEPT {
            inner.forget_expired(now_ns);
        }
        if keep_seconds == 0 || inner.kept >= KEPT {
            inner.sessions.remove(client);
            return;
        }
        let until_ns = now_ns.saturating_add(i64::from(keep_seconds.min(LONGEST_SECONDS)) * 1_000_000_000);
        inner.kept += 1;
        if let Some(session) = inner.sessions.get_mut(client) {
            session.state = State::KeptUntil(until_ns);
        }
    }

    /// Whether the client has connected again after that connection.
    pub(super) fn has_returned(&self, client: &str, generation: u64) -> bool {
        self.0.lock().sessions.get(client).is_some_and(|session| session.generation > generation)
    }
}

impl Inner {
    fn forget_expired(&mut self, now_ns: i64) {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| !matches!(session.state, State::KeptUntil(until_ns) if until_ns <= now_ns));
        self.kept -= before - self.sessions.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_second_connection_of_a_client_ends_the_first() {
        let sessions = Sessions::default();
        let first = CancellationToken::new();
        let one = sessions.enter("c", true, first.clone(), 0);
        assert!(!one.present);
        let two = sessions.enter("c", true, CancellationToken::new(), 0);
        assert!(first.is_cancelled());
        assert!(sessions.has_returned("c", one.generation));
        sessions.leave("c", one.generation, 0, 0);
        assert!(!sessions.has_returned("c", two.generation));
        assert_eq!(sessions.0.lock().sessions.len(), 1, "the first one's end does not touch the second");
        sessions.leave("c", two.generation, 0, 0);
        assert_eq!(sessions.0.lock().sessions.len(), 0);
    }

    #[test]
    fn a_session_is_present_while_it_is_kept() {
        let sessions = Sessions::default();
        let connect = |clean, now_ns| sessions.enter("c", clean, CancellationToken::new(), now_ns);
        let one = connect(false, 0);
        sessions.leave("c", one.generation, 10, 0);
        let two = connect(false, 9 * SECOND);
        assert!(two.present);
        sessions.leave("c", two.generation, 10, 9 * SECOND);
        assert!(!connect(false, 20 * SECOND).present, "it has expired");
        assert_eq!(sessions.0.lock().kept, 0);
        let three = connect(false, 0);
        sessions.leave("c", three.generation, 10, 0);
        assert!(!connect(true, 1).present, "the client begins anew");
    }

    #[test]
    fn kept_sessions_are_bounded() {
        let sessions = Sessions::default();
        for number in 0..KEPT + 10 {
            let client = number.to_string();
            let entered = sessions.enter(&client, false, CancellationToken::new(), 0);
            sessions.leave(&client, entered.generation, 10, 0);
        }
        assert_eq!(sessions.0.lock().sessions.len(), KEPT);
        let late = sessions.enter("late", false, CancellationToken::new(), 11 * SECOND);
        sessions.leave("late", late.generation, 10, 11 * SECOND);
        assert_eq!(sessions.0.lock().sessions.len(), 1, "the others have expired");
    }
}
