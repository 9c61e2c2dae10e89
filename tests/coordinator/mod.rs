//! The group coordinator, as a state machine.

mod consumer_measure;
mod consumer_random;
mod consumer_scripts;
mod fixture;
mod machine;
mod random;
mod scripts;
