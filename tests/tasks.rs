//! Tasks over an embedded log, a store and the engine: slots, seams, files, failures, restarts.
//!
//! Time is a [`fluxmill::clock::ManualClock`]; nothing sleeps. Expected values follow from the calendar and from what the
//! test itself has written.

mod failures;
mod files;
mod house;
mod replace;
mod seams;
mod slots;
