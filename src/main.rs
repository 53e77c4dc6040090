//! The `fluxmill` program: hands everything to the library's command line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "mqtt")]
fn main() -> ExitCode {
    fluxmill::cli::main()
}

#[cfg(not(feature = "mqtt"))]
fn main() -> ExitCode {
    eprintln!("error: this fluxmill was built without MQTT and has no command line");
    ExitCode::from(2)
}
