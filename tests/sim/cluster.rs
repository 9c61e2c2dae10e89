//! Whole clusters: seeds of every day, sameness of runs, and proof that bugs which servers of this kind have had are found.

use ottla::sim::cluster::run;
use ottla::sim::cluster_options::ClusterOptions;
use ottla::types::Bug;

use super::must_be_well;

/// How many seeds are run with every change; `cargo dev sim --cluster` runs more.
const SEEDS_OF_EVERY_DAY: u64 = 4;
/// How many seeds a planted bug may pass.
const SEEDS_TO_FIND: u64 = 60;

#[test]
fn clusters_of_every_day() {
    for seed in 0..SEEDS_OF_EVERY_DAY {
        must_be_well(&run(&ClusterOptions::from_seed(seed)));
    }
}

/// Seeds that found bugs which are mended, each with what it found.
#[test]
fn pinned_clusters_stay_well() {
    let pinned = [(35, "a follower whose disk had been full was offline until it was started again")];
    for (seed, what) in pinned {
        println!("seed {seed}: {what}");
        must_be_well(&run(&ClusterOptions::from_seed(seed)));
    }
}

/// Also when runs of other clusters go on in the same process, as tests do.
#[test]
fn the_same_seed_gives_the_same_run_of_a_cluster() {
    let options = ClusterOptions::from_seed(5);
    let first = run(&options);
    assert!(first.trace.len() > 50, "it does nothing");
    let at_once = std::thread::scope(|scope| {
        let running = [scope.spawn(|| run(&options)), scope.spawn(|| run(&options))];
        running.map(|run| run.join().expect("it does not panic"))
    });
    for again in at_once {
        assert_eq!(first.first_difference(&again), None);
    }
}

/// Looks from seed `from` on, which saves time where the first ones are known to miss it.
fn is_found(bug: Bug, from: u64) {
    let found = (from..from + SEEDS_TO_FIND).find_map(|seed| {
        let options = ClusterOptions::from_seed(seed);
        let why = run(&options.clone().with_bug(bug)).violation?;
        // It counts only if the same run without the bug is well.
        run(&options).violation.is_none().then_some((seed, why))
    });
    let (seed, why) = found.unwrap_or_else(|| panic!("{bug:?} passes {SEEDS_TO_FIND} seeds"));
    println!("{bug:?} is found by seed {seed}: {why}");
}

#[test]
fn a_follower_that_does_not_cut_back_is_found() {
    is_found(Bug::NoTruncation, 2);
}

#[test]
fn answers_before_followers_have_anything_are_found() {
    is_found(Bug::AcksWithoutFollowers, 0);
}

#[test]
fn leaders_that_are_not_in_sync_are_found() {
    is_found(Bug::ElectsOutOfSync, 2);
}

#[test]
fn producer_ids_that_are_given_twice_are_found() {
    is_found(Bug::ReusedProducerIds, 1);
}

#[test]
fn votes_that_are_forgotten_are_found() {
    is_found(Bug::ForgetsVote, 60);
}
