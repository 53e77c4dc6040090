//! The catalogue as its users meet it: values come back, batches are whole, what is not understood is refused.

#![allow(clippy::unwrap_used)]

use serde::{Deserialize, Serialize};

use super::{Batch, Catalogue, Durability, Keyspace};
use crate::error::ErrorKind;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fact {
    name: String,
    value: f64,
}

fn fact(name: &str) -> Fact {
    Fact { name: name.to_string(), value: 0.1 }
}

#[test]
fn values_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    {
        let catalogue = Catalogue::open(directory.path()).unwrap();
        catalogue.put(Keyspace::Tasks, "a", &fact("first"), Durability::Synced).unwrap();
        catalogue.put(Keyspace::Tasks, "a", &fact("second"), Durability::Synced).unwrap();
        catalogue.put(Keyspace::Runs, "a", &fact("elsewhere"), Durability::Buffered).unwrap();
        catalogue.put(Keyspace::Tasks, "b", &fact("gone"), Durability::Buffered).unwrap();
        catalogue.remove(Keyspace::Tasks, "b", Durability::Synced).unwrap();
    }
    let catalogue = Catalogue::open(directory.path()).unwrap();
    assert_eq!(catalogue.get(Keyspace::Tasks, "a").unwrap(), Some(fact("second")));
    assert_eq!(catalogue.get(Keyspace::Runs, "a").unwrap(), Some(fact("elsewhere")));
    assert_eq!(catalogue.get::<Fact>(Keyspace::Tasks, "b").unwrap(), None);
    assert_eq!(catalogue.get::<Fact>(Keyspace::Slots, "a").unwrap(), None);
}

#[test]
fn lists_are_in_key_order_and_end_at_the_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(directory.path()).unwrap();
    let mut batch = Batch::new();
    for key in ["b/2", "a/1", "b/10", "b/1", "c"] {
        batch.put(Keyspace::Runs, key, &key).unwrap();
    }
    catalogue.commit(batch, Durability::Synced).unwrap();
    let values = |found: Vec<(Vec<u8>, String)>| found.into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    assert_eq!(values(catalogue.list(Keyspace::Runs, "b/").unwrap()), ["b/1", "b/10", "b/2"]);
    assert_eq!(values(catalogue.list_last(Keyspace::Runs, "b/", 2).unwrap()), ["b/2", "b/10"]);
    assert_eq!(values(catalogue.list(Keyspace::Runs, "").unwrap()).len(), 5);
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _held = Catalogue::open(directory.path()).unwrap();
    let error = Catalogue::open(directory.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[test]
fn a_value_of_a_newer_version_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(directory.path()).unwrap();
    catalogue.keyspace(Keyspace::Buckets).insert("0123", [9u8, b'{', b'}']).unwrap();
    let error = catalogue.get::<Fact>(Keyspace::Buckets, "0123").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(error.message(), "catalogue, buckets \"0123\": value of version 9; this program reads version 1");
}
