//! The figures of `benches/README.md`: the generator task against hand-written SQL over the same files, HTTP writes, and
//! MQTT messages, reading scripts. `cargo bench --profile fast -- task|sql|http|mqtt|parse`; without a word: all of them.
//!
//! CPU seconds are those of the whole process (the daemon's, for HTTP and MQTT), the middle of several rounds. A run whose
//! answer is not the one that is computed independently has no time: the program stops.

mod load;
mod measure;
mod parse;
mod task;

fn main() {
    // cargo adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|own| own == word);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average {}, {} cores\n", load.trim(), std::thread::available_parallelism().map_or(0, usize::from));
    if wanted("parse") {
        parse::figures();
    }
    if wanted("task") {
        task::figures();
    }
    if wanted("http") {
        load::http();
    }
    if wanted("mqtt") {
        load::mqtt();
    }
}
