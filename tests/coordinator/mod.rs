//! The group coordinator, as a state machine.

mod fixture;
mod machine;
mod random;
mod scripts;
