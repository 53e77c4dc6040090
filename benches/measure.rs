//! CPU seconds, wall time and peak memory of this process.

use std::time::{Duration, Instant};

/// What a piece of work cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Wall time.
    pub wall: Duration,
}

/// Runs a piece of work and says what it cost.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let value = work();
    (value, Cost { cpu: cpu_time() - cpu, wall: wall.elapsed() })
}

/// User and system time of this process so far.
pub fn cpu_time() -> Duration {
    // SAFETY: getrusage fills the structure that it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// User and system time of another process so far.
pub fn cpu_time_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name in brackets may hold spaces; what follows it does not.
    let rest = stat.rsplit(") ").next().expect("a stat line");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
    Duration::from_nanos(ticks * 1_000_000_000 / per_second)
}

/// The most memory that this process has had since the last [`reset_peak`], in MiB.
pub fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

/// Forgets the peak so far.
pub fn reset_peak() {
    // Needs a kernel that allows it; without it the peak is that of the whole process, which is said in the table.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The middle of several costs, by CPU time, with the smallest and the largest.
pub fn middle(mut costs: Vec<Cost>) -> (Cost, Duration, Duration) {
    costs.sort_by_key(|cost| cost.cpu);
    (costs[costs.len() / 2], costs[0].cpu, costs[costs.len() - 1].cpu)
}
