//! Bytes on the wire and in the log. Pure: nothing here waits, knows the time or touches a file.
//!
//! Everything in this folder meets bytes that others made up. Lengths and counts are compared with what is
//! really there before anything is allocated, and every failure is a value.

pub mod batch;
pub mod compress;
pub mod control;
pub mod frame;
pub mod guard;
pub mod header;
pub mod records;
pub mod versions;
