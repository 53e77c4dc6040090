//! Places where a test kills the process, as a power cut would: before and after each step that writes.
//!
//! Named by the store and the log where they write; armed by `FAILPOINT_KILLS_AT=name` or `name:3` (the third time) in the
//! environment of a test's process. A release build has none of it.

/// Kills the process if a test has armed this place.
#[cfg(debug_assertions)]
pub(crate) fn failpoint(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static ARMED: OnceLock<Option<(String, AtomicUsize)>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var("FAILPOINT_KILLS_AT").ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_string(), AtomicUsize::new(times.parse().unwrap_or(1))))
    });
    if let Some((armed, left)) = armed
        && armed == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        // SAFETY: kill(2) and getpid(2) take no pointers.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        // The signal is on its way.
        loop {
            std::thread::park();
        }
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
pub(crate) fn failpoint(_name: &str) {}
