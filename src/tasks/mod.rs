//! Tasks: files of Flux that run on time, slot by slot, each slot once.
//!
//! Started by the daemon, asked by the API and the command line. A slot is (task, scheduled time); everything that
//! happens to a task (restart, catch-up, edit, retry, manual run) is an operation on slots. Nothing here reads a bucket's
//! files or decodes a device's payload.
//!
//! | file | what |
//! |---|---|
//! | `facade` | all tasks as one thing: what the daemon serves and the API asks |
//! | `operations`, `plan`, `edit` | operations on slots; what a task would do; changes of task files over the API |
//! | `file`, `loader` | the directory: scans and changes; from files to tasks |
//! | `definition`, `schedule` | what a task is; when it is due |
//! | `step`, `scheduler`, `wake` | what a task does next (pure); the loop that does it; its tick |
//! | `executor`, `gate`, `output`, `manifest` | one attempt at a slot; how many at once; what it appends; what it wrote |
//! | `run`, `task_state`, `slots`, `run_store` | the control topic's records; their fold; intervals of slots; the view |
//! | `views`, `problem`, `instant`, `meters` | what is shown, and what is counted |

pub mod check;
pub mod definition;
mod edit;
pub mod executor;
pub mod facade;
pub mod file;
pub mod gate;
pub mod instant;
pub mod loader;
pub mod manifest;
mod meters;
pub mod operations;
pub mod output;
pub mod plan;
pub mod problem;
pub mod run;
pub mod run_store;
pub mod schedule;
pub mod scheduler;
pub mod slots;
pub mod step;
pub mod task_state;
pub mod views;
pub mod wake;

pub use facade::{Parts, Settings, Tasks};
pub use operations::Which;
pub use plan::Plan;
pub use step::CatchUp;
pub use views::{RunView, TaskView};
