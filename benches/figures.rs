//! The figures of `benches/README.md`: tasks and queries against hand-written SQL over the same files, the cost of rows and
//! tables, laws of scaling, writes, messages, memory and disk. `cargo bench --profile fast -- task rows` prints those parts,
//! without a word all of them but the largest.
//!
//! CPU seconds are those of the whole process (the daemon's, for HTTP and MQTT), the middle of several rounds. A run whose
//! answer is not the one that is computed independently has no time: the program stops.

mod disk;
mod load;
mod measure;
mod parse;
mod pushed;
mod rows;
mod stored;
mod task;

/// A part: its name, and what prints it.
const PARTS: [(&str, fn()); 13] = [
    ("parse", parse::figures),
    ("task", task::figures),
    ("rows", rows::figures),
    ("pushed", pushed::figures),
    ("laws", pushed::laws),
    ("cores", pushed::cores),
    ("http", load::http),
    ("mqtt", load::mqtt),
    ("size", disk::size),
    ("memory", || disk::memory(&[167, 1_667])),
    // Takes minutes and some gigabytes of disk: only if it is named.
    (LARGE, || disk::memory(&[1_667, 16_667])),
    ("commits", disk::commits),
    ("restart", disk::restart),
];

const LARGE: &str = "large";

fn main() {
    // cargo adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [word, directory] = &words[..]
        && word == disk::CHILD
    {
        return disk::child(directory.as_ref());
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average {}, {} cores\n", load.trim(), std::thread::available_parallelism().map_or(0, usize::from));
    for (part, print) in PARTS {
        if words.iter().any(|word| word == part) || (words.is_empty() && part != LARGE) {
            print();
        }
    }
}
