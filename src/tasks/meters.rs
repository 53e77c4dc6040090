//! What is counted of tasks, under InfluxDB's names where it has one, since dashboards ask for those.
//!
//! Called by the scheduler and the executor. Durations are in seconds.

use super::run::{RunRecord, RunStatus};

/// An attempt begins, so many nanoseconds after its slot was due.
pub(super) fn started(delay_ns: i64) {
    metrics::gauge!("task_executor_total_runs_active").increment(1.0);
    metrics::histogram!("task_scheduler_schedule_delay").record(seconds(delay_ns));
}

/// An attempt is over.
pub(super) fn ended() {
    metrics::gauge!("task_executor_total_runs_active").decrement(1.0);
}

/// An attempt is on record.
pub(super) fn recorded(run: &RunRecord) {
    let status = run.status.as_str();
    metrics::counter!("task_executor_total_runs_complete", "task_type" => "system", "status" => status).increment(1);
    let duration =
        metrics::histogram!("task_executor_run_duration", "task_type" => "system", "taskID" => run.task.to_string());
    duration.record(seconds(run.finished_ns.saturating_sub(run.started_ns)));
    if run.status == RunStatus::Failed && !run.decided {
        metrics::counter!("fluxmill_task_retries_total").increment(1);
    }
    if run.incomplete {
        metrics::counter!("fluxmill_task_incomplete_runs_total").increment(1);
    }
    metrics::counter!("fluxmill_task_rows_read_total").increment(run.rows_in);
    metrics::counter!("fluxmill_task_points_written_total").increment(run.rows_out);
}

/// Slots were passed over.
pub(super) fn skipped(slots: u64) {
    metrics::counter!("fluxmill_task_skipped_slots_total").increment(slots);
}

fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds.max(0) as f64 / 1e9
}
