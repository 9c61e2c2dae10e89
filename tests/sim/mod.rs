//! The simulator: seeds of every day, sameness of runs, and proof that the checkers find what is broken.

mod cluster;

use ottla::sim::options::Options;
use ottla::sim::runner::{Outcome, run};
use ottla::sim::sabotage::Sabotage;

/// How many seeds are run with every change.
const SEEDS_OF_EVERY_DAY: u64 = 10;
/// How many seeds a broken node may pass.
const SEEDS_TO_FIND: u64 = 150;

fn must_be_well(outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    let from = outcome.trace.len().saturating_sub(40);
    let end = outcome.trace[from..].join("\n");
    panic!("{:#?}\n{end}\n{violation}\nagain: {}", outcome.options, outcome.command());
}

/// Seeds that found bugs which are mended, each with what it found: the first ones when there were few kinds of
/// clients.
#[test]
fn pinned_seeds_stay_well() {
    const FORGOTTEN: &str = "after a restart a partition knew only the last batch of each producer, and took \
                             retries of the others for gaps";
    let few_kinds = [
        (1, FORGOTTEN),
        (7, FORGOTTEN),
        (29, FORGOTTEN),
        (1007, "a coordinator gave up when its append met a full disk"),
        (1079, "a write cut off at a full disk came back behind what was durable, after a power loss"),
    ];
    for (seed, what) in few_kinds {
        println!("seed {seed} with few kinds of clients: {what}");
        must_be_well(&run(&Options::from_seed(seed).with_few_kinds_of_clients()));
    }
    let all_kinds = [
        (163, "a coordinator never loaded a log whose unsynced records were lost"),
        (1512, "a node whose only log directory had failed lived on and served nothing"),
    ];
    for (seed, what) in all_kinds {
        println!("seed {seed}: {what}");
        must_be_well(&run(&Options::from_seed(seed)));
    }
}

/// So few that all tests here take a minute at most on two busy cores; `cargo dev sim` runs more.
#[test]
fn seeds_of_every_day() {
    for seed in 0..SEEDS_OF_EVERY_DAY {
        must_be_well(&run(&Options::from_seed(seed)));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 21] {
        let options = Options::from_seed(seed);
        let (first, second) = (run(&options), run(&options));
        assert!(first.trace.len() > 50, "seed {seed} does nothing");
        assert_eq!(first.first_difference(&second), None, "seed {seed}");
    }
}

/// Looks from seed `from` on, which saves time where the first ones are known to miss it.
fn is_found(sabotage: Sabotage, from: u64) {
    let found = (from..from + SEEDS_TO_FIND).find_map(|seed| {
        let broken = Options::from_seed(seed).with_sabotage(sabotage);
        let why = run(&broken).violation?;
        // It counts only if the same run of a node that is not broken is well.
        let whole = Options { sabotage: None, ..broken };
        run(&whole).violation.is_none().then_some((seed, why))
    });
    let (seed, why) = found.unwrap_or_else(|| panic!("{sabotage:?} passes {SEEDS_TO_FIND} seeds"));
    println!("{sabotage:?} is found by seed {seed}: {why}");
}

#[test]
fn answers_before_the_sync_are_found() {
    is_found(Sabotage::AnswersBeforeSync, 0);
}

#[test]
fn syncs_that_do_nothing_are_found() {
    is_found(Sabotage::SyncsNothing, 0);
}

#[test]
fn names_that_are_not_synced_are_found() {
    is_found(Sabotage::SyncsNoNames, 0);
}

#[test]
fn forgotten_producers_are_found() {
    is_found(Sabotage::ForgetsProducers, 0);
}

#[test]
fn a_recovery_that_cuts_nothing_is_found() {
    is_found(Sabotage::CutsNothing, 12);
}
