//! Buckets: what the sink has applied, in memory and in files, and the scan over both.
//!
//! Filled by `ingest/sink` only, read through [`Store::offer`] by the engine. The log is the durable copy until a flush;
//! nothing here acknowledges anything to a client.

pub mod bucket;
