//! Which messages came before: a redelivery keeps the arrival time of its first delivery, so that it is the same point.
//!
//! Asked by the door for each message, filled again from record headers after a restart. MQTT marks a redelivery by DUP
//! and the packet identifier; the payload's hash tells it from another message that uses the identifier again. What MQTT
//! cannot tell apart stays so: a message whose first delivery never arrived, and which equals an earlier one of the same
//! identifier within ten minutes, is taken for that one.
//!
//! Bounded in entries and age. It forgets by halves: when the young half is full or old it becomes the old half, and what
//! was old is gone; within a half the same goes for each client, so that a busy one does not push the others out.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashMap};

/// How long a redelivery is recognised: ten minutes.
pub const REMEMBERED_NS: i64 = 600 * 1_000_000_000;

/// Most entries of one half.
const HALF: usize = 400_000;

/// Most entries of one client in one half. A client may come again with everything that it has not heard of; so many it
/// is sure to find.
const PER_CLIENT: usize = 16_384;

/// The messages of the last minutes.
#[derive(Default)]
pub struct Redeliveries {
    hasher: DefaultHashBuilder,
    young: Half,
    old: Half,
}

#[derive(Default)]
struct Half {
    since_ns: i64,
    entries: usize,
    /// By client, then by packet identifier: the newest message of that identifier.
    packets: HashMap<u64, HashMap<u16, Entry>>,
    identified: HashMap<u64, i64>,
}

#[derive(Clone, Copy)]
struct Entry {
    message: u64,
    arrival_ns: i64,
}

/// What MQTT says of a message that may come again.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'m> {
    /// The client's identifier.
    pub client: &'m str,
    /// The packet identifier.
    pub packet: u16,
    /// Whether the client says that it has sent it before.
    pub again: bool,
    /// The MQTT topic.
    pub topic: &'m str,
    /// The payload.
    pub payload: &'m [u8],
}

impl Redeliveries {
    /// The arrival time that counts for a delivery that arrived at `arrival_ns`: its own, or its first delivery's.
    pub fn arrival_of(&mut self, delivery: Delivery<'_>, arrival_ns: i64) -> i64 {
        let client = self.hash(delivery.client);
        let message = self.hash((delivery.topic, delivery.payload));
        let known =
            [&self.young, &self.old].into_iter().find_map(|half| half.packets.get(&client)?.get(&delivery.packet));
        let same =
            known.filter(|entry| delivery.again && entry.message == message && fresh(entry.arrival_ns, arrival_ns));
        let first_ns = same.map_or(arrival_ns, |entry| entry.arrival_ns);
        let half = self.half(arrival_ns);
        let entries = half.packets.entry(client).or_default();
        if entries.insert(delivery.packet, Entry { message, arrival_ns: first_ns }).is_none() {
            half.entries += 1;
        }
        if entries.len() == PER_CLIENT {
            half.entries -= PER_CLIENT;
            let full = std::mem::take(entries);
            self.old.entries += full.len();
            let older = self.old.packets.insert(client, full);
            self.old.entries -= older.map_or(0, |older| older.len());
        }
        first_ns
    }

    /// The arrival time that counts for a message that names its own identity (`dedupe_key`) among those of one key.
    pub fn arrival_of_identified(&mut self, topic: &str, key: &[u8], identity: &str, arrival_ns: i64) -> i64 {
        let message = self.hash((topic, key, identity));
        let known = [&self.young, &self.old].into_iter().find_map(|half| half.identified.get(&message).copied());
        let first_ns = known.filter(|first_ns| fresh(*first_ns, arrival_ns)).unwrap_or(arrival_ns);
        let half = self.half(arrival_ns);
        if half.identified.insert(message, first_ns).is_none() {
            half.entries += 1;
        }
        first_ns
    }

