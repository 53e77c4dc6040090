//! The durable log: one list of cases that every implementation is held to, and what only one of them can show.
//!
//! `cases` knows nothing but the trait. Each case becomes one test per log: `commitlog::embedded::order_is_kept`, ...

mod cases;
mod crash;
mod embedded;
#[cfg(feature = "kafka")]
mod kafka;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use fluxmill::commitlog::CommitLog;

type Opening = Pin<Box<dyn Future<Output = Arc<dyn CommitLog>> + Send>>;

/// A log under test: how to open it, and a part of every name, so that cases may share one broker.
pub struct Subject {
    open: Box<dyn Fn() -> Opening + Send + Sync>,
    part: String,
}

impl Subject {
    /// A log that `open` opens; calling it again, after a close, opens the same one again.
    pub fn new(part: impl Into<String>, open: impl Fn() -> Opening + Send + Sync + 'static) -> Self {
        Subject { open: Box::new(open), part: part.into() }
    }

    /// Opens it.
    pub async fn open(&self) -> Arc<dyn CommitLog> {
        (self.open)().await
    }

    /// A name of this subject's own: topic, group or producer.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.part)
    }
}

/// Turns every case into a test on the log that `$subject` gives.
macro_rules! conformance {
    ($subject:path) => {
        crate::commitlog::conformance! { $subject;
            order_is_kept_in_a_partition,
            offsets_have_no_holes_without_transactions,
            a_record_comes_back_as_it_was_sent,
            keys_choose_partitions_as_in_kafka,
            a_named_partition_is_taken,
            concurrent_appends_are_all_read_once,
            an_atomic_append_reaches_all_its_topics,
            an_atomic_append_with_an_error_appends_nothing,
            readers_never_see_part_of_an_atomic_append,
            reading_goes_past_transaction_markers,
            a_read_takes_no_more_than_asked,
            a_read_can_begin_anywhere,
            a_waiting_read_wakes_up,
            a_read_at_the_end_waits_and_gives_nothing,
            a_read_outside_is_out_of_range,
            positions_are_kept_by_group,
            unknown_topics_are_not_found,
            a_topic_is_made_once,
            illegal_names_are_refused,
            large_records_fit,
            reopening_keeps_everything,
            nothing_is_appended_after_close,
        }
    };
    ($subject:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::commitlog::cases::$case($subject().await).await;
            }
        )*
    };
}
pub(crate) use conformance;
