//! A program in a terminal of its own: typed to like by a person, its screen read like by one.
//!
//! Answers the questions that programs ask a terminal (where is the cursor?). Everything is waited for; nothing sleeps.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The size of the terminal.
pub const ROWS: u16 = 50;
pub const COLUMNS: u16 = 100;
/// How long the screen may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// The question for the place of the cursor.
const WHERE: &[u8] = b"\x1b[6n";

struct Shown {
    parser: vt100::Parser,
    ended: bool,
}

/// A terminal with a program in it; dropping it kills the program.
pub struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

impl Terminal {
    /// Starts a program in a terminal.
    pub fn start(mut command: Command) -> Terminal {
        let (mut ours, mut theirs) = (0, 0);
        let size = libc::winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both numbers are ours to fill in; neither a name nor settings are given.
        let opened =
            unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null_mut(), &size) };
        assert_eq!(opened, 0, "a pseudo-terminal");
        // SAFETY: the two file descriptors were opened above and belong to nobody else.
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        let end = || Stdio::from(theirs.try_clone().expect("a second handle"));
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("COLUMNS");
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: only calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the program starts");
        drop(command);
        drop(theirs);
        let keyboard = File::from(ours);
        let parser = vt100::Parser::new(ROWS, COLUMNS, 0);
        let shown = Arc::new((Mutex::new(Shown { parser, ended: false }), Condvar::new()));
        let (screen, to_screen) = (keyboard.try_clone().expect("a second handle"), Arc::clone(&shown));
        std::thread::spawn(move || show(screen, &to_screen));
        Terminal { child, keyboard, shown }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Types a line, and ends it when the screen shows it: the next prompt is then not taken for the one before.
    pub fn enter(&mut self, line: &str) {
        self.keys(line);
        let from = line.char_indices().rev().nth(5).map_or(0, |(at, _)| at);
        self.wait(&format!("{line:?} behind the cursor"), |screen| {
            let (row, column) = screen.cursor_position();
            let shown = screen.rows(0, COLUMNS).nth(row as usize).unwrap_or_default();
            let before: String = shown.chars().take(column as usize).collect();
            before.ends_with(&line[from..])
        });
        self.keys("\r");
    }

    /// Waits until the screen shows what is wanted; what it shows then.
    pub fn wait(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        let mut shown = self.shown.0.lock().expect("the screen");
        loop {
            if wanted(shown.parser.screen()) {
                return shown.parser.screen().contents();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || shown.ended {
                panic!("{what} did not come; the screen:\n{}", shown.parser.screen().contents());
            }
            shown = self.shown.1.wait_timeout(shown, left).expect("the screen").0;
        }
    }

    /// Waits for a text anywhere on the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(&format!("{text:?}"), |screen| screen.contents().contains(text))
    }

    /// Waits until the program waits behind `prompt`.
    pub fn wait_for_prompt(&self, prompt: &str) -> String {
        self.wait(&format!("the prompt {prompt:?}"), |screen| {
            let (row, column) = screen.cursor_position();
            let line = screen.rows(0, COLUMNS).nth(row as usize).unwrap_or_default();
            // Grey hints may stand behind the cursor.
            line.starts_with(prompt.trim_end()) && column as usize == prompt.chars().count()
        })
    }

    /// Waits for the end of the program.
    pub fn end(mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                return status;
            }
            assert!(Instant::now() < until, "the program did not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(mut screen: File, shown: &(Mutex<Shown>, Condvar)) {
    let mut buffer = [0u8; 4096];
    let mut held: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        held.extend(&buffer[..count]);
        let mut shown_now = shown.0.lock().expect("the screen");
        // A question is answered with where the cursor is by then.
        while let Some(at) = held.windows(WHERE.len()).position(|window| window == WHERE) {
            let rest = held.split_off(at + WHERE.len());
            shown_now.parser.process(&held[..at]);
            held = rest;
            let (row, column) = shown_now.parser.screen().cursor_position();
            let answer = format!("\x1b[{};{}R", row + 1, column + 1);
            screen.write_all(answer.as_bytes()).expect("the terminal takes answers");
        }
        // What may be the beginning of a question waits for the rest.
        let keep = (1..WHERE.len()).rev().find(|length| held.ends_with(&WHERE[..*length])).unwrap_or(0);
        let rest = held.split_off(held.len() - keep);
        shown_now.parser.process(&held);
        held = rest;
        shown.1.notify_all();
    }
    shown.0.lock().expect("the screen").ended = true;
    shown.1.notify_all();
}