    fn hash(&self, value: impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    /// The half that takes new entries; when it is full or old it becomes the old one, and what was old is forgotten.
    fn half(&mut self, now_ns: i64) -> &mut Half {
        let aged = now_ns.saturating_sub(self.young.since_ns) > REMEMBERED_NS;
        if self.young.entries >= HALF || aged {
            let fresh = Half { since_ns: now_ns, ..Half::default() };
            self.old = std::mem::replace(&mut self.young, fresh);
        }
        &mut self.young
    }
}

fn fresh(arrival_ns: i64, now_ns: i64) -> bool {
    now_ns.saturating_sub(arrival_ns) <= REMEMBERED_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn arrival(table: &mut Redeliveries, packet: u16, again: bool, payload: &[u8], at_ns: i64) -> i64 {
        table.arrival_of(Delivery { client: "c", packet, again, topic: "t", payload }, at_ns)
    }

    #[test]
    fn a_redelivery_has_its_first_arrival() {
        let mut table = Redeliveries::default();
        let start = 1_700_000_000 * SECOND;
        assert_eq!(arrival(&mut table, 7, false, b"x", start), start);
        assert_eq!(arrival(&mut table, 7, true, b"x", start + 5), start);
        assert_eq!(arrival(&mut table, 7, true, b"x", start + 9), start, "also the third time");
        assert_eq!(arrival(&mut table, 8, true, b"x", start + 10), start + 10, "another packet");
        assert_eq!(arrival(&mut table, 7, true, b"y", start + 11), start + 11, "another payload");
        assert_eq!(arrival(&mut table, 7, false, b"x", start + 12), start + 12, "not said to be a redelivery");
        assert_eq!(arrival(&mut table, 7, true, b"x", start + 13), start + 12, "of the newest of that identifier");
        let other = Delivery { client: "d", packet: 7, again: true, topic: "t", payload: b"x" };
        assert_eq!(table.arrival_of(other, start + 14), start + 14, "another client");
        let late = start + REMEMBERED_NS + 20;
        assert_eq!(arrival(&mut table, 7, true, b"x", late), late, "after ten minutes it is a new message");
    }

    #[test]
    fn a_client_that_sends_everything_again_several_times_finds_all_of_it() {
        let mut table = Redeliveries::default();
        for round in 0..4 {
            for packet in 1..=PER_CLIENT as u16 {
                let now_ns = i64::from(packet) + round * SECOND;
                assert_eq!(arrival(&mut table, packet, round > 0, &packet.to_be_bytes(), now_ns), i64::from(packet));
            }
        }
    }

    #[test]
    fn an_identified_message_has_its_first_arrival() {
        let mut table = Redeliveries::default();
        assert_eq!(table.arrival_of_identified("t", b"k", "1", 10), 10);
        assert_eq!(table.arrival_of_identified("t", b"k", "1", 20), 10);
        assert_eq!(table.arrival_of_identified("t", b"k", "2", 30), 30);
        assert_eq!(table.arrival_of_identified("t", b"l", "1", 40), 40);
    }

    #[test]
    fn it_is_bounded_and_a_busy_client_does_not_push_others_out() {
        let mut table = Redeliveries::default();
        assert_eq!(arrival(&mut table, 1, false, b"quiet", 1), 1);
        for number in 0..3 * HALF as i64 {
            let payload = number.to_be_bytes();
            let packet = (number % 65_535) as u16 + 1;
            let delivery = Delivery { client: "busy", packet, again: false, topic: "t", payload: &payload };
            table.arrival_of(delivery, 2 + number);
        }
        let held = |half: &Half| half.packets.values().map(HashMap::len).sum::<usize>() + half.identified.len();
        assert_eq!((table.young.entries, table.old.entries), (held(&table.young), held(&table.old)));
        assert!(held(&table.young) <= PER_CLIENT + 1 && held(&table.old) <= PER_CLIENT);
        assert_eq!(arrival(&mut table, 1, true, b"quiet", 5_000_000), 1);
        for number in 0..3 * HALF as i64 {
            let client = number.to_string();
            let delivery = Delivery { client: &client, packet: 1, again: false, topic: "t", payload: b"x" };
            table.arrival_of(delivery, number);
        }
        assert_eq!((table.young.entries, table.old.entries), (held(&table.young), held(&table.old)));
        for number in 0..3 * HALF as i64 {
            table.arrival_of_identified("t", b"k", &number.to_string(), number);
        }
        assert!(table.young.entries <= HALF && table.old.entries <= HALF);
    }
}
